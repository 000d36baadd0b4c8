"""The overlay picture: the radiograph untouched where nothing is drawn, outlines where the masks end, text
beside."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import report_cases as cases

from xrv_node.report import codes
from xrv_node.report.overlay import overlay
from xrv_node.values import Finding

ROWS, COLUMNS = 500, 450
YELLOW = (255, 220, 0)


def grey() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 200, (ROWS, COLUMNS), dtype=np.uint8)


def heart() -> np.ndarray:
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    return ((y - 250) ** 2 + (x - 200) ** 2 <= 90**2)[np.newaxis]


def is_color(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return (picture == color).all(axis=-1)


def test_the_outline_is_on_the_rim_and_the_rest_is_the_radiograph() -> None:
    pixels, mask = grey(), heart()
    picture = overlay(pixels, ["Heart"], mask, [])
    assert picture.dtype == np.uint8
    assert picture.shape[0] > ROWS
    assert picture.shape[1] > COLUMNS
    image = picture[:ROWS, :COLUMNS]
    drawn = is_color(image, codes.structure("Heart").color)
    y, x = np.nonzero(drawn)
    radius = np.hypot(y - 250, x - 200)
    assert len(y) > 400
    assert radius.min() > 88
    assert radius.max() < 92
    np.testing.assert_array_equal(image[~drawn], np.repeat(pixels[~drawn][:, np.newaxis], 3, axis=1))


def test_a_region_is_drawn_for_what_is_present_only() -> None:
    box = ((100.0, 100.0), (200.0, 100.0), (200.0, 300.0), (100.0, 300.0), (100.0, 100.0))
    nothing = np.zeros((0, ROWS, COLUMNS), dtype=bool)
    present = overlay(grey(), [], nothing, [Finding("Mass", 0.9, 0.9, box)])[:ROWS, :COLUMNS]
    below = overlay(grey(), [], nothing, [Finding("Mass", 0.4, 0.4, box)])[:ROWS, :COLUMNS]
    y, x = np.nonzero(is_color(present, YELLOW))
    assert {100, 300} <= set(y) | {99, 299} & set(y)
    assert x.min() in (99, 100)
    np.testing.assert_array_equal(below, np.repeat(grey()[..., np.newaxis], 3, axis=2))


def test_the_panel_lists_findings_and_the_band_says_what_it_is() -> None:
    nothing = np.zeros((0, ROWS, COLUMNS), dtype=bool)
    found = [Finding(label, 0.9 if label == "Mass" else 0.1, 0.1) for label in cases.LABELS]
    picture = overlay(grey(), [], nothing, found)
    assert is_color(picture[:ROWS, COLUMNS:], YELLOW).any()
    assert picture[ROWS:].any()
    empty = overlay(grey(), [], nothing, [])
    assert (picture[:ROWS, COLUMNS:] > 0).sum() > 3 * (empty[:ROWS, COLUMNS:] > 0).sum()


def test_commissioning_is_written_in_panel_and_band() -> None:
    nothing = np.zeros((0, ROWS, COLUMNS), dtype=bool)
    real, test = (overlay(grey(), [], nothing, [], commissioning=c) for c in (False, True))
    assert (real[ROWS:] != test[ROWS:]).any()
    assert (real[:ROWS, COLUMNS:] != test[:ROWS, COLUMNS:]).any()
    np.testing.assert_array_equal(real[:ROWS, :COLUMNS], test[:ROWS, :COLUMNS])


def test_a_small_picture_is_enlarged_by_a_whole_number() -> None:
    pixels = grey()[:90, :70]
    picture = overlay(pixels, [], np.zeros((0, 90, 70), dtype=bool), [])
    np.testing.assert_array_equal(picture[:450:5, :350:5, 0], pixels)


def test_opencv_and_highdicom_are_not_imported_before_they_are_used() -> None:
    script = (
        "import sys, xrv_node.report, xrv_node.report.overlay\n"
        "print([m for m in ('cv2', 'highdicom', 'torch') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

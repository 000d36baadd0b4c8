"""A radiograph on a screen: the grey levels that dcmtk shows, and a reduction that keeps the mean."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made import radiograph
from pydicom import dcmwrite

from xrv_node.radiograph.display import LONGEST, display
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.read import read


@pytest.mark.parametrize(
    "attributes",
    [
        {"WindowCenter": "1800", "WindowWidth": "2500"},
        {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": "2200", "WindowWidth": "1500"},
        {"RescaleSlope": "0.5", "RescaleIntercept": "-100", "WindowCenter": "800", "WindowWidth": "1200"},
    ],
    ids=["window", "monochrome 1", "rescaled"],
)
def test_the_grey_levels_are_dcmtk_s(attributes: dict[str, Any], tmp_path: Path) -> None:
    if shutil.which("dcmj2pnm") is None:
        pytest.skip("dcmj2pnm is not installed")
    path, shown = tmp_path / "a.dcm", tmp_path / "a.pgm"
    dcmwrite(path, radiograph(**attributes), enforce_file_format=True)
    subprocess.run(["dcmj2pnm", "--use-window", "1", str(path), str(shown)], check=True, capture_output=True)
    expected = cv2.imread(str(shown), cv2.IMREAD_UNCHANGED)
    made = display(read(path))
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - expected).max() <= 1
    assert made.min() < 30
    assert made.max() > 220


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.int32, np.float32])
def test_a_reduced_picture_is_the_mean_over_each_pixel(kind: type) -> None:
    pixels = np.random.default_rng(4).integers(0, 120, (60, 84)).astype(kind)
    small = display(Radiograph(pixels, 0.0, 127.5), 21)
    means = pixels.reshape(15, 4, 21, 4).mean(axis=(1, 3))
    assert small.shape == (15, 21)
    assert np.abs(small - 2 * means).max() <= 2  # integers are rounded before and after the scaling


def test_a_grid_does_not_alias() -> None:
    """Lines of an anti-scatter grid: every other column."""
    pixels = np.zeros((900, 3000), dtype=np.uint16)
    pixels[:, ::2] = 4095
    small = display(Radiograph(pixels, 0.0, 4095.0), LONGEST)
    assert small.shape == (307, LONGEST)
    assert small.std() < 45  # nearest neighbours would give 127


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 5000), (5000, 1), (40, 30)])
def test_the_shape_is_kept_and_nothing_is_enlarged(rows: int, columns: int) -> None:
    small = display(Radiograph(np.full((rows, columns), 7, np.uint8), 0.0, 255.0), LONGEST)
    assert max(small.shape) == min(max(rows, columns), LONGEST)
    assert min(small.shape) >= 1
    assert (small == 7).all()


def test_a_range_without_width_is_black() -> None:
    assert not display(Radiograph(np.full((3, 3), 5, np.uint8), 5.0, 5.0)).any()


def test_a_narrow_range_is_shown_whole() -> None:
    pixels = np.array([[0.2, 0.25, 0.3]], dtype=np.float32)
    assert display(Radiograph(pixels, 0.2, 0.3)).tolist()[0] in ([0, 127, 255], [0, 127, 254])

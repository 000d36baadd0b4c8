"""Pixels that are not square: a circle is a circle for the networks, and what they find lies where it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analysed import Networks
from numpy.typing import NDArray
from pydicom import Dataset
from radiograph_files import image, write

from xrv_node.analyse import analysis_file
from xrv_node.analyse.heatmap import region
from xrv_node.lab.datasets.transforms import Fit
from xrv_node.radiograph.aspect import aspect
from xrv_node.radiograph.display import display
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.prepare import centre, frame, prepare
from xrv_node.radiograph.read import read
from xrv_node.report.masks import placed
from xrv_node.report.overlay import overlay
from xrv_node.values import Analysis, AnalysisInput, Frame

TALL, WIDE = (300, 400), (500, 380)


def circle(rows: int, columns: int, tall: float) -> NDArray[np.bool_]:
    """A disc off the middle, on pixels that are `tall` times as high as wide."""
    y, x = np.mgrid[0:rows, 0:columns] + 0.5
    side = min(rows * tall, columns)
    return np.hypot(y * tall - rows * tall / 2 - side * 0.1, x - columns / 2 + side * 0.15) < side * 0.2


def bounds(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Height and width of what is in it."""
    return int(mask.any(axis=1).sum()), int(mask.any(axis=0).sum())


def analysis() -> Analysis:
    (made,) = Networks().analyse([AnalysisInput("1.2.3", Path("unused"))])
    assert isinstance(made, Analysis)
    return made


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize(
    ("said", "tall"),
    [
        ({"PixelSpacing": ["0.1", "0.2"]}, 0.5),
        ({"ImagerPixelSpacing": ["0.2", "0.1"]}, 2.0),
        ({"NominalScannedPixelSpacing": ["0.15", "0.1"]}, 1.5),
        ({"PixelAspectRatio": ["2", "1"]}, 2.0),
        ({"PixelAspectRatio": ["1", "3"]}, 1 / 3),
    ],
)
@pytest.mark.parametrize(("rows", "columns"), [TALL, WIDE])
def test_a_circle_is_one_for_the_networks_and_lies_where_it_was(
    said: dict[str, list[str]], tall: float, rows: int, columns: int, tmp_path: Path
) -> None:
    drawn = circle(rows, columns, tall)
    radiograph = read(write(image((drawn * 200).astype(np.uint8), **said), tmp_path / "image.dcm"))
    assert radiograph.aspect == pytest.approx(tall)
    assert [caution.key for caution in radiograph.cautions] == ["pixels-not-square"]
    seen = prepare(radiograph, 224) > 0  # from -1024 to 576
    height, width = bounds(seen)
    assert abs(height - width) <= 2
    assert height == pytest.approx(0.4 * 224, abs=2)
    square = frame(rows, columns, radiograph.aspect)
    assert square.extent[0] * tall == pytest.approx(square.extent[1], abs=1 + tall)
    (back,) = placed(seen[np.newaxis], square)
    assert back.shape == drawn.shape
    assert overlap(back, drawn) > 0.95
    assert centre(radiograph.pixels, radiograph.aspect).shape == square.extent
    heat = np.add.reduceat(np.add.reduceat(seen, range(0, 224, 32), 0), range(0, 224, 32), 1).astype(
        np.float32
    )
    points = np.array(region(heat, square))
    middle = np.argwhere(drawn).mean(axis=0) + 0.5
    assert np.abs(points.mean(axis=0)[::-1] - middle).max() < 0.1 * max(square.extent)
    ends = np.ptp(points, axis=0)
    assert ends[1] * tall == pytest.approx(ends[0], rel=0.25)


def test_square_pixels_stay_as_they_were() -> None:
    for said in (
        {},
        {"PixelSpacing": ["0.143", "0.143"]},
        {"PixelSpacing": ["0.1430", "0.1435"]},
        {"PixelSpacing": ["0", "0.2"]},
        {"PixelSpacing": ["0.1"]},
        {"PixelSpacing": ["0.1", "70"]},
        {"PixelAspectRatio": ["1", "1"]},
        {"PixelAspectRatio": ["0", "0"]},
        {"PixelSpacing": ["0.2", "0.2"], "PixelAspectRatio": ["2", "1"]},  # a spacing counts first
    ):
        header = Dataset()
        for keyword, value in said.items():
            setattr(header, keyword, value)
        assert aspect(header) == 1
    assert frame(3001, 2500) == Frame(3001, 2500, 250, 0, 2500) == frame(3001, 2500, 1.0)
    assert frame(3001, 2500).extent == (2500, 2500)


def test_the_picture_that_is_kept_has_square_pixels() -> None:
    for tall in (0.5, 2.0):
        drawn = circle(600, 500, tall)
        picture = display(Radiograph((drawn * 255).astype(np.uint8), 0, 255, aspect=tall), 256)
        height, width = bounds(picture > 127)
        assert abs(height - width) <= 1
        assert max(picture.shape) <= 256
        assert picture.shape[1] / picture.shape[0] == pytest.approx(500 / (600 * tall), rel=0.02)
        whole = display(Radiograph((drawn * 255).astype(np.uint8), 0, 255, aspect=tall))
        assert whole.shape == (600, 500)


def test_results_keep_the_width(tmp_path: Path) -> None:
    tall = 0.5
    square = frame(400, 300, tall)
    made = replace(analysis(), frame=square)
    analysis_file.save(made, tmp_path / "analysis.npz")
    assert analysis_file.load(tmp_path / "analysis.npz").frame == square


def test_the_overlay_is_drawn_on_square_pixels() -> None:
    made = replace(analysis(), picture=np.zeros((300, 260), np.uint8))
    whole = overlay(made)
    tall = replace(made, frame=frame(600, 260, 0.5), picture=np.zeros((300, 260), np.uint8))
    drawn = overlay(tall)
    assert whole is not None
    assert drawn is not None
    assert drawn.shape == whole.shape


@pytest.mark.parametrize("tall", [0.5, 2.0])
def test_masks_of_a_dataset_are_fitted_as_their_images(tall: float) -> None:
    drawn = circle(300, 260, tall)
    fit = Fit(size=128)
    image_of_it = fit.image(Radiograph((drawn * 200).astype(np.uint8), 0, 255, aspect=tall))[0] > 0
    mask = fit.mask(drawn, tall)[0] > 0.5
    assert overlap(image_of_it, mask) > 0.9
    height, width = bounds(mask)
    assert abs(height - width) <= 2

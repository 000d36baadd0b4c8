"""The overlay picture: a tile for each finding, heat where the map is, outlines where regions and masks end,
and text beside it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import report_cases as cases

from xrv_node import languages
from xrv_node.report import codes, heat
from xrv_node.report.lettering import RED, YELLOW
from xrv_node.report.overlay import MOST, overlay
from xrv_node.report.tiles import HEIGHT, WIDTH, Grid, arrange
from xrv_node.values import Analysis, Frame, Style

ROWS, COLUMNS = 600, 480


def analysed(scores: dict[str, float], *, phantom: bool = False, **changes: Any) -> Analysis:
    head = cases.header(rows=ROWS, columns=COLUMNS)
    return replace(cases.analysis(head, cases.model_set(phantom), scores), **changes)


def grid_of(analysis: Analysis) -> Grid:
    return arrange(min(sum(f.present for f in analysis.findings), MOST) + 1, ROWS, COLUMNS)


def drawn(analysis: Analysis, *cautions: str, language: str = "en") -> np.ndarray:
    picture = overlay(analysis, cautions, Style(language))
    assert picture is not None
    assert picture.dtype == np.uint8
    return picture


def tile(picture: np.ndarray, grid: Grid, number: int) -> np.ndarray:
    top, left = grid.place(number)
    return picture[top : top + grid.tile[0], left : left + grid.tile[1]]


def is_color(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return (picture == color).all(axis=-1)


def test_every_finding_that_is_present_has_a_tile_and_the_anatomy_the_last() -> None:
    for count in (0, 1, 3, MOST, MOST + 3):
        analysis = analysed(dict.fromkeys(cases.LABELS[:count], 0.9))
        picture, grid = drawn(analysis), grid_of(analysis)
        tiles = min(count, MOST) + 1
        yellow = [is_color(tile(picture, grid, n), YELLOW).any() for n in range(tiles)]
        assert yellow == [True] * (tiles - 1) + [False]
        assert is_color(tile(picture, grid, tiles - 1), codes.structure("Heart").color).any()
        for number in range(tiles, grid.rows * grid.columns):
            assert not tile(picture, grid, number).any()


@pytest.mark.parametrize("label", [cases.LABELS[0], cases.LABELS[8], cases.LABELS[16]])
def test_heat_and_outline_lie_where_map_and_region_are(label: str) -> None:
    analysis = analysed(
        {label: 0.8}, masks=np.zeros_like(cases.masks()), picture=np.full((ROWS, COLUMNS), 90, np.uint8)
    )
    grid = grid_of(analysis)
    square = tile(drawn(analysis), grid, 0).astype(int)
    scale = grid.tile[0] / ROWS
    k = cases.LABELS.index(label)
    side, top = COLUMNS, (ROWS - COLUMNS) // 2
    # the peak of the map, at the centre of its pixel of seven by seven
    row, column = (top + (k // 3 + 1.5) * side / 7) * scale, (k % 7 + 0.5) * side / 7 * scale
    colored = square.max(axis=-1) - square.min(axis=-1)
    colored[is_color(square, YELLOW)] = 0
    hottest = np.unravel_index(cv2.blur(colored.astype(np.float32), (15, 15)).argmax(), colored.shape)
    assert np.hypot(hottest[0] - row, hottest[1] - column) < 0.04 * grid.tile[0]
    y, x = np.nonzero(is_color(square, YELLOW))
    points = np.array(cases.polygon(COLUMNS, ROWS)) * scale
    assert (
        np.abs(np.array([x.min(), y.min(), x.max(), y.max()]) - [*points.min(0), *points.max(0)]).max() <= 2
    )
    y, x = np.mgrid[0 : grid.tile[0], 0 : grid.tile[1]]
    plain = np.hypot(y - row, x - column) > 0.4 * side * scale
    outline = cv2.dilate(is_color(square, YELLOW).astype(np.uint8), np.ones((9, 9), np.uint8))
    border = (square == 110).all(axis=-1)  # of the square that was analysed
    plain &= (outline == 0) & ~border
    assert plain.mean() > 0.2
    assert (square[plain] == 90).all()  # where there is no heat, the radiograph is as it was


def test_more_heat_is_lighter_and_bone_stays_visible() -> None:
    """Ordered by lightness (CIE L*), on a dark lung; two levels of grey under the hottest colour differ."""
    shares = np.linspace(0, 1, 101, dtype=np.float32)[np.newaxis]
    lung = np.full((1, 101, 3), 60, np.uint8)
    lightness = cv2.cvtColor(heat.blend(lung, shares), cv2.COLOR_RGB2LAB)[0, :, 0].astype(int)
    assert (np.diff(lightness) >= -1).all()
    assert lightness[-1] - lightness[0] > 60
    np.testing.assert_array_equal(heat.blend(lung, shares)[0, :10], lung[0, :10])
    hot = np.ones((1, 1), np.float32)
    dark, bright = (heat.blend(np.full((1, 1, 3), grey, np.uint8), hot).astype(int) for grey in (60, 160))
    assert (bright - dark).min() >= 35


def test_no_heat_without_maps_or_outside_the_square() -> None:
    analysis = analysed({"Mass": 0.9}, maps=None)
    assert heat.share(analysis, 0, analysis.frame) is None
    assert is_color(drawn(analysis), YELLOW).any()
    zero = replace(analysis, maps=np.zeros((len(cases.LABELS), 7, 7), np.float32))
    assert heat.share(zero, 0, zero.frame) is None
    everywhere = replace(analysis, maps=np.ones((len(cases.LABELS), 7, 7), np.float32))
    shares = heat.share(everywhere, 0, Frame(100, 80, 10, -5, 80))
    assert shares is not None
    assert shares.shape == (100, 80)
    inside = shares > 0
    assert inside[10:90, :75].all()
    assert inside.sum() == 80 * 75


def test_an_analysis_without_a_picture_has_no_overlay() -> None:
    assert overlay(analysed({"Mass": 0.9}, picture=None)) is None


def test_phantom_cannot_be_missed() -> None:
    """Not in a thumbnail either: across every tile, and the whole band filled."""
    scores = {"Mass": 0.9, "Nodule": 0.7}
    real, test = drawn(analysed(scores)), drawn(analysed(scores, phantom=True))
    grid = grid_of(analysed(scores))
    assert is_color(test, RED)[grid.height :].mean() > 0.6
    assert is_color(real, RED)[grid.height :].mean() < 0.3
    for number in range(3):
        stamped = is_color(tile(test, grid, number), RED)
        assert stamped.sum() > 0.02 * stamped.size
        assert not is_color(tile(real, grid, number), RED).any()
    small = cv2.resize(
        test, (128, 128 * test.shape[0] // test.shape[1]), interpolation=cv2.INTER_AREA
    ).astype(int)
    assert (small[-3, :, 0] - small[-3, :, 1] > 60).mean() > 0.7


def test_what_is_unusual_stands_in_the_panel() -> None:
    analysis = analysed({"Mass": 0.9})
    grid = grid_of(analysis)
    plain, warned = (
        drawn(analysis, *c)[: grid.height, grid.width :] for c in ((), ("The image is rotated.",))
    )
    assert not is_color(plain, RED).any()
    assert is_color(warned, RED).any()


def test_words_are_in_the_destination_s_language() -> None:
    analysis = analysed({"Effusion": 0.9}, phantom=True)
    pictures = [drawn(analysis, language=language).tobytes() for language in languages.names()]
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("count", range(1, MOST + 2))
@pytest.mark.parametrize(("rows", "columns"), [(3000, 2500), (2500, 3000), (1, 4000), (4000, 1), (20, 20)])
def test_tiles_fit_a_screen_and_are_not_wasted(count: int, rows: int, columns: int) -> None:
    grid = arrange(count, rows, columns)
    assert grid.rows * grid.columns >= count > (grid.rows - 1) * grid.columns
    assert grid.height <= HEIGHT
    assert grid.width + 0.45 * grid.height <= 1.1 * WIDTH
    assert min(grid.tile) >= 100
    places = [grid.place(n) for n in range(count)]
    assert len(set(places)) == count
    assert max(top for top, _ in places) + grid.tile[0] <= grid.height


@pytest.mark.parametrize(("rows", "columns"), [(1, 900), (900, 1), (3, 3), (2000, 37)])
def test_an_image_of_any_shape_is_drawn(rows: int, columns: int) -> None:
    head = cases.header(rows=rows, columns=columns)
    assert drawn(cases.analysis(head, cases.model_set(), cases.SOME)).size


def test_opencv_and_highdicom_are_not_imported_before_they_are_used() -> None:
    script = (
        "import sys, xrv_node.report, xrv_node.report.overlay\n"
        "print([m for m in ('cv2', 'highdicom', 'torch') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"

"""The picture for every viewer that can show nothing else: heat, outlines, findings and notice in one RGB
image.

Each finding that is present has a tile of its own: heat of several in one picture cannot be told apart. The
last tile shows the anatomy, by which a reader sees whether the networks understood the image at all. Text
stands above, beside and below the radiographs, never on them: what it covered could not be read any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrv_node.report import codes, heat
from xrv_node.report.legend import called, legend
from xrv_node.report.lettering import WHITE, YELLOW, Color, Rgb, band, enlarge, stamp, write
from xrv_node.report.masks import source_masks
from xrv_node.report.phrases import meaning, say
from xrv_node.report.summary import rank
from xrv_node.report.tiles import Grid, arrange
from xrv_node.values import DEFAULT_STYLE, Analysis, Frame, Style

MOST = 8
"""Findings that get a tile: of more, none could be recognised. The panel lists them all."""
_BORDER = (110, 110, 110)


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    """The image as the background of a tile."""

    picture: Rgb
    scale: tuple[float, float]
    """Tile pixels for a source pixel, down and across."""
    corner: tuple[int, int]
    """Top and left of the image in the tile."""
    frame: Frame
    """Where the networks' square lies in the tile, in its pixels."""


def overlay(analysis: Analysis, cautions: Sequence[str] = (), style: Style = DEFAULT_STYLE) -> Rgb | None:
    """Draw what the networks say of an image.

    Parameters
    ----------
    analysis : Analysis
        Its picture, findings with the regions that may be drawn (`located.settled`), maps and masks. A
        finding without a map has its outline only; of one without a region that is said.
    cautions : sequence of str
        What is unusual about the image, a sentence each (`summary.quality`).
    style : Style
        Its language is that of all words.

    Returns
    -------
    ndarray of uint8
        ``[rows, columns, 3]``, RGB: the tiles (`tiles.arrange`), at their right the findings (`summary.rank`)
        and the legends, below them the notice, which says so for networks for phantoms. None where the
        analysis has no picture.

    Raises
    ------
    ConfigError
        If a finding or structure has no codes.
    """
    if analysis.picture is None:
        return None
    ranked = sorted(range(len(analysis.findings)), key=lambda k: rank(analysis.findings[k]))
    shown = [k for k in ranked if analysis.findings[k].present][:MOST]
    grid = arrange(len(shown) + 1, *analysis.picture.shape)
    base = _base(analysis, analysis.picture, grid)
    masks = source_masks(replace(analysis, frame=base.frame))
    found = [(name, mask) for name, mask in zip(analysis.structures, masks, strict=True) if mask.any()]
    tiles = np.zeros((grid.height, grid.width, 3), dtype=np.uint8)
    for number, k in enumerate(shown):
        title = f"{number + 1}  {called(analysis.findings[k], style.language)}"
        if not analysis.findings[k].region:
            title = f"{title}: {say('picture_no_region', style.language)}"
        _place(tiles, grid, number, _finding(base, analysis, k), title, YELLOW)
    _place(tiles, grid, len(shown), _anatomy(base, found), say("picture_anatomy", style.language), WHITE)
    if analysis.model_set.phantom:
        for number in range(len(shown) + 1):
            stamp(_tile(tiles, grid, number), meaning(codes.PHANTOM_SET, style.language))
    names = [name for name, _ in found]
    beside = legend(grid.height, analysis, names, cautions, MOST, style.language)
    whole = np.hstack([tiles, beside])
    notice = band(whole.shape[1], grid.height, analysis.model_set.phantom, style.language)
    return np.vstack([whole, notice])


def outline(picture: Rgb, mask: NDArray[np.bool_], factor: int, color: Color) -> None:
    """Draw the outline of a mask ``[rows, columns]`` into a picture that is `factor` times as large."""
    import cv2

    grey = enlarge(mask.astype(np.uint8), factor)
    outlines, _ = cv2.findContours(grey, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, outlines, -1, color, _line(picture))


def _base(analysis: Analysis, picture: NDArray[np.uint8], grid: Grid) -> _Base:
    """Fit the image into a tile, and mark the square that the networks saw where it is not the whole."""
    import cv2

    rows, columns = grid.tile
    frame = analysis.frame
    across = min(rows / (frame.rows * frame.aspect), columns / frame.columns)
    down = across * frame.aspect
    size = min(rows, max(1, round(frame.rows * down))), min(columns, max(1, round(frame.columns * across)))
    how = cv2.INTER_AREA if size[0] < len(picture) else cv2.INTER_LINEAR
    top, left = (rows - size[0]) // 2, (columns - size[1]) // 2
    tile = np.zeros((rows, columns, 3), dtype=np.uint8)
    tile[top : top + size[0], left : left + size[1]] = cv2.resize(picture, size[::-1], interpolation=how)[
        ..., None
    ]
    side = max(1, round(frame.side * down))
    square = Frame(rows, columns, top + round(frame.top * down), left + round(frame.left * across), side)
    if frame.extent != (frame.rows, frame.columns):
        ends = (square.left, square.top), (square.left + side - 1, square.top + side - 1)
        cv2.rectangle(tile, *ends, _BORDER, 1)
    return _Base(tile, (down, across), (top, left), square)


def _finding(base: _Base, analysis: Analysis, k: int) -> Rgb:
    """Return the tile of one finding: its heat, and its region's outline."""
    import cv2

    shares = heat.share(analysis, k, base.frame)
    picture = base.picture.copy() if shares is None else heat.blend(base.picture, shares)
    region = np.array(analysis.findings[k].region)
    if len(region):
        # Graphic data count from the corner of the top left pixel, OpenCV from its centre.
        corners = np.round(region * base.scale[::-1] + base.corner[::-1] - 0.5).astype(np.int32)
        line = _line(picture)
        cv2.polylines(picture, [corners], isClosed=True, color=(0, 0, 0), thickness=3 * line)
        cv2.polylines(picture, [corners], isClosed=True, color=YELLOW, thickness=line)
    return picture


def _anatomy(base: _Base, found: Sequence[tuple[str, NDArray[np.bool_]]]) -> Rgb:
    picture = base.picture.copy()
    for name, mask in found:
        outline(picture, mask, 1, codes.structure(name).color)
    return picture


def _place(tiles: Rgb, grid: Grid, number: int, picture: Rgb, title: str, color: Color) -> None:
    """Put a tile into its place, with its title above it."""
    _tile(tiles, grid, number)[:] = picture
    top, left = grid.place(number)
    column = tiles[:, left : left + grid.tile[1]]
    write(column, title, (grid.title // 4, top - grid.title // 4), grid.title * 0.8, color)


def _tile(tiles: Rgb, grid: Grid, number: int) -> Rgb:
    top, left = grid.place(number)
    return tiles[top : top + grid.tile[0], left : left + grid.tile[1]]


def _line(picture: Rgb) -> int:
    """Return how thick outlines are: one pixel in 400."""
    return max(1, round(len(picture) / 400))

"""A contact sheet: some images of a dataset with their labels and what was outlined on them."""

from __future__ import annotations

from textwrap import wrap

import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import DatasetError, ImageError
from xrv_node.lab.datasets.images import for_each, open_image
from xrv_node.lab.datasets.masks import pathology_masks, semantic_masks
from xrv_node.lab.datasets.table import Item, LabelTable
from xrv_node.radiograph.display import display
from xrv_node.report.lettering import GREY, RED, WHITE, Color, Rgb, write

SIDE = 320
"""Pixels of the square that an image is shown in."""
_LINE = 18
"""Pixels of a line of text."""
_LETTERS = 38
"""In a line of text of an image's width."""
_LINES = 4
"""Lines below an image: what it is, whose, its labels, its outlines."""
_COLORS: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
)
"""Of the outlines: the bright ones of Okabe and Ito (2008), which the colour-blind tell apart too."""


def sheet(table: LabelTable, *, count: int = 12, seed: int = 0, across: int = 4) -> Rgb:
    """Draw some images of a table.

    Parameters
    ----------
    table
        Any.
    count
        How many, at least 1; all if it has fewer.
    seed
        Of their choice.
    across
        Images in a row, at least 1.

    Returns
    -------
    numpy.ndarray
        uint8 ``[rows, columns, 3]``, RGB: in the order of the table, outlines drawn on the images, below each
        its file, view, sex and age, the labels that are present, and the names of its outlines. An image that
        cannot be read says so in its place.

    Raises
    ------
    DatasetError
        The table is empty.
    """
    if not len(table):
        raise DatasetError(
            f"{table.name} has no image to show; choose other views, or leave --with-masks out"
        )
    chosen = np.random.default_rng(seed).choice(len(table), min(count, len(table)), replace=False)
    rows = np.sort(chosen).tolist()
    tiles = list(for_each(lambda number: _tile(table, table[rows[number]]), len(rows)))
    across = min(across, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % across)
    lines = [np.hstack(tiles[first : first + across]) for first in range(0, len(tiles), across)]
    title = np.zeros((round(1.5 * _LINE), lines[0].shape[1], 3), np.uint8)
    words = f"{table.name}: {len(rows)} of {len(table)} images, seed {seed}. For research, not for diagnosis."
    write(title, words, (_LINE // 2, _LINE), _LINE, RED)
    return np.vstack([title, *lines])


def _tile(table: LabelTable, item: Item) -> Rgb:
    tile = np.zeros((SIDE + _LINES * _LINE + _LINE // 2, SIDE, 3), np.uint8)
    row = table.csv.iloc[item.idx]
    age = "" if np.isnan(row["age_years"]) else f"{row['age_years']:.0f} y"
    present = [name for name, value in zip(table.pathologies, item.lab, strict=True) if value > 0]
    _line(tile, 0, row["image"], GREY)
    _line(tile, 1, " ".join(filter(None, (item.view, row["sex"], age))), WHITE)
    _line(tile, 2, ", ".join(present) or "no label present", WHITE)
    try:
        radiograph = open_image(item.image)
        size = (radiograph.rows, radiograph.columns)
        found = {table.pathologies[at]: mask for at, mask in pathology_masks(table, item, size).items()}
        found |= semantic_masks(table, item, size)
    except (ImageError, DatasetError) as error:
        for number, words in enumerate(wrap(str(error), _LETTERS)):
            write(tile, words, (_LINE // 3, (number + 2) * _LINE), _LINE, RED)
        return tile
    grey = display(radiograph, SIDE)
    top, left = (SIDE - grey.shape[0]) // 2, (SIDE - grey.shape[1]) // 2
    place = tile[top : top + grey.shape[0], left : left + grey.shape[1]]
    place[:] = grey[..., np.newaxis]
    width = SIDE // max(1, len(found))
    for number, (name, mask) in enumerate(found.items()):
        color = _COLORS[number % len(_COLORS)]
        place[_border(mask, grey.shape)] = color
        part = tile[:, number * width : (number + 1) * width]
        _line(part, 3, name if mask.any() else f"{name}: empty", color)
    return tile


def _line(tile: Rgb, number: int, words: str, color: Color) -> None:
    write(tile, words, (_LINE // 3, SIDE + (number + 1) * _LINE), _LINE, color)


def _border(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The outermost pixels of a mask, brought to the size of the picture; a small mask does not vanish."""
    small = cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    inside = (small > 0).astype(np.uint8)
    inner = cv2.erode(inside, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.greater(inside, inner)

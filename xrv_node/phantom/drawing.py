"""Shapes and places that findings and distractions are drawn with."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from xrv_node.phantom.canvas import SIGN, Canvas, blurred, box, coordinates
from xrv_node.phantom.place import Side


def either(dice: Generator) -> Side:
    """Draw a side."""
    return "right" if dice.random() < 0.5 else "left"


def hilum_of(canvas: Canvas, side: str) -> NDArray[np.float64]:
    """Return row and column of a hilum: where the vessels of a lung enter it."""
    mask = canvas.clear(side)
    top, bottom, first, last = box(mask)
    inner = last if side == "right" else first
    return np.asarray((top + 0.48 * (bottom - top), inner + SIGN[side] * canvas.pixels(8)), np.float64)


def border_of(canvas: Canvas, side: str, row: int, otherwise: float) -> float:
    """Return the outermost column of a lung in a row; `otherwise` where it has none there."""
    columns = np.flatnonzero(canvas.lung(side)[row])
    if not len(columns):
        return float(otherwise)
    return float(columns[0] if side == "right" else columns[-1])


def ball(
    canvas: Canvas, dice: Generator, centre: tuple[float, float], mm: float, uneven: float
) -> NDArray[np.float32]:
    """Return the thickness of a lobulated ball over its diameter."""
    rows, columns = coordinates(canvas.size)
    y, x = rows - centre[0], columns - centre[1]
    angle = np.arctan2(y, x)
    radius = canvas.pixels(mm / 2) * np.ones_like(angle)
    for wave in range(2, 6):
        radius *= 1 + uneven / wave * np.sin(wave * angle + float(dice.uniform(0, 6.28)))
    return np.asarray(np.sqrt(np.clip(1 - (x**2 + y**2) / radius**2, 0, None)), np.float32)


def softened(mask: NDArray[np.bool_], pixels: float) -> NDArray[np.float32]:
    """Return a mask as 0 to 1 whose border is so many pixels wide."""
    return blurred(mask.astype(np.float32), pixels)


def draw_line(plane: NDArray[np.float32], start: object, end: object, width: float) -> None:
    """Draw a soft line from 0 to 1 into a plane; places are row and column."""
    (y1, x1), (y2, x2) = np.asarray(start, float), np.asarray(end, float)
    rows, columns = coordinates(len(plane))
    length = max(float(np.hypot(y2 - y1, x2 - x1)), 1e-3)
    along = ((rows - y1) * (y2 - y1) + (columns - x1) * (x2 - x1)) / length
    across = ((rows - y1) * (x2 - x1) - (columns - x1) * (y2 - y1)) / length
    beyond = np.maximum(np.maximum(-along, along - length), 0)
    np.maximum(plane, np.exp(-((np.hypot(across, beyond) / max(width * 0.6, 0.5)) ** 2)), out=plane)


def extent(canvas: Canvas, mask: NDArray[np.bool_]) -> float:
    """Return the longer side of the box about a mask, in mm."""
    top, bottom, first, last = box(mask)
    return float(max(bottom - top, last - first) * canvas.spacing)

"""What changes the shape of the chest rather than the density of the lungs."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from xrv_node.phantom.canvas import THICK_MM, Canvas, blurred, box, coordinates, middle
from xrv_node.phantom.drawing import ball, either, extent, softened
from xrv_node.phantom.place import Place
from xrv_node.phantom.warps import diaphragm, heart, mediastinum, moved, warp_soft

LARGE = 0.55
"""Cardiothoracic ratio above which a heart is large here: 0.5 is for a patient who stands, this one lay."""


def cardiothoracic_ratio(canvas: Canvas) -> float:
    """Return the greatest width of the heart over that of the lungs, as they are drawn."""
    heart_mask = canvas.seen("heart")
    lungs = canvas.lung("right") | canvas.lung("left")
    _, _, first, last = box(heart_mask)
    _, _, left_edge, right_edge = box(lungs)
    return (last - first) / max(1, right_edge - left_edge)


def size_heart(canvas: Canvas, ratio: float) -> None:
    """Scale the heart to a cardiothoracic ratio, as nearly as there is room."""
    for _ in range(2):  # the lungs hold it: the second time makes up for what the first could not
        factor = float(np.clip(ratio / max(cardiothoracic_ratio(canvas), 0.1), 0.7, 1.6))
        warp_soft(canvas, heart(canvas, factor))


def cardiomegaly(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """Return the place of a heart that is large already (`size_heart`)."""
    mask = canvas.seen("heart")
    return Place("middle", extent(canvas, mask), mask)


def enlarged_cardiomediastinum(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """Widen the upper mediastinum by 18 to 26 mm to each side."""
    warp_soft(canvas, mediastinum(canvas, float(dice.uniform(18, 26)) * strength))
    vessels = (canvas.depth["great_vessels"] + canvas.depth["aorta"]) > THICK_MM
    lungs = canvas.lung("right") | canvas.lung("left")
    top, _, first, last = box(lungs)
    rows, columns = coordinates(canvas.size)
    central = np.abs(columns - (first + last) / 2) < 0.22 * (last - first)
    end = box(canvas.seen("heart"))[0] + canvas.pixels(15)
    mask = vessels & central & (rows > top + canvas.pixels(20)) & (rows < end)
    return Place("middle", extent(canvas, mask), mask)


def emphysema(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """Flat and low domes, dark lungs, few and thin vessels, a narrow heart."""
    down = float(dice.uniform(14, 20)) * strength
    warp_soft(canvas, diaphragm(canvas, down, down))
    warp_soft(canvas, heart(canvas, 1 - 0.12 * strength))
    soft = softened(canvas.lung("right") | canvas.lung("left"), canvas.pixels(2))
    canvas.mass["lung"] *= 1 - 0.5 * strength * soft
    canvas.mass["vessels"] *= 1 - 0.6 * strength * soft
    mask = canvas.clear("right") | canvas.clear("left")
    return Place("both", extent(canvas, mask), mask)


def hernia(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """A part of the stomach behind the heart: a wall, fluid below, air above."""
    dome = box(canvas.seen("abdomen") & canvas.lung("left"))[0]
    _, column = middle(canvas.seen("heart"))
    mm = float(dice.uniform(58, 84))
    centre = (dome - canvas.pixels(mm * 0.28), column - canvas.pixels(float(dice.uniform(0, 14))))
    shape = ball(canvas, dice, centre, mm, 0.1)
    rows, _ = coordinates(canvas.size)
    level = centre[0] + canvas.pixels(float(dice.uniform(-4, 6)))
    below = np.clip((rows - level) / canvas.pixels(1.2) + 0.5, 0, 1)
    wall = ((shape > 0) & (shape < 0.4)).astype(np.float32)
    canvas.mass["added"] += strength * (
        blurred(wall, canvas.pixels(0.8)) * float(dice.uniform(14, 22))
        + shape * (below * float(dice.uniform(36, 52)) - (1 - below) * 26)
    )
    return Place("middle", mm, shape > 0.15)


def fracture(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """Two to four neighbouring ribs broken at the side: ends apart, a gap, a step, overlapping edges."""
    side = either(dice)
    lung = canvas.lung(side)
    top, bottom, first, last = box(lung)
    size = canvas.size
    rows, columns = coordinates(size)
    ribs = blurred(canvas.mass["ribs"], canvas.pixels(1.5))
    outer = (last - first) * 0.42
    lateral = (columns < first + outer) if side == "right" else (columns > last - outer)
    height = (rows > top + 0.18 * (bottom - top)) & (rows < top + 0.78 * (bottom - top))
    there = np.where(lung & lateral & height, ribs, 0)
    shift_rows, shift_columns = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    gap, ends, mask = (np.zeros((size, size), np.float32) for _ in range(3))
    centre: tuple[float, float] | None = None
    for _ in range(int(dice.integers(2, 5))):
        near = there if centre is None else there * _beside(centre, canvas)
        if near.max() <= 0:
            break
        strong = np.argwhere(near > 0.75 * near.max())
        at = strong[int(dice.integers(len(strong)))]
        centre = (float(at[0]), float(at[1]))
        along = _direction(ribs, at, canvas)
        y, x = rows - centre[0], columns - centre[1]
        on, off = y * along[0] + x * along[1], y * along[1] - x * along[0]
        window = np.exp(-((on**2 + off**2) / canvas.pixels(13) ** 2))
        step = canvas.pixels(float(dice.uniform(10, 14))) * (1 if dice.random() < 0.5 else -1) * strength
        half = np.tanh(on / canvas.pixels(1.0)) * window * step / 2
        shift_rows += (half * along[1]).astype(np.float32)
        shift_columns -= (half * along[0]).astype(np.float32)
        close = np.exp(-((off / canvas.pixels(11)) ** 2))
        gap = np.maximum(gap, np.exp(-((on / canvas.pixels(2.4)) ** 2)) * close)
        edges = np.exp(-(((np.abs(on) - canvas.pixels(4)) / canvas.pixels(1.6)) ** 2))
        ends = np.maximum(ends, edges * close)
        mask = np.maximum(mask, window)
        there = there * (np.hypot(y, x) > canvas.pixels(13))
    broken = moved(canvas.mass["ribs"], (shift_rows, shift_columns))
    canvas.mass["ribs"] = np.asarray(broken * (1 - 0.95 * gap) * (1 + 1.8 * strength * ends), np.float32)
    return Place(side, extent(canvas, mask > 0.5), mask > 0.5)


def _beside(centre: tuple[float, float], canvas: Canvas) -> NDArray[np.float32]:
    """Weigh what lies on the next ribs above and below a place."""
    rows, columns = coordinates(canvas.size)
    far = np.abs(rows - centre[0]) * canvas.spacing
    near = np.abs(columns - centre[1]) * canvas.spacing
    return np.asarray(((far > 15) & (far < 40) & (near < 22)).astype(np.float32))


def _direction(ribs: NDArray[np.float32], at: NDArray[np.int64], canvas: Canvas) -> tuple[float, float]:
    """Return the direction of a rib, row and column, from the structure tensor about a place."""
    half = max(3, round(canvas.pixels(7)))
    part = ribs[max(0, at[0] - half) : at[0] + half + 1, max(0, at[1] - half) : at[1] + half + 1]
    down, across = np.gradient(part)
    angle = 0.5 * np.arctan2(2 * float((down * across).sum()), float((across**2 - down**2).sum()))
    # the gradient's main direction is across the rib
    return float(np.cos(angle)), float(-np.sin(angle))

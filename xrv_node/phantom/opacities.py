"""What makes the lungs denser: drawn into a canvas, in mm of water.

Each function takes a canvas, a seeded generator and a strength (1: as the phantom draws; 0.7: fainter), and
returns the place. Densities and sizes are chosen, not measured: such that a reader would call the finding.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from xrv_node.phantom.canvas import SIDES, SIGN, Canvas, blurred, box, cloud, coordinates, middle
from xrv_node.phantom.drawing import ball, border_of, draw_line, either, extent, hilum_of, softened
from xrv_node.phantom.place import Place, Side
from xrv_node.phantom.warps import diaphragm, warp_soft


def nodule(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """One to three round shadows of 13 to 29 mm."""
    total = np.zeros((canvas.size, canvas.size), np.float32)
    largest, sides = 0.0, set()
    for _ in range(int(dice.integers(1, 4))):
        mm = float(dice.uniform(15, 29))
        side = either(dice)
        centre = _inside(canvas, dice, side, canvas.pixels(mm * 0.45))
        shape = ball(canvas, dice, centre, mm, 0.12)
        total = np.maximum(total, shape * mm)
        largest = max(largest, mm)
        sides.add(side)
    canvas.mass["added"] += strength * float(dice.uniform(1.6, 2.1)) * total
    return Place(_sides(sides), largest, total > 0.15 * largest)


def mass(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """One lobulated shadow of 34 to 72 mm."""
    mm, side = float(dice.uniform(36, 68)), either(dice)
    centre = _inside(canvas, dice, side, canvas.pixels(mm * 0.4))
    shape = ball(canvas, dice, centre, mm, 0.3)
    canvas.mass["added"] += strength * min(1.25 * mm, 62.0) * shape
    return Place(side, mm, shape > 0.2)


def consolidation(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """A dense part of a lung with soft borders, in which vessels are lost and bronchi stay dark."""
    side = either(dice)
    mm = float(dice.uniform(60, 100))
    centre = _inside(canvas, dice, side, canvas.pixels(18))
    shape = _patch(canvas, dice, centre, (mm * 0.62, mm * 0.5), 0.35) * softened(
        canvas.clear(side), canvas.pixels(2.5)
    )
    bronchi = np.zeros_like(shape)
    hilum = hilum_of(canvas, side)
    for _ in range(5):
        end = centre + dice.normal(0, canvas.pixels(mm * 0.22), 2)
        start = hilum + 0.35 * (np.asarray(centre) - hilum)
        draw_line(bronchi, start, end, canvas.pixels(1.8))
    texture = 1 + 0.16 * cloud(dice, canvas.size, canvas.pixels(16), 3)
    canvas.mass["added"] += strength * float(dice.uniform(48, 75)) * shape * np.clip(texture, 0.4, 1.6)
    canvas.mass["added"] -= strength * 13 * bronchi * shape
    canvas.mass["vessels"] *= 1 - 0.8 * shape
    return Place(side, mm, shape > 0.3)


def infiltration(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """Several faint patches beside one another, with streaks: nothing has a border."""
    side, size = either(dice), canvas.size
    centre = np.asarray(_inside(canvas, dice, side, canvas.pixels(14)))
    shape = np.zeros((size, size), np.float32)
    for _ in range(int(dice.integers(6, 10))):
        where = centre + dice.normal(0, canvas.pixels(24), 2) * (1.3, 0.7)
        mm = float(dice.uniform(14, 26))
        shape += 0.75 * _patch(canvas, dice, (float(where[0]), float(where[1])), (mm * 0.6, mm * 0.5), 0.5)
    shape = np.minimum(shape, 1.15) * softened(canvas.clear(side), canvas.pixels(2.5))
    streaks = np.exp(-((cloud(dice, size, canvas.pixels(9), 1) / 0.22) ** 2)).astype(np.float32)
    canvas.mass["added"] += strength * float(dice.uniform(26, 36)) * shape * (0.62 + 0.75 * streaks)
    return Place(side, extent(canvas, shape > 0.3), shape > 0.3)


def edema(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """Both lungs about the hila, like wings, with blurred vessels and short lines at the lower borders."""
    size = canvas.size
    rows, columns = coordinates(size)
    shape, lines = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    reach = canvas.pixels(float(dice.uniform(46, 62)))
    for side in SIDES:
        hilum = hilum_of(canvas, side)
        outwards = canvas.pixels(18) * SIGN[side]
        away = np.hypot((rows - hilum[0]) / 1.25, columns - hilum[1] - outwards) / reach
        wing = np.exp(-(away**2)) * softened(canvas.clear(side), canvas.pixels(2))
        shape = np.maximum(shape, wing)
        _top, bottom, first, last = box(canvas.clear(side))
        outer, inwards = (first, 1) if side == "right" else (last, -1)
        for _ in range(6):
            row = bottom - canvas.pixels(float(dice.uniform(8, 70)))
            border = border_of(canvas, side, int(np.clip(row, 0, size - 1)), outer)
            end = border + inwards * canvas.pixels(float(dice.uniform(12, 22)))
            draw_line(
                lines,
                (row, border),
                (row + canvas.pixels(float(dice.normal(0, 1.5))), end),
                canvas.pixels(1.1),
            )
    texture = np.clip(1 + 0.22 * cloud(dice, size, canvas.pixels(12), 3), 0.3, 1.7)
    canvas.mass["added"] += strength * (float(dice.uniform(40, 58)) * shape * texture + 12 * lines)
    vessels = canvas.mass["vessels"]
    canvas.mass["vessels"] = blurred(vessels, canvas.pixels(2.5)) * 1.5 * shape + vessels * (1 - shape)
    return Place("both", 2 * reach * canvas.spacing, shape > 0.35)


def atelectasis(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """Plates above a raised dome."""
    side, size = either(dice), canvas.size
    raised = float(dice.uniform(12, 24)) * (0.5 + 0.5 * strength)
    warp_soft(canvas, diaphragm(canvas, *((-raised, 0.0) if side == "right" else (0.0, -raised))))
    clear = canvas.clear(side)
    _top, _bottom, first, last = box(clear)
    dome = size - 1 - clear[::-1].argmax(axis=0)
    shape, longest = np.zeros((size, size), np.float32), 0.0
    for number in range(int(dice.integers(2, 4))):
        column = first + (last - first) * float(dice.uniform(0.4, 0.6))
        above = float(dice.uniform(8, 18)) + number * float(dice.uniform(14, 22))
        row = dome[int(column)] - canvas.pixels(above)
        mm, lean = float(dice.uniform(45, 85)), float(dice.normal(0, 0.22))
        half = canvas.pixels(mm / 2)
        draw_line(
            shape,
            (row - lean * half, column - half),
            (row + lean * half, column + half),
            canvas.pixels(float(dice.uniform(5, 8))),
        )
        longest = max(longest, mm)
    shape *= softened(clear, canvas.pixels(1.5))
    canvas.mass["added"] += strength * float(dice.uniform(32, 46)) * shape
    return Place(side, longest, shape > 0.3)


def fibrosis(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """A net at the bases and the periphery of both lungs, which have shrunk a little."""
    lift = -float(dice.uniform(4, 9))
    warp_soft(canvas, diaphragm(canvas, lift, lift))
    size = canvas.size
    rows, _ = coordinates(size)
    where = np.zeros((size, size), np.float32)
    for side in SIDES:
        clear = canvas.clear(side)
        top, bottom, _, _ = box(clear)
        inner = cv2.distanceTransform(canvas.lung(side).astype(np.uint8), cv2.DIST_L2, 5) * canvas.spacing
        low = np.clip((rows - (top + 0.42 * (bottom - top))) / max(1.0, 0.25 * (bottom - top)), 0, 1)
        where += low * np.exp(-((inner / 38) ** 2)) * softened(clear, canvas.pixels(1.5))
    net = np.zeros((size, size), np.float32)
    for grain in (11, 8):
        net += np.exp(-((cloud(dice, size, canvas.pixels(grain), 1) / 0.2) ** 2)).astype(np.float32)
    canvas.mass["added"] += strength * float(dice.uniform(24, 34)) * where * (net + 0.25)
    return Place("both", extent(canvas, where > 0.3), where > 0.3)


def _sides(sides: set[Side]) -> Side:
    return "both" if len(sides) > 1 else next(iter(sides))


def _inside(canvas: Canvas, dice: Generator, side: str, margin: float) -> tuple[float, float]:
    """Return a place in the clear lung, so many pixels from its border as far as it is wide enough."""
    away = cv2.distanceTransform(np.pad(canvas.clear(side).astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    rows, columns = np.nonzero(away >= min(margin, 0.8 * float(away.max())))
    if not len(rows):
        return middle(canvas.lung(side))
    chosen = int(dice.integers(len(rows)))
    return float(rows[chosen]), float(columns[chosen])


def _patch(
    canvas: Canvas, dice: Generator, centre: tuple[float, float], mm: tuple[float, float], uneven: float
) -> NDArray[np.float32]:
    """Return a patch of 0 to 1 with soft and ragged borders; `mm` are its half axes."""
    rows, columns = coordinates(canvas.size)
    away = np.hypot((rows - centre[0]) / canvas.pixels(mm[0]), (columns - centre[1]) / canvas.pixels(mm[1]))
    ragged = away + uneven * cloud(dice, canvas.size, canvas.pixels(max(mm) * 0.8), 3) * 0.5
    part = np.clip((1.15 - ragged) / 0.45, 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)

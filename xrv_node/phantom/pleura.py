"""What lies about the lungs: fluid, air and scars of the pleura."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from xrv_node.phantom.canvas import Canvas, blurred, box, cloud, coordinates
from xrv_node.phantom.drawing import border_of, either, extent, hilum_of, softened
from xrv_node.phantom.place import Place

FLUID_FOR_LUNG = 0.78
"""What fluid adds where it lies in place of lung, in g/cm3: about 1.02 less 0.25."""


def effusion(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """Fluid at the base, whose upper border rises towards the side."""
    side, size = either(dice), canvas.size
    lung = canvas.lung(side)
    _, bottom, first, last = box(lung)
    dome = box(lung & canvas.seen("abdomen"))[0] or bottom
    rows, columns = coordinates(size)
    outward = np.clip((columns - first) / max(1, last - first), 0, 1)
    outward = 1 - outward if side == "right" else outward
    height = canvas.pixels(float(dice.uniform(34, 95)))
    lowest = dome + canvas.pixels(12)
    line = lowest - height * (0.25 + 0.75 * outward**2.2)
    line = line + canvas.pixels(2) * cloud(dice, size, canvas.pixels(50), 1)
    part = np.clip((rows - line) / canvas.pixels(18), 0, 1) * softened(lung, canvas.pixels(1.5))
    depth = canvas.depth[f"lung_{side}"]
    canvas.mass["added"] += strength * FLUID_FOR_LUNG * np.minimum(depth * 0.85 + 18 * part, 125) * part
    canvas.mass["vessels"] *= 1 - part
    mask = (part > 0.3) & lung
    return Place(side, extent(canvas, mask), mask)


def pneumothorax(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """Air about a lung that has shrunk towards its hilum: no vessels there, and the pleura as a line."""
    side, size = either(dice), canvas.size
    lung = canvas.lung(side)
    hilum = hilum_of(canvas, side)
    rows, columns = coordinates(size)
    wide = float(dice.uniform(0.56, 0.8))
    high = 1 - (1 - wide) * float(dice.uniform(0.5, 0.8))
    away = columns - hilum[1]
    outwards = -away if side == "right" else away
    bend = canvas.pixels(4) * cloud(dice, size, canvas.pixels(60), 1)
    at = (
        (hilum[1] + np.where(outwards > 0, away / wide, away) + bend).astype(np.float32),
        (hilum[0] + (rows - hilum[0]) / high + bend).astype(np.float32),
    )
    soft = lung.astype(np.float32)
    shrunk = cv2.remap(soft, *at, cv2.INTER_LINEAR)
    inside = blurred(soft, canvas.pixels(0.8))
    replaced = inside * min(strength, 1.0)
    for name in ("lung", "vessels"):
        plane = canvas.mass[name]
        moved = cv2.remap(plane, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * min(1 / wide, 1.4)
        canvas.mass[name] = np.asarray(plane * (1 - replaced) + moved * shrunk * replaced, np.float32)
    air = lung & (shrunk < 0.5)
    hidden = softened(canvas.seen("abdomen"), canvas.pixels(2))
    collapsed = softened((shrunk >= 0.5) & lung, canvas.pixels(0.9))
    line = 4 * collapsed * softened(air, canvas.pixels(0.9))
    canvas.mass["added"] += (
        strength * float(dice.uniform(17, 25)) * np.clip(line, 0, 1) * inside * (1 - hidden)
    )
    seen = air & canvas.clear(side)
    return Place(side, extent(canvas, seen), seen)


def pleural_thickening(canvas: Canvas, dice: Generator, strength: float) -> Place:
    """A dense and lumpy rim at the side of a lung."""
    side, size = either(dice), canvas.size
    lung = canvas.lung(side)
    top, bottom, first, last = box(lung)
    rows, columns = coordinates(size)
    outermost = np.array(
        [border_of(canvas, side, row, first if side == "right" else last) for row in range(size)], np.float32
    )[:, None]
    away = np.abs(columns - outermost) * canvas.spacing
    low = top + (bottom - top) * float(dice.uniform(0.2, 0.45))
    half = canvas.pixels(float(dice.uniform(30, 52)))
    ends = np.clip((half - np.abs(rows - low - half)) / canvas.pixels(12), 0, 1)
    width = float(dice.uniform(10, 15)) * (1 + 0.22 * cloud(dice, size, canvas.pixels(22), 2))
    shape = np.clip((width - away) / 3.0 + 0.5, 0, 1) * ends * softened(lung, canvas.pixels(1))
    canvas.mass["added"] += strength * float(dice.uniform(46, 64)) * shape
    return Place(side, extent(canvas, shape > 0.3), shape > 0.3)

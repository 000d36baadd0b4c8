"""What a scanner's picture lacks of a standing person: arms that hang, clavicles, shoulder lines, breasts."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from xrv_node.phantom.canvas import SIDES, SIGN, Canvas, blurred, box, cloud, coordinates
from xrv_node.phantom.warps import affine, moved

CLAVICLE = (
    (0.0, 8.5, 0.6, 0.0),
    (0.06, 8.2, 0.7, 0.6),
    (0.2, 6.2, 1.2, 1.0),
    (0.5, 5.2, 1.7, 1.0),
    (0.8, 5.6, 1.2, 0.9),
    (0.95, 6.8, 0.7, 0.6),
    (1.0, 6.6, 0.6, 0.0),
)
"""Along a clavicle from the breastbone: which part of the way, radius and cortex in mm, and how much of it is
seen; its ends are spongy, and hidden among other bones."""

MARROW = 0.28
"""What spongy bone holds over water, in g/cm3; cortex holds 0.85."""


def move_blades(canvas: Canvas, dice: Generator, out_mm: float = 6.0) -> None:
    """Turn and move each shoulder blade: outwards, as far as arms and hands on the hips take it."""
    for side in SIDES:
        name = f"scapula_{side}"
        turn = float(dice.normal(-4, 5)) * SIGN[side]
        rows, columns = affine(
            canvas, float(dice.uniform(0.94, 1.06)), float(dice.uniform(0.94, 1.06)), 0, turn
        )
        across = canvas.pixels(float(dice.normal(out_mm, 6))) * SIGN[side]
        down = canvas.pixels(float(dice.normal(2, 6)))
        shift = (rows - down, columns - across)
        canvas.mass[f"girdle_{side}"] = moved(canvas.mass[f"girdle_{side}"], shift)
        canvas.depth[name] = moved(canvas.depth[name], shift)


def draw_clavicles(canvas: Canvas, dice: Generator) -> None:
    """Draw both clavicles from the breastbone to the shoulder: a tube in the shape of an S, with a cortex."""
    top, _, _first, _last = box(canvas.lung("right") | canvas.lung("left"))
    middle = canvas.midline()
    bone = np.zeros((canvas.size, canvas.size), np.float32)
    level = top + canvas.pixels(float(dice.normal(34, 5)))
    for side in SIDES:
        start = (level + canvas.pixels(float(dice.normal(0, 3))), middle + SIGN[side] * canvas.pixels(20))
        reach = canvas.pixels(float(dice.normal(146, 6)))
        rise = canvas.pixels(float(dice.normal(36, 9)))
        bend = canvas.pixels(float(dice.normal(7, 2)))
        part = np.linspace(0, 1, 40)
        along = start[1] + SIGN[side] * reach * part
        up = start[0] - rise * part**0.8 - bend * np.sin(2 * np.pi * part)
        mass, depth = _tube(canvas, np.stack([along, up], axis=1))
        bone += mass
        canvas.depth[f"clavicle_{side}"] = depth
    grain = 1 + 0.12 * cloud(dice, canvas.size, canvas.pixels(4.0))
    canvas.mass["drawn_bone"] = blurred(bone * grain, canvas.pixels(0.5))


def _tube(canvas: Canvas, points: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what a hollow bone adds to water, and its thickness, both in mm along the beam."""
    size = canvas.size
    line = np.full((size, size), 255, np.uint8)
    cv2.polylines(line, [np.round(points * 16).astype(np.int32)[:, None]], False, 0, 1, cv2.LINE_8, 4)
    far, nearest = cv2.distanceTransformWithLabels(line, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    places = np.zeros(int(nearest.max()) + 1, np.float32)
    rows, columns = np.nonzero(line == 0)
    places[nearest[rows, columns]] = columns
    part = np.abs(places[nearest] - points[0, 0]) / np.abs(points[-1, 0] - points[0, 0])
    parts, radii, cortices, shares = np.array(CLAVICLE).T
    outer = np.interp(part, parts, radii)
    inner = outer - np.interp(part, parts, cortices)
    distance = far * canvas.spacing
    whole = 2 * np.sqrt(np.clip(outer**2 - distance**2, 0, None))
    marrow = 2 * np.sqrt(np.clip(inner**2 - distance**2, 0, None))
    held = (0.85 * (whole - marrow) + MARROW * marrow) * np.interp(part, parts, shares)
    return held.astype(np.float32), whole.astype(np.float32)


def cut_shoulders(canvas: Canvas, dice: Generator) -> None:
    """Let the shoulders slope from the neck, and take raised arms away: above the line there is air."""
    top = box(canvas.lung("right") | canvas.lung("left"))[0]
    middle = canvas.midline()
    rows, columns = coordinates(canvas.size)
    soft = canvas.mass["soft"]
    slope, neck = float(dice.normal(0.42, 0.07)), float(dice.normal(58, 6))
    start = top - canvas.pixels(float(dice.normal(46, 6)))
    away = np.abs(columns - middle) - canvas.pixels(neck)
    line = start + slope * np.clip(away, 0, None) + np.where(away < 0, 4 * away, 0)
    line = np.minimum(line, top + canvas.pixels(45))
    below = (rows - line) * canvas.spacing  # mm under the skin
    room = 150 * np.sqrt(np.clip(below, 0, None) / 75)  # a shoulder is round: thick at once
    upper = rows < top + canvas.pixels(40)
    kept = np.where(upper, np.minimum(soft, room), soft)
    fade = np.clip((rows - top - canvas.pixels(10)) / canvas.pixels(30), 0, 1)
    canvas.mass["soft"] = np.asarray(blurred(kept, canvas.pixels(1.2)) * (1 - fade) + soft * fade, np.float32)


def add_breasts(canvas: Canvas, dice: Generator, size: float) -> None:
    """Add breasts of so many mm; their lower rim is what is seen of them."""
    if size < 1:
        return
    rows, columns = coordinates(canvas.size)
    for side in SIDES:
        top, bottom, first, last = box(canvas.lung(side))
        centre = (top + 0.62 * (bottom - top), (first + last) / 2 + SIGN[side] * 0.12 * (last - first))
        high, wide = canvas.pixels(float(dice.normal(58, 6))), canvas.pixels(float(dice.normal(66, 6)))
        y, x = (rows - centre[0]) / high, (columns - centre[1]) / wide
        y = np.where(y < 0, y * 0.55, y)  # it hangs: a rim below, a slope above
        canvas.mass["soft"] += size * np.clip(1 - x**2 - y**2, 0, None).astype(np.float32)

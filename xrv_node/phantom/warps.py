"""Shifts of what is soft in the chest, in the picture: heart, mediastinum, diaphragm. Bones stay."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from xrv_node.phantom.canvas import THICK_MM, Canvas, box, cloud, coordinates

STAY = ("ribs", "spine", "girdle_right", "girdle_left", "drawn_bone")
"""Layers that only `warp_all` moves."""

STAY_DEPTHS = ("vertebrae", "scapula_right", "scapula_left", "clavicle_right", "clavicle_left")

Shift = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Rows and columns to add to a pixel's place to find where it comes from."""


def heart(canvas: Canvas, factor: float) -> Shift:
    """Scale the heart: most of it to the left, where there is room, never further than the lungs reach.

    Its right border is held by the great veins; the left ventricle grows, and the apex sinks a little.
    """
    mask = canvas.seen("heart")
    top, bottom, first, last = box(mask)
    rows, columns = coordinates(canvas.size)
    centre = first + 0.36 * (last - first)
    shift = np.zeros((canvas.size, canvas.size), np.float32)
    for side, sign, width, grown in (
        ("left", 1, last - centre, factor),
        ("right", -1, centre - first, 1 + 0.4 * (factor - 1)),
    ):
        away = sign * (columns - centre)
        room = np.maximum(sign * (_lateral_border(canvas, side) - centre) - canvas.pixels(5), 4.0)
        border = np.maximum(np.minimum(width * grown, 0.85 * room), 1.0)
        inner = np.minimum(width, 0.9 * room)
        beyond = inner + (away - border) * (room - inner) / np.maximum(room - border, 0.5)
        source = np.where(away < border, away * inner / border, np.where(away < room, beyond, away))
        shift += np.where(away > 0, sign * (source - away), 0).astype(np.float32)
    height = bottom - top
    level_hold = _fading(np.abs(rows - (top + 0.5 * height)) / max(1.0, height / 2), 0.9, 1.6)
    sink = 0.25 * (factor - 1)
    beside = _fading(np.abs(columns - centre) / max(1.0, last - centre), 1.0, 1.6)
    low = _fading(np.abs(rows - bottom) / max(1.0, height), 0.6, 1.2)
    down = -(rows - top) * sink / (1 + sink) * low * beside
    return down.astype(np.float32), (shift * level_hold).astype(np.float32)


def mediastinum(canvas: Canvas, mm: float) -> Shift:
    """Widen what lies between the lungs above the heart, by so many mm to each side."""
    vessels = (canvas.depth["great_vessels"] + canvas.depth["aorta"]) > THICK_MM
    heart_top = box(canvas.seen("heart"))[0]
    above = vessels.copy()
    above[heart_top + int(canvas.pixels(25)) :] = False
    top, bottom, first, last = box(above)
    rows, columns = coordinates(canvas.size)
    centre, half = (first + last) / 2, max(1.0, (last - first) / 2)
    away = np.abs(columns - centre) / half
    up = _fading(np.abs(rows - (0.35 * top + 0.65 * bottom)) / max(1.0, (bottom - top) * 0.5), 0.5, 1.5)
    shift = (
        -np.sign(columns - centre) * canvas.pixels(mm) * np.minimum(away, 1) * _fading(away, 1.3, 2.8) * up
    )
    return np.zeros_like(shift, np.float32), shift.astype(np.float32)


def diaphragm(canvas: Canvas, right_mm: float, left_mm: float) -> Shift:
    """Move each dome; a positive length moves it down."""
    rows, columns = coordinates(canvas.size)
    shift = np.zeros((canvas.size, canvas.size), np.float32)
    middle = canvas.midline()
    for side, mm in (("right", right_mm), ("left", left_mm)):
        under = canvas.seen("abdomen") & canvas.lung(side)
        if not under.any():
            continue
        top, _, _first, _last = box(under)
        line = np.where(under.any(axis=0), under.argmax(axis=0), top + canvas.pixels(15)).astype(np.float32)
        level = np.asarray(cv2.GaussianBlur(line[None], (0, 0), canvas.pixels(12)), np.float32)
        near = _fading(np.abs(rows - level) / canvas.pixels(70), 0.25, 1.0)
        half = (columns < middle) if side == "right" else (columns >= middle)
        whole = half.astype(np.float32) * np.ones_like(rows)
        ends = np.asarray(cv2.GaussianBlur(whole, (0, 0), canvas.pixels(10)), np.float32)
        shift -= canvas.pixels(mm) * near * ends
    return shift, np.zeros_like(shift)


def elastic(canvas: Canvas, dice: Generator, mm: float) -> Shift:
    """Bend at random, so many mm of deviation, in grains of 60 mm."""
    grain = canvas.pixels(60)
    return (
        canvas.pixels(mm) * cloud(dice, canvas.size, grain, 1),
        canvas.pixels(mm) * cloud(dice, canvas.size, grain, 1),
    )


def affine(canvas: Canvas, high: float, wide: float, shear: float, turn: float) -> Shift:
    """Scale, shear and turn (in degrees) about the middle."""
    rows, columns = coordinates(canvas.size)
    half = (canvas.size - 1) / 2
    y, x = rows - half, columns - half
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    return (
        ((cos * y - sin * x) / high - y).astype(np.float32),
        ((sin * y + cos * x + shear * y) / wide - x).astype(np.float32),
    )


def warp_soft(canvas: Canvas, *shifts: Shift) -> None:
    """Move all but the bones by the sum of shifts."""
    _warp(
        canvas,
        shifts,
        [n for n in canvas.mass if n not in STAY],
        [n for n in canvas.depth if n not in STAY_DEPTHS],
    )


def warp_bones(canvas: Canvas, *shifts: Shift) -> None:
    """Move the rib cage alone."""
    _warp(canvas, shifts, ["ribs"], [])


def warp_all(canvas: Canvas, *shifts: Shift) -> None:
    """Move everything."""
    _warp(canvas, shifts, list(canvas.mass), list(canvas.depth))


def moved(plane: NDArray[np.float32], shift: Shift) -> NDArray[np.float32]:
    """Return a plane moved."""
    rows, columns = coordinates(len(plane))
    at = (columns + shift[1]).astype(np.float32), (rows + shift[0]).astype(np.float32)
    return np.asarray(cv2.remap(plane, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _warp(canvas: Canvas, shifts: tuple[Shift, ...], masses: list[str], depths: list[str]) -> None:
    rows, columns = coordinates(canvas.size)
    at_rows = (rows + sum(np.asarray(shift[0]) for shift in shifts)) * np.ones_like(columns)
    at_columns = (columns + sum(np.asarray(shift[1]) for shift in shifts)) * np.ones_like(rows)
    places = at_columns.astype(np.float32), at_rows.astype(np.float32)
    for planes, names in ((canvas.mass, masses), (canvas.depth, depths)):
        for name in names:
            found = cv2.remap(planes[name], *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            planes[name] = np.asarray(found, np.float32)


def _lateral_border(canvas: Canvas, side: str) -> NDArray[np.float32]:
    """Return the outermost column of a lung of each row, ``[size, 1]``, smooth, also where it has none."""
    mask = canvas.lung(side)
    there = np.flatnonzero(mask.any(axis=1))
    if not len(there):
        return np.full((canvas.size, 1), canvas.size / 2, np.float32)
    outer = mask.argmax(axis=1) if side == "right" else canvas.size - 1 - mask[:, ::-1].argmax(axis=1)
    line = np.interp(np.arange(canvas.size), there, outer[there]).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(line[:, None], (0, 0), canvas.pixels(6)), np.float32)


def _fading(distance: NDArray[np.floating], inner: float, outer: float) -> NDArray[np.float32]:
    """1 up to `inner`, 0 from `outer` on, smooth between."""
    part = np.clip((outer - distance) / (outer - inner), 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)

"""What is in many radiographs and is no finding: folds, edges, vessels seen along their way, devices."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from xrv_node.phantom.canvas import Canvas, blurred
from xrv_node.phantom.drawing import draw_line


def add(canvas: Canvas, dice: Generator) -> None:
    """Add some of each at random places; a network must learn that they say nothing."""
    plane = np.zeros((canvas.size, canvas.size), np.float32)
    for _ in range(int(dice.integers(0, 3))):  # skin folds and edges of shoulder blades: dense on one side
        plane += float(dice.uniform(4, 12)) * _edge(canvas, dice)
    for _ in range(int(dice.integers(0, 6))):  # vessels
        line = np.zeros_like(plane)
        start = dice.uniform(0.25, 0.75, 2) * canvas.size
        turn, length = float(dice.uniform(0, 6.28)), canvas.pixels(float(dice.uniform(15, 60)))
        end = start + length * np.array([np.sin(turn), np.cos(turn)])
        draw_line(line, start, end, canvas.pixels(float(dice.uniform(1, 3))))
        plane += float(dice.uniform(3, 9)) * line
    if dice.random() < 0.4:
        plane += _device(canvas, dice)
    canvas.mass["added"] += plane


def _edge(canvas: Canvas, dice: Generator) -> NDArray[np.float32]:
    """Return a curve of 0 to 1 that fades to one side over 15 to 40 mm."""
    points = _curve(canvas, dice)
    line = np.full((canvas.size, canvas.size), 255, np.uint8)
    cv2.polylines(line, [points], False, 0, 1)
    far = cv2.distanceTransform(line, cv2.DIST_L2, 3)
    away = canvas.pixels(float(dice.uniform(15, 40)))
    side = np.zeros_like(line)
    offset = np.array([away, 0]) if dice.random() < 0.5 else np.array([-away, 0])
    cv2.fillPoly(side, [np.concatenate([points, (points + offset.astype(np.int32))[::-1]])], 1)
    return np.asarray(side * np.exp(-far / (0.4 * away)), np.float32)


def _device(canvas: Canvas, dice: Generator) -> NDArray[np.float32]:
    """Return a tube or a wire, or an electrode with its wire, in mm of water."""
    plane = np.zeros((canvas.size, canvas.size), np.uint8)
    points = _curve(canvas, dice)
    cv2.polylines(
        plane, [points], False, 1, max(1, round(canvas.pixels(float(dice.uniform(1, 2.5))))), cv2.LINE_AA
    )
    if dice.random() < 0.5:
        cv2.circle(plane, tuple(int(v) for v in points[-1]), max(2, round(canvas.pixels(5))), 1, -1)
    return blurred(plane.astype(np.float32), 0.5) * float(dice.uniform(8, 30))


def _curve(canvas: Canvas, dice: Generator) -> NDArray[np.int32]:
    start, end, bend = (dice.uniform(0.05, 0.95, 2) * canvas.size for _ in range(3))
    part = np.linspace(0, 1, 24)[:, None]
    return np.round((1 - part) ** 2 * start + 2 * part * (1 - part) * bend + part**2 * end).astype(np.int32)

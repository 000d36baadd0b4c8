"""From the layers of a pose to one image with its findings and outlines."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from xrv_node.phantom import changes, detector, distractions, letters, shoulders
from xrv_node.phantom.canvas import Canvas, begin
from xrv_node.phantom.findings import DRAWN
from xrv_node.phantom.place import Place
from xrv_node.phantom.projection import Layers
from xrv_node.phantom.structures import outlines
from xrv_node.phantom.warps import affine, diaphragm, elastic, mediastinum, warp_all, warp_bones, warp_soft


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """One image."""

    picture: NDArray[np.float32]
    """``[size, size]`` in [0, 1], dense is high."""
    places: dict[str, Place]
    """By finding that is there."""
    masks: NDArray[np.bool_]
    """``[14, size, size]``, as `structures.outlines`; none of a lateral view."""
    cardiothoracic_ratio: float
    spacing: float
    """mm a pixel, at the detector."""


def compose(
    layers: Layers,
    findings: Collection[str],
    dice: Generator,
    *,
    wide: bool = False,
    conspicuity: float = 1.0,
    look: detector.Look | None = None,
    noise: Generator | None = None,
) -> Composed:
    """Compose one image.

    Parameters
    ----------
    layers
        A projected pose.
    findings
        Of `findings.DRAWABLE`, such that `findings.can_be_together`.
    dice
        Decides everything that is left open.
    wide
        Vary shapes, weights and device more than people and devices differ, and add what distracts: for
        training, whose network then finds what does not change.
    conspicuity
        Strength of what is drawn; 1 as it is meant.
    look
        The device; None: drawn.
    noise
        Decides the noise alone, for another exposure of the same; None: `dice` does.
    """
    canvas = begin(layers)
    if layers.view == "LATERAL":
        canvas.mass["drawn_bone"] = np.zeros_like(canvas.mass["soft"])
        return _exposed(canvas, {}, look or detector.draw(dice), noise or dice)
    _vary(canvas, dice, wide)
    large = "Cardiomegaly" in findings
    changes.size_heart(canvas, float(dice.uniform(0.57, 0.64) if large else dice.uniform(0.38, 0.48)))
    warp_soft(
        canvas,
        mediastinum(canvas, float(dice.uniform(-2, 3))),
        diaphragm(canvas, float(dice.uniform(-6, 6)), float(dice.uniform(-6, 6))),
    )
    if wide:
        distractions.add(canvas, dice)
    places = {name: draw(canvas, dice, conspicuity) for name, draw in DRAWN.items() if name in findings}
    image = _exposed(canvas, places, look or detector.draw(dice, wide), noise or dice)
    if wide:
        letters.scatter(image.picture, dice)
    return image


def _vary(canvas: Canvas, dice: Generator, wide: bool) -> None:
    """Give the person shoulders, arms that hang, breasts, and a build of his own."""
    shoulders.move_blades(canvas, dice)
    shoulders.draw_clavicles(canvas, dice)
    shoulders.cut_shoulders(canvas, dice)
    shoulders.add_breasts(canvas, dice, float(dice.uniform(6, 22)) if dice.random() < 0.45 else 0.0)
    if wide:
        high, across = float(dice.uniform(0.9, 1.08)), float(dice.uniform(0.88, 1.08))
        shape = affine(canvas, high, across, float(dice.normal(0, 0.02)), float(dice.normal(0, 2.0)))
        warp_all(canvas, shape, elastic(canvas, dice, 4.0))
        warp_bones(
            canvas, affine(canvas, float(dice.uniform(0.92, 1.1)), 1.0, 0.0, 0.0), elastic(canvas, dice, 2.0)
        )
        canvas.mass["vessels"] *= float(dice.uniform(0.6, 1.7))
        canvas.mass["ribs"] *= float(dice.uniform(0.7, 1.3))
    else:
        warp_all(canvas, elastic(canvas, dice, 1.2))


def _exposed(canvas: Canvas, places: dict[str, Place], look: detector.Look, dice: Generator) -> Composed:
    picture = detector.expose(detector.attenuation(canvas, look), canvas.spacing, look, dice)
    if canvas.view == "LATERAL":
        return Composed(picture, places, np.zeros((0, *picture.shape), np.bool_), 0.0, canvas.spacing)
    ratio = changes.cardiothoracic_ratio(canvas)
    return Composed(picture, places, outlines(canvas), ratio, canvas.spacing)

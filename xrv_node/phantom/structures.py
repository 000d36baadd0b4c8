"""The outlines of the segmenter's structures, from the thickness of what a beam crosses."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node.phantom.canvas import Canvas, blurred, box, coordinates

STRUCTURES = (
    "Left Clavicle",
    "Right Clavicle",
    "Left Scapula",
    "Right Scapula",
    "Left Lung",
    "Right Lung",
    "Left Hilus Pulmonis",
    "Right Hilus Pulmonis",
    "Heart",
    "Aorta",
    "Facies Diaphragmatica",
    "Mediastinum",
    "Weasand",
    "Spine",
)
"""The names of torchxrayvision's segmenter, in its order."""

HILUM = 1.8
"""Standard deviations of its vessels that a hilum reaches."""


def outlines(canvas: Canvas) -> NDArray[np.bool_]:
    """Return ``[14, size, size]`` in the order of `STRUCTURES`.

    Lungs are the lung fields: without what heart, mediastinum and abdomen hide. The dome (Facies
    Diaphragmatica) is the lung behind liver, stomach and spleen; Weasand is the trachea.
    """
    depth = {name: blurred(plane, canvas.pixels(1.2)) for name, plane in canvas.depth.items()}
    heart = depth["heart"] > 10
    chest = np.arange(canvas.size)[:, None] <= box(heart)[1]  # great vessels go on into the abdomen
    great = chest & np.any(
        [depth[name] > 6 for name in ("aorta", "great_vessels", "trachea", "oesophagus")], axis=0
    )
    centre = cv2.morphologyEx((heart | great).astype(np.uint8), cv2.MORPH_CLOSE, _disc(canvas, 9)) > 0
    abdomen = depth["abdomen"] > 10
    lungs = {side: depth[f"lung_{side}"] > 10 for side in ("left", "right")}
    fields = {side: lung & ~centre & ~abdomen for side, lung in lungs.items()}
    found = {
        "Left Clavicle": depth["clavicle_left"] > 1.5,
        "Right Clavicle": depth["clavicle_right"] > 1.5,
        "Left Scapula": depth["scapula_left"] > 1.5,
        "Right Scapula": depth["scapula_right"] > 1.5,
        "Left Lung": fields["left"],
        "Right Lung": fields["right"],
        "Left Hilus Pulmonis": _hilum(canvas, fields["left"]),
        "Right Hilus Pulmonis": _hilum(canvas, fields["right"]),
        "Heart": heart,
        "Aorta": chest & (depth["aorta"] > 6),
        "Facies Diaphragmatica": (lungs["left"] | lungs["right"]) & abdomen,
        "Mediastinum": centre,
        "Weasand": depth["trachea"] > 5,
        "Spine": depth["vertebrae"] > 12,
    }
    return np.stack([_whole(found[name]) for name in STRUCTURES])


def _disc(canvas: Canvas, mm: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(canvas.pixels(mm))) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _hilum(canvas: Canvas, field: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where the large vessels enter a lung: the ellipse of their spread, near the mediastinum."""
    if not field.any():
        return field
    dense = blurred(canvas.depth["hila"], canvas.pixels(5)) * field
    top, bottom, first, last = box(field)
    left = first > canvas.size / 2 - (last - first) / 2
    rows, columns = coordinates(canvas.size)
    near = (columns < first + 0.5 * (last - first)) if left else (columns > last - 0.5 * (last - first))
    high = (rows > top + 0.2 * (bottom - top)) & (rows < top + 0.8 * (bottom - top))
    weight = dense * near * high
    weight = np.clip(weight - 0.3 * weight.max(), 0, None)
    if not weight.any():
        return np.zeros_like(field)
    at = np.stack(np.nonzero(weight)).astype(np.float64)
    middle = np.average(at, axis=1, weights=weight[weight > 0])
    spread = np.cov(at, aweights=weight[weight > 0]) + np.eye(2)  # of a single pixel, too
    away = np.stack(np.broadcast_arrays(rows - middle[0], columns - middle[1]), axis=-1)
    distance = np.einsum("...i,ij,...j->...", away, np.linalg.inv(spread), away)
    return np.asarray(distance < HILUM**2) & field


def _whole(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop crumbs: parts of less than a twentieth of the largest."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count <= 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.asarray(np.isin(labels, 1 + np.flatnonzero(areas >= 0.05 * areas.max())))

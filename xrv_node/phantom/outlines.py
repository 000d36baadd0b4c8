"""A phantom's picture with its truth drawn into it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import ConfigError
from xrv_node.phantom import truth
from xrv_node.phantom.phantom import BITS_STORED, Phantom
from xrv_node.radiograph.display import display
from xrv_node.radiograph.read import read

Colour = NDArray[np.uint8]
"""``[rows, columns, 3]``: blue, green, red."""
Mask = NDArray[np.bool_]

FINDING, STRUCTURE = (40, 80, 255), (200, 200, 60)
"""Blue, green, red: findings are red and named, structures pale blue."""

SHOWN = ("Left Lung", "Right Lung", "Heart", "Left Clavicle", "Right Clavicle", "Aorta", "Weasand")
"""Structures that are drawn: more of them hide the image."""


def of_phantom(made: Phantom) -> Colour:
    """Return a phantom's picture with outlines, uint8 ``[rows, columns, 3]``."""
    grey = (made.pixels >> (BITS_STORED - 8)).astype(np.uint8)
    return picture(grey, {name: place.mask for name, place in made.places.items()}, made.masks)


def of_file(path: Path) -> Colour:
    """Return the picture of a file that `truth.write` wrote, with the outlines of its masks.

    Raises
    ------
    ConfigError
        If no truth, or no masks, are beside it.
    """
    image, root = truth.image_of(path)
    groups = [{name: _mask(root, of) for name, of in image[key].items()} for key in ("places", "structures")]
    return picture(display(read(path)), *groups)


def _mask(root: Path, told: Mapping[str, Any]) -> Mask:
    mask = cv2.imread(str(root / str(told.get("mask"))), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ConfigError(f"no masks are beside {truth.FILE}: `phantom make` writes them with --masks")
    return np.asarray(mask > 0, np.bool_)


def save(drawn: Colour, path: Path) -> None:
    """Write a picture as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), drawn):
        raise ConfigError(f"{path} cannot be written")


def picture(
    grey: NDArray[np.uint8],
    findings: Mapping[str, Mask],
    structures: Mapping[str, Mask],
) -> Colour:
    """Return a picture with outlines.

    Parameters
    ----------
    grey
        ``[rows, columns]``, dense is bright.
    findings, structures
        Masks by name, ``[rows, columns]``; of the structures those in `SHOWN` are drawn.

    Returns
    -------
    numpy.ndarray
        uint8 ``[rows, columns, 3]``, blue, green, red.
    """
    drawn = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    width = max(1, round(max(grey.shape) / 512))
    for name in SHOWN:
        if name in structures:
            cv2.drawContours(drawn, _contours(structures[name]), -1, STRUCTURE, width)
    for name, mask in findings.items():
        outline = _contours(mask)
        cv2.drawContours(drawn, outline, -1, FINDING, width)
        if outline:
            left, top, _, _ = cv2.boundingRect(max(outline, key=cv2.contourArea))
            at = (left, max(top - 4 * width, 12 * width))
            cv2.putText(drawn, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4 * width, FINDING, width, cv2.LINE_AA)
    return np.asarray(drawn, np.uint8)


def _contours(mask: NDArray[np.bool_]) -> list[NDArray[np.int32]]:
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(contour, np.int32) for contour in found]

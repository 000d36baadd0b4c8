"""Mask files: pictures that are 0 outside a structure and something else inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node import reasons
from xrv_node.errors import ImageError
from xrv_node.lab.datasets.images import unpacked
from xrv_node.radiograph import picture
from xrv_node.radiograph.codestream import PNG_SIGNATURE
from xrv_node.reasons import Reason

Mask = NDArray[np.bool_]
"""``[rows, columns]``, True inside."""

_NAMED = 6
"""Values that a sentence names."""
_NOISE = 1 / 6
"""Of white: so far from black and from white JPEG's rounding leads around a border."""
_BORDER = 4
"""Pixels: greys of a border, from resampling or JPEG, are no wider, and no further from the inside."""
_BLOCK = 8
"""Side of JPEG's blocks: its noise reaches no further from the border than twice that (chroma is halved)."""


def read_mask(path: Path, others: tuple[int, ...] = (), *, white_only: bool = False) -> Mask:
    """Read a mask file.

    Anything but 0 is inside where the file has two values: 255, 1, 65535, or a palette's colour. Greys
    between are a border that was resampled or went through JPEG: inside from half of the highest on. Greys of
    a region of their own are another structure, and are refused.

    Parameters
    ----------
    path
        PNG or JPEG; may lead through a zip archive.
    others
        Values that the owner gives to other structures: outside.
    white_only
        Pure white is inside and nothing is checked: torchxrayvision's way.

    Returns
    -------
    ndarray
        ``[rows, columns]``, True inside.

    Raises
    ------
    ImageError
        It is not there, cannot be decoded, or has values that no mask has.
    """
    try:
        with unpacked(path) as file:
            read = picture.decode(file)
            data = file.read_bytes()
        if white_only:
            return np.equal(read.pixels, read.high)
        lossless = data.startswith(PNG_SIGNATURE)
        if lossless and _is_see_through(data):
            raise ImageError(Reason("mask-see-through"))
        return _inside(read.pixels, lossless, others)
    except ImageError as error:
        raise ImageError(Reason("mask-unreadable", file=path.name, why=reasons.of(error))) from error


def _inside(values: NDArray[Any], lossless: bool, others: tuple[int, ...]) -> Mask:
    values = np.where(np.isin(values, others), 0, values) if others else values
    there = np.unique(values)
    inside: Mask
    if len(there) == 1 or (lossless and len(there) == 2):
        inside = np.not_equal(values, 0)
        sound = len(there) == 1 or there[0] == 0
    else:
        inside = np.greater(values, there[-1] / 2)
        sound = _is_border(values, inside, float(there[-1]), lossless)
    if not sound:
        named = ", ".join(f"{value:g}" for value in there[:_NAMED]) + (", ..." if len(there) > _NAMED else "")
        raise ImageError(Reason("mask-values", values=named))
    if inside[[0, 0, -1, -1], [0, -1, 0, -1]].all() and not inside.all():
        raise ImageError(Reason("mask-inverted"))
    return inside


def _is_border(values: NDArray[Any], inside: Mask, high: float, lossless: bool) -> bool:
    """Whether all that is neither black nor white is near the inside, and nowhere wide."""
    if not lossless:
        high = float(np.median(values[inside])) if inside.any() else high  # borders overshoot
    noise = 0 if lossless else _NOISE * high
    if not lossless and (high < 128 or float(values.min()) > noise):
        return False  # white has lost its height, or there is no black
    between = np.logical_and(values > noise, values < high - noise)
    wide = cv2.erode(between.astype(np.uint8), np.ones((_BORDER + 1, _BORDER + 1), np.uint8), borderValue=0)
    reach = 2 * (_BORDER if lossless else 2 * _BLOCK) + 1
    near = cv2.dilate(inside.astype(np.uint8), np.ones((reach, reach), np.uint8))
    return not wide.any() and not between[near == 0].any()


def _is_see_through(data: bytes) -> bool:
    """Whether a picture's alpha says something that its colours may not."""
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return (
        stored is not None
        and stored.ndim == 3
        and stored.shape[2] == 4
        and len(np.unique(stored[..., 3])) > 1
    )

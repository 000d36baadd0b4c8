"""A radiograph as it looks on a screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrv_node.radiograph.image import Radiograph

LONGEST = 1024
"""Pixels of the longer side of the picture that an analysis keeps: as high as a viewer's window, finer than
anything that is drawn over it, and half a megabyte."""
_RESIZABLE = (np.uint8, np.uint16, np.int16, np.float32)
"""What OpenCV resamples as it is."""


def display(radiograph: Radiograph, longest: int | None = None) -> NDArray[np.uint8]:
    """Render a radiograph for a screen.

    Parameters
    ----------
    radiograph
        As read: values of interest and polarity are applied already.
    longest
        Pixels that the longer side must not exceed; None keeps the image's own matrix. A reduced picture is
        the mean over each pixel's area, so that nothing aliases (a grid, a fine rib edge), and has square
        pixels.

    Returns
    -------
    numpy.ndarray
        uint8 ``[rows, columns]``: 0 is black, 255 white.
    """
    import cv2

    pixels: NDArray[Any] = radiograph.pixels
    size = pixels.shape if longest is None else _size(radiograph, longest)
    if size != pixels.shape:
        # The mean commutes with the scaling to grey levels: only the small picture is scaled.
        exact = pixels if pixels.dtype in _RESIZABLE else pixels.astype(np.float32)
        pixels = cv2.resize(np.ascontiguousarray(exact), size[::-1], interpolation=cv2.INTER_AREA)
    span = radiograph.high - radiograph.low
    levels = (pixels.astype(np.float32) - np.float32(radiograph.low)) * np.float32(
        255 / span if span > 0 else 0
    )
    shown: NDArray[np.uint8] = np.clip(levels, 0, 255).astype(np.uint8)
    return shown


def _size(radiograph: Radiograph, longest: int) -> tuple[int, int]:
    """Rows and columns, of which neither is more than there are."""
    tall = radiograph.rows * radiograph.aspect, float(radiograph.columns)
    scale = min(1.0, 1 / radiograph.aspect, longest / max(tall))
    return max(1, round(tall[0] * scale)), max(1, round(tall[1] * scale))

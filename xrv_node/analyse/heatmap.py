"""Where in the image a finding's score comes from: the classifier's maps (``model.Classifier.finding_maps``),
enlarged and outlined."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node.values import Frame, Point

GRID = 224
"""Side of the grid on which a region is outlined, whatever the map's."""
_LEVEL = 0.5
"""A region holds what is above this part of the map's maximum."""
_TOLERANCE = 1.0
"""Grid pixels by which the simplified outline may leave the exact one."""


def smooth(cam: NDArray[np.float32], side: int = GRID, width: int | None = None) -> NDArray[np.float32]:
    """Enlarge a class activation map for display.

    Parameters
    ----------
    cam
        ``[h, w]``, at least 0.
    side
        Rows of the result.
    width
        Its columns; None: as many.

    Returns
    -------
    numpy.ndarray
        float32 ``[side, width]``, at least 0, over the square that the network saw.
    """
    size = side if width is None else width, side
    enlarged = cv2.resize(np.ascontiguousarray(cam, np.float32), size, interpolation=cv2.INTER_CUBIC)
    return np.maximum(enlarged, 0).astype(np.float32)  # cubic interpolation undershoots beside a peak


def region(cam: NDArray[np.float32], frame: Frame) -> tuple[Point, ...]:
    """Outline the strongest part of a class activation map.

    Parameters
    ----------
    cam
        ``[h, w]``, at least 0.
    frame
        Where the square that the network saw lies in the source image.

    Returns
    -------
    tuple of (column, row)
        Closed polygon around the largest connected part above half of the maximum, in source pixels, inside
        `frame`; a few dozen points. Empty where the map is zero everywhere.
    """
    heat = smooth(cam)
    peak = float(heat.max())
    if not peak > 0:
        return ()
    above = (heat >= _LEVEL * peak).astype(np.uint8)
    contours, _ = cv2.findContours(above, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = cv2.approxPolyDP(max(contours, key=cv2.contourArea), _TOLERANCE, closed=True)[:, 0, :]
    # the outline runs through the centres of its grid pixels
    down, across = (length / GRID for length in frame.extent)
    points = [(frame.left + (x + 0.5) * across, frame.top + (y + 0.5) * down) for x, y in outline.tolist()]
    return (*points, points[0])

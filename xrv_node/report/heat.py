"""Heat maps for people: one finding's class activation map as colour over a radiograph.

The colours are ordered by lightness (inferno, S. van der Walt and N. Smith for matplotlib, 2015), so that
more heat looks like more also in grey, in print and to the colour-blind; a rainbow has edges where the map
has none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xrv_node.report.lettering import Rgb
from xrv_node.report.masks import overlap
from xrv_node.values import Analysis, Frame

_COLDEST, _HOTTEST = 0.35, 0.85
"""Part of the colour scale that is used: below it the colours are nearly black and darken the lung, above it
nearly white like bone."""
_OPACITY = 0.6
"""Of the hottest colour: vessels and ribs stay visible through it."""
_FROM = 0.15
"""Part of the maximum below which nothing is coloured; the map is never quite zero there."""


def share(analysis: Analysis, finding: int, frame: Frame) -> NDArray[np.float32] | None:
    """Return how strongly each place speaks for a finding, compared with the place that speaks strongest.

    Parameters
    ----------
    analysis : Analysis
        With or without maps.
    finding : int
        Index into ``analysis.findings``.
    frame : Frame
        Where the networks' square lies in the picture: ``analysis.frame`` in the picture's pixels.

    Returns
    -------
    ndarray of float32
        ``[frame.rows, frame.columns]`` in [0, 1], 0 outside the square; None where the analysis has no map
        for the finding, or one without heat.
    """
    if analysis.maps is None:
        return None
    from xrv_node.analyse.heatmap import smooth

    heat = smooth(analysis.maps[finding], *frame.extent)
    highest = float(heat.max())
    if not highest > 0:
        return None
    whole = np.zeros((frame.rows, frame.columns), dtype=np.float32)
    image, square = overlap(frame)
    whole[image] = heat[square] / np.float32(highest)
    return whole


def blend(picture: Rgb, heat: NDArray[np.float32]) -> Rgb:
    """Lay heat over a picture; what is hotter covers more of it.

    Parameters
    ----------
    picture : ndarray of uint8
        ``[rows, columns, 3]``, RGB.
    heat : ndarray of float32
        ``[rows, columns]`` in [0, 1].

    Returns
    -------
    ndarray of uint8
        ``[rows, columns, 3]``, RGB.
    """
    color, opacity = _coloured(heat)
    blended: Rgb = np.round(picture * (1 - opacity) + color * opacity).astype(np.uint8)
    return blended


def layer(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return heat ``[rows, columns]`` in [0, 1] as a picture of its own to lay over another, uint8
    ``[rows, columns, 4]``, RGB and opacity."""
    color, opacity = _coloured(heat)
    return np.dstack([color, np.round(255 * opacity).astype(np.uint8)])


def _coloured(heat: NDArray[np.float32]) -> tuple[Rgb, NDArray[np.float32]]:
    """Colour and opacity of heat."""
    import cv2

    above = np.clip((heat - _FROM) / (1 - _FROM), 0, 1)
    levels = np.round(255 * (_COLDEST + (_HOTTEST - _COLDEST) * above)).astype(np.uint8)
    color: Rgb = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return color, (_OPACITY * above)[..., np.newaxis]

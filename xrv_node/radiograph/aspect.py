"""How high a pixel is for its width: the networks take square ones."""

from __future__ import annotations

from pydicom import Dataset

from xrv_node.attributes import SPACINGS, spacing

_SAME = 0.01
"""Spacings are typed and rounded: what is nearer to square than this is square."""
_MOST = 4.0
"""No detector or scanner has longer pixels: such numbers are wrong."""


def aspect(header: Dataset) -> float:
    """Return the height of a pixel over its width.

    Parameters
    ----------
    header
        The attributes of the image.

    Returns
    -------
    float
        From 1/4 to 4, of the first spacing that has usable values (between rows and between columns, PS3.3
        10.7.1.3), else of Pixel Aspect Ratio (vertical and horizontal, C.7.6.3.1.7: only for images without a
        spacing); 1 where it is 1 to a hundredth, where nothing is said, or nothing that can be.
    """
    down, across = spacing(header, *SPACINGS, "PixelAspectRatio") or (1.0, 1.0)
    ratio = down / across
    return ratio if 1 / _MOST <= ratio <= _MOST and abs(ratio - 1) > _SAME else 1.0

"""From a radiograph to what the networks take: torchxrayvision's numbers, without its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.resample import RESAMPLERS, find
from xrv_node.values import Frame

DEFAULT = "skimage"
"""torchxrayvision's own default, a name of ``resample.RESAMPLERS``."""
RESAMPLER = RESAMPLERS[DEFAULT].words
"""Recorded with every result: torchxrayvision's other resamplers give other scores for the same image."""
LIMIT = 1024.0
"""The networks take [-1024, 1024] (``torchxrayvision.datasets.normalize``)."""


def frame(rows: int, columns: int, aspect: float = 1.0) -> Frame:
    """Return the square that the networks see, torchxrayvision's ``XRayCenterCrop``.

    Parameters
    ----------
    rows, columns
        Of the image, at least 1.
    aspect
        Height of a pixel over its width.

    Returns
    -------
    Frame
        The largest square in the middle: it starts at n // 2 - side // 2, in source pixels. Where they are
        not square it covers more of them one way than the other.
    """
    if aspect == 1:
        side, width = min(rows, columns), None
    else:
        side = max(1, min(rows, round(columns / aspect)))
        width = max(1, min(columns, round(rows * aspect)))
    left = columns // 2 - (side if width is None else width) // 2
    return Frame(rows, columns, top=rows // 2 - side // 2, left=left, side=side, width=width)


def centre(pixels: NDArray[Any], aspect: float = 1.0) -> NDArray[Any]:
    """Return the square that `frame` tells of ``[rows, columns]``, without a copy."""
    rows, columns = pixels.shape
    square = frame(rows, columns, aspect)
    height, width = square.extent
    return pixels[square.top : square.top + height, square.left : square.left + width]


def prepare(
    radiograph: Radiograph, size: int, resampler: str = DEFAULT, *, crop: bool = True
) -> NDArray[np.float32]:
    """Scale, crop and resample a radiograph for one network.

    Parameters
    ----------
    radiograph
        As read.
    size
        Side of the square that the network takes, in pixels.
    resampler
        A name of ``resample.RESAMPLERS``.
    crop
        Whether to take the square in the middle; else the whole image is squeezed into one.

    Returns
    -------
    numpy.ndarray
        float32 ``[size, size]`` in [-1024, 1024]: within 1e-3 of torchxrayvision's ``normalize``,
        ``XRayCenterCrop`` and ``XRayResizer(size)``, one after the other, where the range is that of 8 bits.

    Raises
    ------
    ConfigError
        No resampler has that name.
    """
    return prepare_all(radiograph, (size,), resampler, crop=crop)[size]


def prepare_all(
    radiograph: Radiograph, sizes: Sequence[int], resampler: str = DEFAULT, *, crop: bool = True
) -> dict[int, NDArray[np.float32]]:
    """Scale, crop and resample a radiograph for several networks.

    Parameters
    ----------
    radiograph
        As read.
    sizes
        Sides of the squares, in pixels.
    resampler
        A name of ``resample.RESAMPLERS``.
    crop
        As in `prepare`.

    Returns
    -------
    dict
        By size, as `prepare` returns it.

    Raises
    ------
    ConfigError
        No resampler has that name.
    """
    resample = find(resampler).function
    pixels = centre(radiograph.pixels, radiograph.aspect) if crop else radiograph.pixels
    # Resampling commutes with scaling: the raw pixels are resampled and the small image is scaled. Counted
    # from the middle of the range, the zeros that scikit-image puts around the normalised image stay zeros.
    middle = (radiograph.low + radiograph.high) / 2
    scale = LIMIT / (radiograph.high - middle)
    darkest, brightest = float(pixels.min()), float(pixels.max())
    result = {}
    for size in sizes:
        small = resample(pixels, middle, size)
        # the interpolation is clipped to the image's own range (skimage.transform.resize, clip=True)
        np.clip(small, darkest - middle, brightest - middle, out=small)
        small *= np.float32(scale)
        result[size] = small
    return result

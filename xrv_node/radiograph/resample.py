"""The ways in which torchxrayvision brings an image to a network's size.

They give different numbers for the same image, and with them other scores, so each result names its own.

The default is what ``XRayResizer`` makes of scikit-image's ``transform.resize(mode="constant")``: a Gaussian
against aliasing, then linear interpolation, with zeros outside the image. Both are linear and act on one axis
at a time, so that a whole axis is one matrix, and the matrix is zero away from its diagonal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import ConfigError
from xrv_node.radiograph.image import Pixels

BLOCK = 8
"""Output pixels of one dense block of the band: the fewer, the less of a block is zero; the more, the better
the processor likes the matrix product. Of 4 to 32, 4 to 8 were fastest for 3000 x 2500 pixels."""
_TRUNCATE = 4.0
"""Standard deviations after which the Gaussian is cut (``scipy.ndimage.gaussian_filter``'s default)."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive output pixels and the input pixels that they depend on."""

    outputs: slice
    inputs: slice
    weights: NDArray[np.float32]
    """``[outputs, inputs]``."""


@lru_cache(maxsize=64)
def blocks(length: int, size: int) -> tuple[Block, ...]:
    """Return the operator that brings an axis of `length` pixels to `size`.

    Parameters
    ----------
    length
        Input pixels, at least 1.
    size
        Output pixels, at least 1.

    Returns
    -------
    tuple of Block
        Covering all output pixels in order. With the scale f = length / size an output pixel i is the linear
        interpolation at (i + 0.5) f - 0.5 of the input, where f > 1 of the input smoothed by a Gaussian of
        sigma (f - 1) / 2. What lies outside the image counts as 0, also for the Gaussian: the weights of an
        output pixel at the border sum to less than 1 (``skimage.transform.resize``; ``scipy.ndimage.zoom``
        with ``grid_mode``).
    """
    scale = length / size
    sigma = max(0.0, (scale - 1) / 2)
    radius = int(_TRUNCATE * sigma + 0.5)
    taps = np.ones(1) if radius == 0 else np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    result = []
    for start in range(0, size, BLOCK):
        outputs = np.arange(start, min(start + BLOCK, size))
        position = (outputs + 0.5) * scale - 0.5
        left = np.floor(position).astype(np.int64)
        first, last = int(left[0]) - radius, int(left[-1]) + 1 + radius
        weights = np.zeros((len(outputs), last - first + 1))
        for row, (at, fraction) in enumerate(zip(left, position - left, strict=True)):
            for pixel, share in ((at, 1 - fraction), (at + 1, fraction)):
                if 0 <= pixel < length:
                    begin = int(pixel) - radius - first
                    weights[row, begin : begin + len(taps)] += share * taps
        low, high = max(first, 0), min(last + 1, length)
        inside = np.ascontiguousarray(weights[:, low - first : high - first], dtype=np.float32)
        inside.flags.writeable = False
        result.append(Block(slice(start, start + len(outputs)), slice(low, high), inside))
    return tuple(result)


@dataclass(frozen=True, slots=True)
class Resampler:
    """One way to bring an image to a network's size."""

    words: str
    """What is recorded with a result."""
    function: Callable[[Pixels, float, int], NDArray[np.float32]]
    """Of ``(pixels [rows, columns], middle, size)``: ``pixels - middle`` as float32 ``[size, size]``. The
    result may leave the range of what went in."""


def gaussian_linear(pixels: Pixels, middle: float, size: int) -> NDArray[np.float32]:
    """Resample as ``XRayResizer(size)`` does; the band is walked, so no full-size copy is made."""
    rows_in, columns_in = pixels.shape
    tall = np.empty((size, columns_in), np.float32)
    for block in blocks(rows_in, size):
        rows = pixels[block.inputs].astype(np.float32)
        rows -= np.float32(middle)
        np.matmul(block.weights, rows, out=tall[block.outputs])
    small = np.empty((size, size), np.float32)
    for block in blocks(columns_in, size):
        np.matmul(tall[:, block.inputs], block.weights.T, out=small[:, block.outputs])
    return small


def area(pixels: Pixels, middle: float, size: int) -> NDArray[np.float32]:
    """Resample as ``XRayResizer(size, engine="cv2")`` does: OpenCV's INTER_AREA."""
    import cv2

    small = cv2.resize(_centred(pixels, middle), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def antialiased(pixels: Pixels, middle: float, size: int) -> NDArray[np.float32]:
    """Resample as torchxrayvision's networks do inside, since 1.3, with what has not their size."""
    import torch
    from torch.nn import functional

    batch = torch.from_numpy(_centred(pixels, middle))[None, None]
    small: NDArray[np.float32] = functional.interpolate(
        batch, size=(size, size), mode="bilinear", antialias=True
    )[0, 0].numpy()
    return small


RESAMPLERS = {
    "skimage": Resampler("gaussian-linear, zero border (skimage.transform.resize)", gaussian_linear),
    "area": Resampler("pixel area (cv2.INTER_AREA)", area),
    "antialias": Resampler("bilinear, antialiased (torch.nn.functional.interpolate)", antialiased),
}
"""By the name that a user chooses one with; the first is the default."""


def find(name: str) -> Resampler:
    """Return the resampler of that name.

    Raises
    ------
    ConfigError
        When there is none.
    """
    try:
        return RESAMPLERS[name]
    except KeyError:
        raise ConfigError(f"no resampler is called {name!r}: use one of {', '.join(RESAMPLERS)}") from None


def _centred(pixels: Pixels, middle: float) -> NDArray[np.float32]:
    """Return ``pixels - middle`` as a new, contiguous array."""
    centred = pixels.astype(np.float32, order="C")
    centred -= np.float32(middle)
    return centred

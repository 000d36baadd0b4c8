"""How far two masks of the same structures are from each other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""``[rows, columns]``."""

_LONGEST = 512
"""Pixels of the longer side on which outlines are laid over each other; a shift of one of them is told."""
_BLUR = 2.0
"""Standard deviation, in those pixels, by which outlines are widened: what two outlines of a structure differ
by where both are right."""
_MARGIN = 64
"""Pixels of nothing around, so that a shift over an edge does not come back at the other one."""


def dice(one: Mask, other: Mask) -> float:
    """Return the overlap of two masks, 2 |A and B| / (|A| + |B|) (Dice 1945), in [0, 1]; 1 of two empty ones.

    Raises
    ------
    ValueError
        They differ in size.
    """
    if one.shape != other.shape:
        raise ValueError(f"masks of {one.shape} and {other.shape}")
    both, all_ = np.count_nonzero(one & other), np.count_nonzero(one) + np.count_nonzero(other)
    return 1.0 if all_ == 0 else float(2 * both / all_)


def displacement(pairs: Iterable[tuple[Mask, Mask]]) -> tuple[float, float] | None:
    """Return by how many rows and columns the second masks lie off the first ones, all by the same.

    It is where their outlines lie over each other best: where a network has drawn a part of a structure too
    large or too small, the outline of the rest still tells, which the centre of the mask does not.

    Parameters
    ----------
    pairs
        Masks of one structure each, all of one size.

    Returns
    -------
    tuple of float or None
        Rows (down positive) and columns (to the right positive), in pixels of the masks; None where
        there is no pair, or one of the masks of each is empty.
    """
    total: NDArray[np.float64] | None = None
    scale = 1.0
    for one, other in pairs:
        if not (one.any() and other.any()):
            continue
        scale = max(1.0, max(one.shape) / _LONGEST)
        spectra = [np.fft.rfft2(_outline(mask, scale)) for mask in (one, other)]
        found = np.fft.irfft2(np.conj(spectra[0]) * spectra[1])
        total = found if total is None else total + found
    if total is None:
        return None
    row, column = np.unravel_index(int(total.argmax()), total.shape)
    rows, columns = (
        int(at) - size if at > size // 2 else int(at)
        for at, size in zip((row, column), total.shape, strict=True)
    )
    return rows * scale, columns * scale


def _outline(mask: Mask, scale: float) -> NDArray[np.float32]:
    """The mask's outline, widened, on a coarser grid with a margin; the edge of the image is no outline."""
    import cv2

    rows, columns = (round(n / scale) for n in mask.shape)
    small = cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), _BLUR, borderType=cv2.BORDER_REPLICATE)
    edge = np.hypot(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1))
    # An even size, for the transform back.
    even = ((0, rows % 2), (0, columns % 2))
    padded: NDArray[np.float32] = np.pad(np.pad(edge, even), _MARGIN // 2)
    return padded

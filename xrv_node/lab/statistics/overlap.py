"""How well masks agree, and whether a heat map points at the finding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two masks of one structure of one image that should be the same."""

    structure: str
    dice: float
    iou: float
    differing: int
    """Pixels that only one of them has."""
    share: float
    """They, of the image's pixels."""


def packed(mask: Mask) -> NDArray[np.uint8]:
    """Return a mask as bits, row by row: an eighth of its bytes, for the way between processes."""
    return np.packbits(mask)


def unpacked(bits: NDArray[np.uint8], shape: tuple[int, int]) -> Mask:
    """Return the mask of this shape that was `packed`."""
    return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).astype(np.bool_)


def dice(found: Mask, truth: Mask) -> float | None:
    """Twice the common area by the sum of both (Dice 1945); None where both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else None


def iou(found: Mask, truth: Mask) -> float | None:
    """Common area by joint area (Jaccard 1912); None where both are empty."""
    joint = int((found | truth).sum())
    return int((found & truth).sum()) / joint if joint else None


def overlap(structure: str, one: Mask, other: Mask) -> Overlap | None:
    """Compare two masks of the same shape pixel for pixel; None where both are empty."""
    doubled, jaccard, differing = dice(one, other), iou(one, other), int((one ^ other).sum())
    if doubled is None or jaccard is None:
        return None
    return Overlap(structure, doubled, jaccard, differing, differing / one.size)


@dataclass(frozen=True, slots=True)
class Pointing:
    """A heat map beside the region that an annotator marked."""

    hit: bool
    """The map's highest value lies in the region (pointing game, Zhang et al. 2016)."""
    iou: float
    """Of the region and the part of the map at or over `part` of its maximum."""
    energy: float
    """Share of the map's sum that lies in the region (Wang et al. 2020, Score-CAM)."""
    empty: bool = False
    """The map is 0 everywhere, or no number somewhere: it points at nothing, which is a miss."""


def pointing(
    heat: NDArray[np.floating], region: Mask, part: float = 0.5, tolerance: int = 0
) -> Pointing | None:
    """Judge one heat map.

    Parameters
    ----------
    heat
        ``[H, W]``, not negative.
    region
        ``[H, W]``, where the finding is.
    part
        Share of the maximum from which a pixel counts as marked, for `Pointing.iou`.
    tolerance
        Pixels by which the highest value may miss the region.

    Returns
    -------
    Pointing or None
        None where the region is empty: then there is nothing to point at. A map that is empty misses the
        region, and both shares are 0: to leave it out would raise them.
    """
    if not region.any():
        return None
    if not np.isfinite(heat).all() or not heat.max(initial=0) > 0:
        return Pointing(False, 0.0, 0.0, empty=True)
    row, column = np.unravel_index(int(np.argmax(heat)), heat.shape)
    top, left = max(0, int(row) - tolerance), max(0, int(column) - tolerance)
    near = region[top : int(row) + tolerance + 1, left : int(column) + tolerance + 1]
    marked = heat >= part * heat.max()
    return Pointing(bool(near.any()), iou(marked, region) or 0.0, float(heat[region].sum() / heat.sum()))

"""How deep the samples of a codestream are, where it and the header do not say the same (PS3.5 8.2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.radiograph.codestream import ImageClaim, Process
from xrv_node.radiograph.lookup import Stored
from xrv_node.reasons import Reason

_OVERSHOOT, _FEW = 0.25, 0.01
"""Of the range that the header states, how far a lossy decoder's samples may leave it (they ring by a tenth
at an edge), and the share of samples beyond that which is no accident. Wide and chosen."""
_SMOOTH = 1 / 8
"""Of the range that the header states, the step between neighbours at the borders of what lies in the bits
above. Where that is an overlay, or what was in memory, the image below goes on: a hundredth or so. Samples
that are cut off jump from white to black there, or are noise, of a third and more."""

Samples = NDArray[np.integer]


def reconcile(
    samples: Samples, claim: ImageClaim, stated: Stored, header: Dataset
) -> tuple[Samples, Stored, tuple[Reason, ...]]:
    """Say which bits of decoded samples are the image.

    Parameters
    ----------
    samples
        As ``decoders.decode`` returns them.
    claim
        What the codestream says.
    stated
        What the header says.
    header
        For overlays in the bits above.

    Returns
    -------
    tuple
        The samples in the sign that counts; how the values lie in them; and a caution where the header was
        not believed. A codestream of fewer bits than the header states is as deep as it says. One of more
        bits may hold the whole cell: then the header tells the bits in it, by High Bit where that lies above
        (PS3.5 8.1.1 until 2014), unless values above them show that they are samples too.
    """
    samples, signed, caution = _in_sign(samples, claim, stated.signed)
    cautions = (caution,) if caution else ()
    stored = replace(stated, signed=signed, bits_allocated=samples.dtype.itemsize * 8)
    bits, depth = stated.bits_stored, claim.precision
    if bits < depth and bits <= stated.high_bit < depth:
        return samples, stored, cautions
    stored = replace(stored, high_bit=bits - 1)
    deep = replace(stored, bits_stored=depth, high_bit=depth - 1)
    if bits == depth or (1 <= bits < depth and not _are_samples(samples, stored, deep, header)):
        return samples, stored, cautions
    if bits < depth == deep.bits_allocated:  # of a whole cell, only what the values use tells
        depth = max(bits, _used(samples, signed=signed))
        deep = replace(deep, bits_stored=depth, high_bit=depth - 1)
    return samples, deep, (*cautions, Reason("depth-of-codestream", bits=bits, depth=depth))


def _in_sign(samples: Samples, claim: ImageClaim, signed: bool) -> tuple[Samples, bool, Reason | None]:
    """Return samples in the sign of the image, and that; only JPEG 2000 states one of its own."""
    if claim.signed == signed:
        return samples, signed, None
    width, depth = samples.dtype.itemsize * 8, claim.precision
    cells = samples.view(f"{'i' if signed else 'u'}{samples.dtype.itemsize}")
    if signed:
        in_sign = cells << (width - depth) >> (width - depth) if depth < width else cells
    else:
        in_sign = cells & cells.dtype.type((1 << depth) - 1)
    moved = in_sign.astype(np.int64) - samples
    if claim.process == Process.JPEG_2000 and _jump(samples, moved) < _jump(in_sign, moved):
        return samples, claim.signed, Reason("sign-of-codestream")
    return in_sign, signed, None


def _are_samples(samples: Samples, stored: Stored, deep: Stored, header: Dataset) -> bool:
    """Tell whether the bits above those that the header states belong to the image."""
    low, high = int(samples.min()), int(samples.max())
    if stored.low <= low and high <= stored.high:
        return False
    if stored.lossy:
        beyond = _OVERSHOOT * (stored.high - stored.low)
        outside = (samples < stored.low - beyond) | (samples > stored.high + beyond)
        return bool(outside.mean() > _FEW)
    if _has_overlay(header, stored.bits_stored):
        return False
    above = deep.values(samples) >> stored.bits_stored
    return _jump(stored.values(samples), above) > _SMOOTH * (stored.high - stored.low)


def _used(samples: Samples, *, signed: bool) -> int:
    """The bits that it takes to write all samples."""
    return (
        max(int(samples.max()).bit_length(), (-1 - int(samples.min())).bit_length() if signed else 0) + signed
    )


def _has_overlay(header: Dataset, bits_stored: int) -> bool:
    """Whether an overlay is said to lie above the bits stored (retired, PS3.5 8.1.2)."""
    for group in range(0x6000, 0x6020, 2):
        try:
            if int(header[group, 0x0102].value) >= bits_stored:
                return True
        except (KeyError, TypeError, ValueError):  # an Overlay Bit Position from outside
            continue
    return False


def _jump(values: NDArray[np.integer], parts: NDArray[np.integer]) -> float:
    """Return the median step from a pixel to the next, right and below, where they lie in different parts."""
    steps = []
    for axis in (0, 1):
        border = np.diff(parts, axis=axis) != 0
        steps.append(np.abs(np.diff(values.astype(np.int64), axis=axis)[border]))
    together = np.concatenate(steps)
    return float(np.median(together)) if together.size else 0.0

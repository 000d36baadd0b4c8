"""The kinds of numbers that weights files hold, and how they become those that the networks compute in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BFLOAT16 = "|V2"
"""What numpy has no type for: the upper half of a float32, kept as two bytes."""

SAFETENSORS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}
"""By their names in a safetensors file."""


def name(value: NDArray[Any]) -> str:
    """Return what PyTorch calls an array's numbers, e.g. ``bfloat16``."""
    return "bfloat16" if value.dtype.str == BFLOAT16 else value.dtype.name


def floating(value: NDArray[Any]) -> bool:
    """Whether an array's numbers are floating ones."""
    return value.dtype.kind == "f" or value.dtype.str == BFLOAT16


def as_float32(value: NDArray[Any]) -> NDArray[np.float32]:
    """Return floating numbers as float32; those of half precision stay the same, to the last bit."""
    if value.dtype.str == BFLOAT16:
        upper: NDArray[np.float32] = (value.view("<u2").astype("<u4") << 16).view("<f4")
        return upper
    with np.errstate(over="ignore"):  # infinite, which whoever checks the tensors refuses
        return value.astype(np.float32, copy=False)


def converted(value: NDArray[Any], wanted: str) -> NDArray[Any]:
    """Return floating numbers as float32, and whole ones as int64, where a network has such; others as they
    are.

    Parameters
    ----------
    value
        As read.
    wanted
        numpy's name of what the network holds there.
    """
    if wanted == "float32" and floating(value):
        return as_float32(value)
    if wanted == "int64" and (value.dtype.kind in "iu" or (floating(value) and whole(as_float32(value)))):
        return (as_float32(value) if floating(value) else value).astype(np.int64, copy=False)
    return value


def whole(value: NDArray[np.float32]) -> bool:
    """Whether all numbers are whole: a counter of batches that was made half with the weights."""
    return bool(np.isfinite(value).all() and (value == np.trunc(value)).all())

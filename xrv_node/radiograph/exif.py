"""How a camera was held, and turning its pictures upright."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION, _SHORT = 0x0112, 3

_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
"""By the value of Orientation (Exif 3.0, 4.6.5.1.6), what makes the picture upright."""


def upright(pixels: NDArray[Any], exif: bytes) -> NDArray[Any]:
    """Turn a picture as its EXIF data say.

    Parameters
    ----------
    pixels
        ``[rows, columns]`` or ``[rows, columns, channels]``.
    exif
        From the byte order on; empty or damaged data turn nothing.
    """
    turn = _TURNS.get(_orientation(exif))
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def _orientation(exif: bytes) -> int:
    order = _ORDERS.get(exif[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(f"{order}L", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, values, value = struct.unpack_from(f"{order}HHLH", exif, entry)
            if (tag, kind, values) == (_ORIENTATION, _SHORT, 1):
                return int(value)
    except struct.error:
        pass
    return 1

"""From the phantom's grey values to those of a file, and the way back that its header describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

WINDOWED = (0.12, 0.86)
"""Part of the stored values that a window takes for black to white: senders keep a margin on both sides."""

CURVE = 1.6
"""Exponent of the stored values under a VOI LUT, which undoes it."""


@dataclass(frozen=True, slots=True, eq=False)
class Grey:
    """What is stored, and what the header says of it."""

    values: NDArray[np.uint16]
    """``[rows, columns]``, of as many bits as were asked for."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """Of the VOI LUT Module (PS3.3 C.11.2)."""


def _window(picture: NDArray[np.float64], white: int, inverted: bool) -> Grey:
    low, high = (round(share * white) for share in WINDOWED)
    values = np.rint(low + picture * (high - low))
    if inverted:
        values, low, high = white - values, white - high, white - low
    # LINEAR (C.11.2.1.2.1): black is centre - 0.5 - (width - 1) / 2, white as much above
    window = {"WindowCenter": (low + high + 1) / 2, "WindowWidth": float(high - low + 1)}
    return Grey(values.astype(np.uint16), window)


def _lut(picture: NDArray[np.float64], white: int, inverted: bool) -> Grey:
    values = np.rint(picture**CURVE * white)
    steps = np.arange(white + 1) / white
    shown = np.rint(65535 * steps ** (1 / CURVE))
    if inverted:
        values, shown = white - values, 65535 - shown[::-1]
    table = Dataset()
    table.LUTDescriptor = [(white + 1) % 65536, 0, 16]  # 0 stands for 65536 entries
    table["LUTDescriptor"].VR = "US"
    table.LUTExplanation = "NORMAL"
    table.LUTData = shown.astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    return Grey(values.astype(np.uint16), {"VOILUTSequence": [table]})


def _full(picture: NDArray[np.float64], white: int, inverted: bool) -> Grey:
    window = {"WindowCenter": (white + 1) / 2, "WindowWidth": float(white + 1)}
    return Grey(_plain(picture, white, inverted).values, window)


def _plain(picture: NDArray[np.float64], white: int, inverted: bool) -> Grey:
    values = np.rint(picture * white)
    return Grey((white - values if inverted else values).astype(np.uint16))


GREYS: dict[str, Callable[[NDArray[np.float64], int, bool], Grey]] = {
    "window": _window,
    "full": _full,
    "lut": _lut,
    "none": _plain,
}
"""By the name that ``phantom make --grey`` takes."""


def stored(pixels: NDArray[np.uint16], white: int, bits: int, grey: str, *, inverted: bool) -> Grey:
    """Return the stored values of an image.

    Parameters
    ----------
    pixels
        ``[rows, columns]`` in [0, white], dense is high.
    white
        Their largest possible value.
    bits
        Bits Stored.
    grey
        A key of `GREYS`: all but ``none``, which says nothing, lead back to the same picture.
    inverted
        MONOCHROME1: high values are dark.
    """
    return GREYS[grey](pixels.astype(np.float64) / white, 2**bits - 1, inverted)

"""The radiograph as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.errors import ImageError
from xrv_node.reasons import Reason

MAX_PIXELS = 200_000_000
"""Larger images are refused before anything is allocated: the largest detectors have about 20 million pixels,
a stitched spine some 50 million."""

RGB_WEIGHTS = (0.299, 0.587, 0.114)
"""Luma of ITU-R BT.601, the Y of DICOM's YBR_FULL (PS3.3 C.7.6.3.1.2)."""

Pixels = NDArray[np.integer] | NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One image as the radiologist would see it."""

    pixels: Pixels
    """``[rows, columns]``, bright is dense; integers where the stored values are shown as they are."""
    low: float
    """The value that would be black. With `high` it is the range that becomes [-1024, 1024]."""
    high: float
    """The value that would be white."""
    header: Dataset | None = None
    """The DICOM attributes without pixel data; None for a PNG or JPEG picture."""
    aspect: float = 1.0
    """Height of a pixel over its width."""
    cautions: tuple[Reason, ...] = ()
    """What its pixels were read in spite of, for the reader of what is found in them."""

    @property
    def rows(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])


def check_size(rows: int, columns: int) -> None:
    """Refuse images that have no pixels or too many.

    Raises
    ------
    ImageError
        Unless 1 <= rows * columns <= ``MAX_PIXELS``.
    """
    if rows < 1 or columns < 1:
        raise ImageError(Reason("no-pixels", rows=rows, columns=columns))
    if rows * columns > MAX_PIXELS:
        size = f"{rows} x {columns}"
        raise ImageError(Reason("too-many-pixels", size=size, most=f"{MAX_PIXELS:,}"))


def luminance(colour: NDArray[Any], weights: tuple[float, float, float]) -> NDArray[np.float32]:
    """Turn colour into grey.

    Parameters
    ----------
    colour
        ``[rows, columns, 3]``, integers.
    weights
        Of the three channels.

    Returns
    -------
    numpy.ndarray
        ``[rows, columns]``, in the range of `colour`; equal channels keep their value to float32's precision.
    """
    grey: NDArray[np.float32] = colour @ np.array(weights, dtype=np.float32)
    return grey

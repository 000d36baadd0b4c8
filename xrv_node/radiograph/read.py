"""Any accepted file to what the radiologist would see, as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xrv_node.errors import ImageError
from xrv_node.radiograph import dicom, picture
from xrv_node.radiograph.codestream import JPEG_START, PNG_SIGNATURE
from xrv_node.radiograph.header import read_object
from xrv_node.radiograph.image import Pixels, Radiograph
from xrv_node.radiograph.other_files import FIRST, known
from xrv_node.radiograph.prepare import centre
from xrv_node.reasons import Reason, of_system

__all__ = ["Radiograph", "read"]

_LEVELS = 255
"""Differences below one of these are no screen's."""


def read(path: Path | str, max_value: float | None = None) -> Radiograph:
    """Read a radiograph from a DICOM, PNG or JPEG file.

    Parameters
    ----------
    path
        A DICOM file in any transfer syntax that a decoder is installed for, with or without preamble; or a
        PNG or JPEG picture, grey, colour or palette.
    max_value
        Of a picture, the value that would be white, where that is not the largest of its 8 or 16 bits: 4095
        for 12 bits in 16. DICOM images say it themselves.

    Returns
    -------
    Radiograph
        One frame, bright is dense.

    Raises
    ------
    ImageError
        For whatever cannot be decoded: other formats, damaged or truncated bytes, several frames, no pixels,
        more than ``image.MAX_PIXELS`` of them; for a picture with values above `max_value`; and for an image
        that is black, or of any one value, all over, or in the square that the networks see. Nothing else
        is raised, whatever the bytes are.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(FIRST)
    except OSError as error:
        raise ImageError(Reason("file-unreadable", why=of_system(error))) from error
    try:
        if start.startswith((JPEG_START, PNG_SIGNATURE)):
            return _checked(picture.decode(path, max_value))
        if other := known(start):
            raise ImageError(other.why)
        return _checked(dicom.decode(read_object(path)))
    except ImageError:
        raise
    except Exception as error:  # the promise of this function: one bad image never harms a batch
        raise ImageError(Reason("undecodable", why=type(error).__name__)) from error


def _checked(radiograph: Radiograph) -> Radiograph:
    """Return a radiograph that shows something: the networks find plenty in one that does not.

    An exposure that failed and an empty placeholder do not, and no more does a strip with an empty middle."""
    parts = {
        "shows-nothing": radiograph.pixels,
        "middle-shows-nothing": centre(radiograph.pixels, radiograph.aspect),
    }
    for key, pixels in parts.items():
        # of most images a coarse look is enough; all of a large one costs milliseconds
        if all(_span(part) <= _least(radiograph) for part in (pixels[::64, ::64], pixels)):
            raise ImageError(Reason(key))
    return radiograph


def _span(pixels: Pixels) -> float:
    return float(pixels.max()) - float(pixels.min())


def _least(radiograph: Radiograph) -> float:
    """Return the difference that shows nothing: what no screen shows, of stored values at most one step."""
    unseen = (radiograph.high - radiograph.low) / _LEVELS
    return min(unseen, 1.0) if np.issubdtype(radiograph.pixels.dtype, np.integer) else unseen

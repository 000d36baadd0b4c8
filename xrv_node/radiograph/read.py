"""Any accepted file to what the radiologist would see, as numbers."""

from __future__ import annotations

from pathlib import Path

from xrv_node.errors import ImageError
from xrv_node.radiograph import dicom, picture
from xrv_node.radiograph.codestream import JPEG_START, PNG_SIGNATURE
from xrv_node.radiograph.header import read_object
from xrv_node.radiograph.image import Radiograph, check_content
from xrv_node.reasons import Reason, of_system

__all__ = ["Radiograph", "read"]


def read(path: Path) -> Radiograph:
    """Read a radiograph from a DICOM, PNG or JPEG file.

    Parameters
    ----------
    path
        A DICOM file in any transfer syntax that a decoder is installed for, with or without preamble; or a
        PNG or JPEG picture of 8 or 16 bits, grey, colour or palette.

    Returns
    -------
    Radiograph
        One frame, bright is dense.

    Raises
    ------
    ImageError
        For whatever cannot be decoded: other formats, damaged or truncated bytes, several frames, no pixels,
        more than ``image.MAX_PIXELS`` of them; and for an image that is black, or of any one value, all over.
        Nothing else is raised, whatever the bytes are.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ImageError(Reason("file-unreadable", why=of_system(error))) from error
    try:
        if start.startswith((JPEG_START, PNG_SIGNATURE)):
            return check_content(picture.decode(path))
        return check_content(dicom.decode(read_object(path)))
    except ImageError:
        raise
    except Exception as error:  # the promise of this function: one bad image never harms a batch
        raise ImageError(Reason("undecodable", why=type(error).__name__)) from error

"""A value that is too large for a header, as bytes by itself (PS3.18 10.4.1.1.4)."""

from __future__ import annotations

import re
from pathlib import Path

from pydicom import Dataset
from pydicom.tag import Tag

from xrv_node.attributes import text
from xrv_node.errors import ImageError
from xrv_node.radiograph.header import read_header
from xrv_node.reasons import Reason
from xrv_node.web.dicomweb import document, recode
from xrv_node.web.dicomweb.body import Body, of_bytes, of_file
from xrv_node.web.dicomweb.frames import Frames, value

PATH = re.compile(r"[0-9A-F]{8}(/[1-9][0-9]{0,4}/[0-9A-F]{8}){0,8}", re.ASCII | re.IGNORECASE)
"""Tags with the number of an item, from 1, between a sequence's and that of what is in it."""
OCTETS = "application/octet-stream"
PDF = "application/pdf"
_DOCUMENT = "00420011"
PIXELS = frozenset({"7FE00008", "7FE00009", "7FE00010"})
"""Float, Double Float and Pixel Data."""


def element(path: Path, syntax: str, place: str) -> Body | None:
    """Return the value of an element other than pixel data.

    Parameters
    ----------
    path
        A stored file.
    syntax
        Its transfer syntax.
    place
        As `PATH` has it.

    Returns
    -------
    Body or None
        The bytes as they are stored; None where there is no such element, or it holds no bytes.

    Raises
    ------
    ImageError
        If the file cannot be read.
    """
    read_header(path)  # within the limits of that, so that the rest may be read
    *inner, last = place.split("/")
    try:
        data: Dataset = recode.whole_header(path, syntax)
        for tag, number in zip(inner[::2], inner[1::2], strict=True):
            data = data[Tag(int(tag, 16))].value[int(number) - 1]
        found = data[Tag(int(last, 16))].value
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    except Exception as error:  # bytes from outside
        raise ImageError(Reason("not-parsable")) from error
    if not isinstance(found, bytes):
        return None
    if place == _DOCUMENT and text(data, "MIMETypeOfEncapsulatedDocument") == PDF:
        return of_bytes(PDF, found[: document.document_length(data)])
    return of_bytes(OCTETS, found)


def pixels(frames: Frames) -> Body:
    """Return pixel data that are not compressed, all frames together, little endian."""
    if frames.as_is:
        return of_file(OCTETS, frames.path, frames.length, frames.at)
    return Body(OCTETS, lambda: value(frames), frames.length)

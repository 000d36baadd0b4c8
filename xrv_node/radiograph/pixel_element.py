"""Pixel Data as they lie in a file, whatever the transfer syntax says of them.

Encoders leave the last delimiter out, put frames into fragments that have none to be in, or the other way
round (PS3.5 A.4). What is there tells what it is."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.tag import Tag

from xrv_node.errors import ImageError
from xrv_node.radiograph.codestream import J2K_START, JP2_SIGNATURE, JPEG_START
from xrv_node.radiograph.elements import ITEM, SEQUENCE_END, UNDEFINED
from xrv_node.radiograph.extent import Encoding
from xrv_node.reasons import Reason

_PIXEL_DATA = 0x7FE00010
_END = struct.pack("<HHL", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)
"""The delimiter; encapsulated pixel data are little endian (PS3.5 A.4)."""
_BIG_ITEM = struct.pack(">HH", ITEM >> 16, ITEM & 0xFFFF)
_MOST_FRAGMENTS = 100_000
"""One is usual; some encoders begin one every few kilobytes."""
_CODESTREAMS = (JPEG_START, J2K_START, JP2_SIGNATURE)


@dataclass(frozen=True, slots=True)
class Frame:
    """The bytes of the one frame."""

    data: bytes
    in_fragments: bool
    delimited: bool
    """Whether the Sequence Delimitation Item is there; True without fragments."""


def read(file: BinaryIO, encoding: Encoding) -> DataElement | None:
    """Read Pixel Data (7FE0,0010) as they are.

    Parameters
    ----------
    file
        At the first byte of the element's tag.
    encoding
        Of the data set.

    Returns
    -------
    pydicom.DataElement or None
        Of an undefined length, all that follows in the file is the value, which `frame` takes apart. A VR
        that Pixel Data cannot have (OX, blank) counts as OW, as dcmtk has it. None where another element or
        nothing is there.
    """
    start = file.read(12)
    order = "<" if encoding.little else ">"
    if len(start) < 8 or _tag(*struct.unpack(f"{order}HH", start[:4])) != _PIXEL_DATA:
        return None
    vr = start[4:6].decode("latin-1")
    if encoding.implicit or len(start) < 12:
        file.seek(8 - len(start), 1)
        (length,) = struct.unpack(f"{order}L", start[4:8])
    else:
        (length,) = struct.unpack(f"{order}L", start[8:12])
    value = file.read() if length == UNDEFINED else file.read(length)
    element = DataElement(Tag(_PIXEL_DATA), vr if vr in ("OB", "OW") else "OW", value)
    element.is_undefined_length = length == UNDEFINED
    return element


def frame(dataset: Dataset) -> Frame:
    """Take the one frame out of its element.

    Parameters
    ----------
    dataset
        With the element that `read` returned.

    Returns
    -------
    Frame
        All fragments are the one frame's, whatever the offset table says: some devices write a wrong one.
        Items count also where the element has a length of its own; without any item the value is the frame.

    Raises
    ------
    ImageError
        If an item has no length, or there are far too many.
    """
    element = dataset["PixelData"]
    data: bytes = element.value or b""
    # encapsulated data are little endian (PS3.5 A.4), but those of a big endian set may be anything
    order = ">" if data.startswith(_BIG_ITEM) else "<"
    items, delimited, end = _items(data, order)
    # by chance, the first pixels of a native image may look like an item, but not all of it like items
    if not items or not (element.is_undefined_length or end == len(data)):
        return Frame(data.removesuffix(_END), in_fragments=False, delimited=True)
    if len(items) > 1 and _is_offset_table(items[0], len(items) - 1):
        items = items[1:]
    return Frame(b"".join(items), in_fragments=True, delimited=delimited)


def _items(data: bytes, order: str) -> tuple[list[bytes], bool, int]:
    """Return the items up to the delimiter or where none follows, whether it is there, and where that is."""
    header = struct.Struct(f"{order}HHL")
    items: list[bytes] = []
    position = 0
    while position + header.size <= len(data):
        group, number, length = header.unpack_from(data, position)
        if (tag := _tag(group, number)) != ITEM:
            return items, tag == SEQUENCE_END, position + header.size * (tag == SEQUENCE_END)
        if length == UNDEFINED or len(items) == _MOST_FRAGMENTS:
            raise ImageError(Reason("fragments-damaged"))
        position += header.size
        items.append(data[position : position + length])
        position += length
    return items, False, position


def _is_offset_table(item: bytes, fragments: int) -> bool:
    """Tell a Basic Offset Table, which some encoders leave out, from a fragment: one offset a frame."""
    return len(item) % 4 == 0 and len(item) <= 4 * fragments and not item.startswith(_CODESTREAMS)


def _tag(group: int, element: int) -> int:
    return group << 16 | element

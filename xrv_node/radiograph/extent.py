"""How much there is in a sequence, found by walking over its bytes: no objects are made of them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.datadict import dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from xrv_node.radiograph.elements import ITEM, ITEM_END, SEQUENCE_END, UNDEFINED

BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "OX", "UN", "OB or OW", "US or OW", "US or SS or OW"})
"""VRs of which pydicom makes nothing but bytes."""

_ITEMS, _FRAGMENTS, _ELEMENTS = "items", "fragments", "elements"
_LONGEST_TEXT = 1 << 16


class StrayError(Exception):
    """What is walked over is not what it should be, or breaks off."""


@dataclass(slots=True)
class Extent:
    """What a sequence is made of."""

    size: int = 0
    """Bytes."""
    pieces: int = 0
    """Items and elements, those of inner sequences too."""
    values: int = 0
    """Of all its text."""
    depth: int = 0
    """Sequences within each other."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What `walk` needs of a file."""

    read: Callable[[int], bytes]
    seek: Callable[[int, int], int]
    tell: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written (PS3.5 7.1)."""

    implicit: bool
    little: bool


def is_sequence(tag: int, vr: str | None) -> bool:
    """Whether an element is read as a sequence, by its VR or, without one, by its tag."""
    return real_vr(tag, vr) == "SQ"


def real_vr(tag: int, vr: str | None) -> str:
    """The VR by which an element is read: its own, or the dictionary's where it has none or UN."""
    if vr is not None and vr != "UN":
        return vr
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def walk(file: Steps | BinaryIO, length: int, vr: str | None, encoding: Encoding, most: int) -> Extent:
    """Walk over the value of a sequence, or of encapsulated fragments.

    Parameters
    ----------
    file
        Stands at the value's first byte, and behind the value afterwards.
    length
        Of the value, or `UNDEFINED`.
    vr
        Of a binary one (OB, OW), the items are fragments, which hold no elements.
    encoding
        Of the data set. An element without a VR in explicit encoding counts as implicit.
    most
        Pieces after which it is given up.

    Returns
    -------
    Extent
        Of the whole value; ``pieces`` is more than `most` where it was given up.

    Raises
    ------
    StrayError
        Where it breaks off, or holds what a sequence cannot.
    """
    begin, found = file.tell(), Extent()
    number = struct.Struct("<L" if encoding.little else ">L")
    words = struct.Struct("<HH" if encoding.little else ">HH")
    holds = _FRAGMENTS if vr in BINARY and vr != "UN" else _ITEMS
    stack: list[tuple[str, int | None]] = [(holds, None if length == UNDEFINED else begin + length)]
    while stack:
        holds, end = stack[-1]
        if end is not None and file.tell() >= end:
            stack.pop()
            continue
        head = file.read(8)
        if len(head) < 8:
            raise StrayError
        found.pieces += 1
        if found.pieces > most:
            break
        group, element = words.unpack_from(head)
        tag, (long,) = group << 16 | element, number.unpack_from(head, 4)
        if tag == (ITEM_END if holds == _ELEMENTS else SEQUENCE_END):
            stack.pop()
        elif holds == _ELEMENTS:
            inner, size = _element(file, tag, head, encoding, number)
            if is_sequence(tag, inner) or size == UNDEFINED:
                kind = _FRAGMENTS if inner in BINARY and inner != "UN" else _ITEMS
                stack.append((kind, None if size == UNDEFINED else file.tell() + size))
                found.depth = max(found.depth, len(stack))
            else:
                found.values += _values(file, tag, inner, size)
        elif tag != ITEM or (holds == _FRAGMENTS and long == UNDEFINED):
            raise StrayError
        elif holds == _FRAGMENTS:
            file.seek(long, 1)
        else:
            stack.append((_ELEMENTS, None if long == UNDEFINED else file.tell() + long))
    found.size = file.tell() - begin
    return found


def _element(
    file: Steps | BinaryIO, tag: int, head: bytes, encoding: Encoding, number: struct.Struct
) -> tuple[str | None, int]:
    """VR and length of the element whose first eight bytes are given."""
    vr = head[4:6]
    if encoding.implicit or not (b"AA" <= vr <= b"ZZ"):
        return None, int(number.unpack_from(head, 4)[0])
    name = vr.decode("latin-1")
    if name in EXPLICIT_VR_LENGTH_32:
        rest = file.read(4)
        if len(rest) < 4:
            raise StrayError
        return name, int(number.unpack(rest)[0])
    return name, int.from_bytes(head[6:8], "little" if encoding.little else "big")


def _values(file: Steps | BinaryIO, tag: int, vr: str | None, size: int) -> int:
    """How many values an element has; a long one is not looked into."""
    if size > _LONGEST_TEXT or real_vr(tag, vr) in BINARY:
        file.seek(size, 1)
        return 0
    return file.read(size).count(b"\\")

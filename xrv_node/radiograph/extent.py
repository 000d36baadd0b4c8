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
_BLOCK = 1 << 15


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
    return _Walk(file, encoding, most).over(length, _FRAGMENTS if _is_binary(vr) else _ITEMS)


class _Walk:
    """One walk; a block of the file is at hand."""

    def __init__(self, file: Steps | BinaryIO, encoding: Encoding, most: int) -> None:
        self._file, self._encoding, self._most = file, encoding, most
        order = "<" if encoding.little else ">"
        self._head, self._short = struct.Struct(f"{order}HHL"), struct.Struct(f"{order}H")
        self._long = struct.Struct(f"{order}L")
        self._block, self._base = b"", file.tell()

    def over(self, length: int, holds: str) -> Extent:
        """Walk over a value that begins where the file stands, and leave the file behind it."""
        found = Extent()
        place = begin = self._base
        stack: list[tuple[str, int | None]] = [(holds, None if length == UNDEFINED else begin + length)]
        while stack and found.pieces <= self._most:
            holds, end = stack[-1]
            if end is not None and place >= end:
                stack.pop()
                continue
            at = self._at(place)
            group, element, long = self._head.unpack_from(self._block, at)
            found.pieces += 1
            tag = group << 16 | element
            if tag == (ITEM_END if holds is _ELEMENTS else SEQUENCE_END):
                stack.pop()
                place += 8
            elif holds is _ELEMENTS:
                vr, value, size = self._element(place, at, long)
                if is_sequence(tag, vr) or size == UNDEFINED:
                    kind = _FRAGMENTS if _is_binary(vr) else _ITEMS
                    stack.append((kind, None if size == UNDEFINED else value + size))
                    found.depth = max(found.depth, len(stack))
                    place = value
                else:
                    found.values += self._values(tag, vr, value, size)
                    place = value + size
            elif tag != ITEM or (holds is _FRAGMENTS and long == UNDEFINED):
                raise StrayError
            else:
                place += 8
                if holds is _FRAGMENTS:
                    place += long
                elif long:
                    stack.append((_ELEMENTS, None if long == UNDEFINED else place + long))
        self._file.seek(place, 0)
        found.size = place - begin
        return found

    def _at(self, place: int) -> int:
        """Where in the block the eight bytes at a place are, and four more unless the file ends."""
        at = place - self._base
        if not 0 <= at <= len(self._block) - 12:
            self._file.seek(place, 0)
            self._block, self._base, at = self._file.read(_BLOCK), place, 0
            if len(self._block) < 8:
                raise StrayError
        return at

    def _element(self, place: int, at: int, long: int) -> tuple[str | None, int, int]:
        """VR, place and length of the value of the element at a place."""
        vr = self._block[at + 4 : at + 6]
        if self._encoding.implicit or not (b"AA" <= vr <= b"ZZ"):
            return None, place + 8, long
        name = vr.decode("latin-1")
        if name not in EXPLICIT_VR_LENGTH_32:
            return name, place + 8, int(self._short.unpack_from(self._block, at + 6)[0])
        if len(self._block) < at + 12:
            raise StrayError
        return name, place + 12, int(self._long.unpack_from(self._block, at + 8)[0])

    def _values(self, tag: int, vr: str | None, place: int, size: int) -> int:
        """How many values an element has beside the first; a long one is not looked into."""
        if not size or size > _LONGEST_TEXT or real_vr(tag, vr) in BINARY:
            return 0
        at = place - self._base
        if at + size <= len(self._block):
            return self._block.count(b"\\", at, at + size)
        self._file.seek(place, 0)
        return self._file.read(size).count(b"\\")


def _is_binary(vr: str | None) -> bool:
    return vr in BINARY and vr != "UN"

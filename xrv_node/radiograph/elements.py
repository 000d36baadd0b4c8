"""How elements of a data set begin: tag, VR and length, also where the VR is none.

dcmtk assumes a length of two bytes for a VR that is no two capitals, and one of four for two capitals that it
does not know, as all VRs to come have one (PS3.5 7.1.2). Writers do either, so what follows tells.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TypeAlias

from pydicom.datadict import dictionary_has_tag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

Source: TypeAlias = io.BufferedReader | io.BytesIO

LONG = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
"""VRs with a length of four bytes (PS3.5 table 7.1-1)."""
SHORT = frozenset(vr.encode() for vr in VR if len(vr) == 2) - LONG
"""VRs with a length of two bytes (PS3.5 table 7.1-2)."""
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and Pixel Data: the header ends there."""
META = 0x0002
"""The group of the meta information (PS3.10 7.1)."""

MAX_ELEMENTS = 20_000
"""So many elements and items are looked at, in some hundredths of a second; a radiograph's header has some
hundreds. What is against the standard behind them is left to the parser."""
HEAD = 12
"""Bytes at which an element begins, at most."""
_BLOCK = 1 << 15
"""Bytes that are read at once; the header of a radiograph has some kilobytes."""
_LOOKED_AT = frozenset({META, 0x7FE0, 0xFFFE})
_ENDS = frozenset({*PIXELS, ITEM_END})
_AHEAD = 3
"""Elements that are looked at to tell which length was meant."""
_SURE, _LIKELY, _POSSIBLE = 4, 2, 1
"""What speaks for a length: an element with a VR, one in implicit VR, one with a wrong VR."""
_ENOUGH = _AHEAD * _POSSIBLE
"""Less is chance."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of an element, as it is understood."""

    tag: int
    vr: bytes
    """Two bytes; empty in implicit VR."""
    value: int
    """Where the value begins, in bytes from the beginning of the file."""
    length: int
    """Of the value, in bytes; `UNDEFINED`, where a delimiter ends it."""

    @property
    def next(self) -> int:
        """Where the next element begins, if the length is defined."""
        return self.value + self.length


class Elements:
    """The elements of a file, each by its place.

    Parameters
    ----------
    file : io.BufferedReader or io.BytesIO
        Where it stands does not matter.
    """

    def __init__(self, file: Source) -> None:
        self.size = file.seek(0, io.SEEK_END)
        self._file = file
        self._block, self._base = b"", 0
        self.left = MAX_ELEMENTS
        """How many may still be looked at."""
        self.little = True

    @property
    def little(self) -> bool:
        """The byte order."""
        return self.order == "<"

    @little.setter
    def little(self, little: bool) -> None:
        self.order = "<" if little else ">"
        self._tag, self._head = struct.Struct(self.order + "HH"), struct.Struct(self.order + "HH2sH")

    def bytes_at(self, place: int, count: int) -> bytes:
        """Return so many bytes, fewer at the end of the file."""
        start = self._load(place, count)
        return self._block[start : start + count]

    def tag(self, raw: bytes) -> int:
        """Return the tag that four bytes or more begin with."""
        group, element = self._tag.unpack_from(raw)
        return int(group << 16 | element)

    def number(self, raw: bytes) -> int:
        """Return an unsigned number of any length."""
        return int.from_bytes(raw, "little" if self.little else "big")

    def skim(self, place: int, end: int) -> int:
        """Pass over elements in explicit VR that are as they should be.

        Parameters
        ----------
        place : int
            Where the first of them begins.
        end : int
            Where what they are in ends.

        Returns
        -------
        int
            Where one begins that is not passed over: a sequence, an item, pixel data, one without a VR or of
            group 0002, the character set; or the end.
        """
        unpack = self._head.unpack_from
        while place < end and self.left > 0:
            self.left -= 1
            start = self._load(place, HEAD)
            if len(self._block) - start < HEAD:
                break
            group, element, vr, length = unpack(self._block, start)
            if group in _LOOKED_AT or (group == 8 and element == 5):
                break
            if vr in SHORT:
                place += 8 + length
            elif vr in LONG and vr != b"SQ":
                length = self.number(self._block[start + 8 : start + HEAD])
                if length == UNDEFINED:
                    break
                place += HEAD + length
            else:
                break
        return place

    def _load(self, place: int, count: int) -> int:
        """Have so many bytes of the file at hand, and return where they begin in what is at hand."""
        if not self._base <= place <= self._base + len(self._block) - count:
            self._file.seek(place)
            self._block, self._base = self._file.read(_BLOCK), place
        return place - self._base

    def implicit(self, place: int, raw: bytes) -> Head:
        """Read eight bytes or more as an element in implicit VR."""
        return Head(self.tag(raw), b"", place + 8, self.number(raw[4:8]))

    def explicit(self, place: int, raw: bytes) -> Head | None:
        """Read `HEAD` bytes as an element in explicit VR; None where its VR is none."""
        vr = raw[4:6]
        if vr in SHORT:
            return self._short(place, raw)
        return self._long(place, raw) if vr in LONG and len(raw) == HEAD else None

    def odd(self, place: int, raw: bytes, end: int) -> Head | None:
        """Read an element whose VR is none, with the length that what follows speaks for.

        Parameters
        ----------
        place : int
            Where it begins.
        raw : bytes
            `HEAD` bytes of it, or eight at the end of the file.
        end : int
            Where what it is in ends at the latest.

        Returns
        -------
        Head or None
            In implicit VR, where that is meant; of lengths that as much speaks for, dcmtk's. None where
            nothing that follows makes sense.
        """
        heads = self._readings(place, raw, vr=True) + self._readings(place, raw, vr=False)
        points, best = max(((self._points(head, end), head) for head in heads), key=lambda scored: scored[0])
        return best if points >= _ENOUGH else None

    def _readings(self, place: int, raw: bytes, *, vr: bool) -> list[Head]:
        """What an element without a VR may be, dcmtk's reading first."""
        if not vr:
            return [self.implicit(place, raw)]
        reserved = raw[6:8] == b"\0\0" and len(raw) == HEAD  # PS3.5 7.1.2
        short, long = [self._short(place, raw)], [self._long(place, raw)] if reserved else []
        return long + short if raw[4:6].isalpha() and raw[4:6].isupper() else short + long

    def _short(self, place: int, raw: bytes) -> Head:
        return Head(self.tag(raw), raw[4:6], place + 8, self.number(raw[6:8]))

    def _long(self, place: int, raw: bytes) -> Head:
        return Head(self.tag(raw), raw[4:6], place + HEAD, self.number(raw[8:HEAD]))

    def _points(self, head: Head, end: int, left: int = _AHEAD) -> int:
        """How much of what follows an element, read so, is as it should be; 0: nothing."""
        if head.length == UNDEFINED:
            raw = self.bytes_at(head.value, 4)
            return left * _SURE if len(raw) == 4 and self.tag(raw) == ITEM else 0
        raw = self.bytes_at(head.next, HEAD)
        tag = self.tag(raw) if len(raw) >= 8 else 0
        if head.next == end or tag in _ENDS:
            return left * _SURE
        if left == 0 or head.next > end or not tag:
            return 0
        if known := self.explicit(head.next, raw):
            return _SURE + self._points(known, end, left - 1)
        if not _may_follow(tag, head.tag):
            return 0
        readings = self._readings(head.next, raw, vr=bool(head.vr))
        likely = _POSSIBLE if head.vr else _LIKELY
        return likely + max(self._points(reading, end, left - 1) for reading in readings)


def _may_follow(tag: int, last: int) -> bool:
    """Whether there is such an element, or may be, at this place.

    Private ones are in no dictionary, and group 0002 in a data set is out of order as it is.
    """
    return tag >> 16 == META or (tag > last and (bool(tag >> 16 & 1) or dictionary_has_tag(tag)))

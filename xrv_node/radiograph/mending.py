"""What is against the standard in a header and can be read all the same, found before the parser meets it.

The parser takes an element whose VR is none for one in implicit VR, and its length with that: it loses its
way there, without a word. Group 0002 is no part of a data set (PS3.10 7.1): it is not believed there.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pydicom.datadict import dictionary_VR
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from xrv_node.radiograph.elements import (
    HEAD,
    ITEM,
    ITEM_END,
    LONG,
    META,
    PIXELS,
    SEQUENCE_END,
    SHORT,
    UNDEFINED,
    Elements,
    Head,
    Source,
)

_CHARACTER_SET, _META_LENGTH, _SYNTAX = 0x00080005, 0x00020000, 0x00020010
_DELIMITERS = 0xFFFE
_META_MOST = 64  # elements of group 0002, of which PS3.10 table 7.1-1 has less than twenty


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes of a file, from `start` up to `end`, that are read as others."""

    start: int
    end: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a header cannot be followed any further."""

    tag: int
    offset: int
    """Bytes from the beginning of the file, or of the inflated data set."""


@dataclass(slots=True)
class Survey:
    """What was found in a header."""

    end: int
    """Bytes from the beginning to the pixel data; all, where they were not reached."""
    edits: list[Edit] = field(default_factory=list)
    """In the order of the file."""
    lost: Place | None = None


@dataclass(slots=True)
class _Level:
    """A data set, or the items of a sequence."""

    end: int | None = None
    """None: at its delimiter, or with the file."""
    items: bool = False
    implicit: bool | None = None
    """None until the first element tells."""


def survey(file: Source, start: int) -> Survey:
    """Follow a file's header up to its pixel data.

    Parameters
    ----------
    file : io.BufferedReader or io.BytesIO
        Where it stands afterwards is not said.
    start : int
        Where group 0002 begins, or the data set where it has none.

    Returns
    -------
    Survey
        What has to be read otherwise: nothing for a header as it should be. Of a deflated data set only group
        0002 is followed: the rest has a survey of its own, once it is inflated.
    """
    walk = _Walk(file)
    place, syntax = walk.meta(start)
    if syntax != DeflatedExplicitVRLittleEndian:
        walk.elements.little = syntax != ExplicitVRBigEndian
        walk.dataset(place, implicit=syntax == ImplicitVRLittleEndian)
    return walk.found


def survey_dataset(file: Source) -> Survey:
    """Follow the header of a data set in explicit VR little endian that begins with the file; as `survey`."""
    walk = _Walk(file)
    walk.dataset(0, implicit=False)
    return walk.found


def mended(file: Source, edits: Iterable[Edit], end: int = -1) -> io.BytesIO:
    """Return what a file holds, up to a byte, as it has to be read.

    Parameters
    ----------
    file : io.BufferedReader or io.BytesIO
        As it was surveyed.
    edits : iterable of Edit
        In the order of the file.
    end : int
        How many of its bytes; without it all.

    Returns
    -------
    io.BytesIO
        At its beginning.
    """
    file.seek(0)
    data = file.read(end)
    pieces: list[bytes] = []
    place = 0
    for edit in edits:
        pieces += (data[place : edit.start], edit.data)
        place = edit.end
    return _Mended(b"".join([*pieces, data[place:]]))


class _Mended(io.BytesIO):
    name = ""  # pydicom asks what reads like a file for one


class _Walk:
    """One way through a header, element by element."""

    def __init__(self, file: Source) -> None:
        self.elements = Elements(file)
        self.levels = [_Level()]
        self.begun = False
        self.found = Survey(end=self.elements.size)

    def meta(self, start: int) -> tuple[int, str]:
        """Pass over group 0002 and return where the data set begins, and its transfer syntax.

        The group's own length tells its end where an element begins there and the syntax was told before it;
        else it goes on until a tag comes a second time.
        """
        place, end, syntax = start, None, ""
        seen: set[int] = set()
        while (place != end or not syntax) and len(seen) < _META_MOST:
            raw = self.elements.bytes_at(place, HEAD)
            tag = self.elements.tag(raw) if len(raw) >= 8 else 0
            head = self._read(place, raw) if tag >> 16 == META and tag not in seen else None
            if head is None:
                break
            value = self.elements.bytes_at(head.value, min(head.length, 64))
            if tag == _META_LENGTH:
                end = head.next + int.from_bytes(value, "little")
            elif tag == _SYNTAX:
                syntax = value.strip(b" \0").decode("latin-1")
            place = head.next
            seen.add(tag)
        return place, syntax

    def dataset(self, place: int, *, implicit: bool) -> None:
        """Follow a data set; where its syntax is implicit, a first element may have no VR."""
        first = self.elements.bytes_at(place, HEAD)
        stated = len(first) == HEAD and self.elements.explicit(place, first) is not None
        self.levels = [_Level(implicit=True if implicit and not stated else None)]
        while self.elements.left > 0:
            self.elements.left -= 1
            following = self._step(self._skim(place))
            if following is None:
                return
            place = following

    def _skim(self, place: int) -> int:
        """Pass over what is as it should be, and leave what ends there."""
        place = self._leave(place)
        level = self.levels[-1]
        if level.items or level.implicit is not False:
            return place
        return self._leave(self.elements.skim(place, self._end()))

    def _end(self) -> int:
        """Where what this is in ends at the latest."""
        ends = (level.end for level in reversed(self.levels) if level.end is not None)
        return next(ends, self.elements.size)

    def _leave(self, place: int) -> int:
        """Leave what ends here, or should have: the length of a sequence is believed, as the parser does."""
        while (end := self.levels[-1].end) is not None and place >= end:
            self.levels.pop()
            place = end
        return place

    def _step(self, place: int) -> int | None:
        """Take one element, item or delimiter, and return where the next begins; None where there is none."""
        raw = self.elements.bytes_at(place, HEAD)
        if len(raw) < 8:
            return None
        level, tag = self.levels[-1], self.elements.tag(raw)
        if len(self.levels) == 1 and tag in PIXELS:
            self.found.end = place
            return None
        if level.items and tag == ITEM:
            return self._enter(place + 8, self.elements.number(raw[4:8]))
        if tag == (SEQUENCE_END if level.items else ITEM_END) and len(self.levels) > 1:
            self.levels.pop()
            return place + 8
        if level.items or tag >> 16 == _DELIMITERS:
            return self._lose(place, tag)
        take = self._strike if len(self.levels) == 1 and tag >> 16 == META else self._element
        return take(place, raw)

    def _element(self, place: int, raw: bytes) -> int | None:
        level = self.levels[-1]
        if level.implicit and len(self.levels) == 1:
            return None  # no VR here that could be wrong
        head = self.elements.implicit(place, raw) if level.implicit else self._read(place, raw)
        if head is None:
            return self._lose(place, self.elements.tag(raw))
        self.begun = True
        if level.implicit is None:
            level.implicit = not head.vr
        if head.tag == _CHARACTER_SET and head.vr not in (b"", b"CS"):
            self._write(place, head)
        sequence = head.vr == b"SQ"
        if head.length != UNDEFINED and not sequence:
            return head.next
        if sequence or head.vr in (b"", b"UN"):  # PS3.5 6.2.2 note 2
            return self._enter(head.value, head.length, items=True)
        return None  # fragments, where none belong: for the parser

    def _read(self, place: int, raw: bytes) -> Head | None:
        """Read an element in explicit VR, and note the VR that it should have where it has none."""
        if head := self.elements.explicit(place, raw):
            return head
        head = self._odd(place, raw)
        return self._write(place, head) if head and head.vr else head

    def _odd(self, place: int, raw: bytes) -> Head | None:
        return self.elements.odd(place, raw, self._end())

    def _strike(self, place: int, raw: bytes) -> int | None:
        """Leave an element of group 0002 out of the data set."""
        head = self.elements.explicit(place, raw) or self._odd(place, raw)
        if head is None or head.next > self.elements.size:
            return self._lose(place, self.elements.tag(raw))
        self.found.edits.append(Edit(place, head.next))
        return head.next

    def _enter(self, place: int, length: int, *, items: bool = False) -> int:
        end = None if length == UNDEFINED else place + length
        # implicit stays implicit (PS3.5 7.5.1); explicit may become so (6.2.2)
        self.levels.append(_Level(end, items, self.levels[-1].implicit or None))
        return place

    def _lose(self, place: int, tag: int) -> int | None:
        """Go on behind the sequence of the data set that this happened in, if its length tells where that is.

        Where nothing was understood before, it is no data set, and nothing is said of a place in it.
        """
        outermost = self.levels[min(1, len(self.levels) - 1)]
        if outermost.end is not None:
            del self.levels[1:]
            return outermost.end
        if self.begun:
            self.found.lost = Place(tag, place)
        return None

    def _write(self, place: int, head: Head) -> Head:
        """Note the VR that an element is to be read with, and return how it begins then.

        What has no VR of its own in the dictionary, or one with the other length, is text, or unknown.
        """
        long = head.value == place + HEAD
        meant, fits = _meant(head.tag), LONG if long else SHORT
        if b"SQ" in meant and not long and all(level.end is None for level in self.levels):
            length = struct.pack(self.elements.order + "HL", 0, head.length)
            self.found.edits.append(Edit(place + 4, place + 8, b"SQ" + length))
            return replace(head, vr=b"SQ")
        vr = next((vr for vr in meant if vr in fits), b"UN" if long else b"ST")
        self.found.edits.append(Edit(place + 4, place + 6, vr))
        return replace(head, vr=vr)


def _meant(tag: int) -> list[bytes]:
    """The VRs that the dictionary has for an element; none for a private one."""
    try:
        return [vr.encode() for vr in dictionary_VR(tag).split(" or ")]
    except KeyError:
        return []

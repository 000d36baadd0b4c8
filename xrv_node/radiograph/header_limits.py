"""What is kept of a header: whatever is larger than an attribute that is looked at ever is, is passed over.

A parser makes some hundred bytes of memory of each of eight. So what there is in an element is told before
anything is made of it, and what is too much is not there for anybody, and remembered as that.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import structlog
from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag, Tag

from xrv_node.attributes import spaced
from xrv_node.errors import ImageError
from xrv_node.radiograph.elements import PIXELS, UNDEFINED
from xrv_node.radiograph.extent import (
    BINARY,
    Encoding,
    Extent,
    Steps,
    StrayError,
    real_vr,
    walk,
)
from xrv_node.reasons import Reason

log = structlog.get_logger("radiograph")

MAX_BYTES = 32 << 20
"""Read of a header; what is passed over is not counted."""
MAX_READS = 20_000
"""Pieces that it is read in, one to three for an element or item, of which each takes about a kilobyte."""
MAX_STEPS = 250_000
"""Elements and items that are stepped over; a multi-frame object has some 50 elements a frame."""

MAX_TEXT = 1 << 16
"""Bytes of a text, and of a sequence. An LT, the longest text with a bound, has 10,240 characters."""
MAX_TABLES = 2 << 20
"""Bytes of a sequence of the groups that hold look-up tables (PS3.3 C.11); one table has up to 128 KiB."""
MAX_BINARY = 1 << 18
"""Bytes of any other value. A palette's table (PS3.3 C.7.9) has up to 128 KiB."""
MAX_VALUES = 1000
"""Of an attribute, or of all text in a sequence."""
MAX_PIECES = 2000
"""Items and elements in a sequence."""
MAX_DEPTH = 16
"""Sequences within each other; a View Code Sequence has two."""
MAX_CHARACTER_SETS = 1024
"""Bytes of Specific Character Set, of which the parser makes use as it reads."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attribute may have, and how often a file may be read for a header."""

    text: int = MAX_TEXT
    tables: int = MAX_TABLES
    values: int = MAX_VALUES
    pieces: int = MAX_PIECES
    reads: int = 0
    """0: `MAX_READS`."""


LOOKED_AT = Limits()
"""Of headers of which some attributes are looked at."""

_CHARACTER_SET = 0x00080005
_TABLES = frozenset({0x0028, 0x2050})
_WIDTHS = {
    "AT": 4, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8, "US or SS": 2,
}  # fmt: skip
"""Bytes of one value, of VRs that are numbers."""

StopWhen = Callable[[BaseTag, str | None, int], bool]


@dataclass(frozen=True, slots=True)
class PixelsAt:
    """Where a header ends: pixel data."""

    tag: int
    vr: str
    offset: int | None
    """Where the value begins, in bytes from the beginning of the file; None where the file is not read as it
    is: it is deflated, or mended."""
    length: int
    """Of the value, or `UNDEFINED`: it is encapsulated."""


def pixels_at(header: Dataset) -> PixelsAt | None:
    """Return where the pixel data of a header begin that `header.read_header` returned; None without any."""
    found: PixelsAt | None = getattr(header, "pixels_at", None)
    return found


def passed_over(header: Dataset) -> frozenset[BaseTag]:
    """Return the tags of what a header had and was too large to be kept.

    Parameters
    ----------
    header
        As `header.read_header` or `header.read_object` returned it; any other has none.
    """
    found: frozenset[BaseTag] = getattr(header, "passed_over", frozenset())
    return found


def refuse(header: Dataset, looked_at: Iterable[str]) -> None:
    """See that none of the attributes that something looks at were passed over.

    Parameters
    ----------
    looked_at
        Their keywords.

    Raises
    ------
    ImageError
        Where one was: it names the attribute.
    """
    if over := passed_over(header):
        for keyword in looked_at:
            if Tag(keyword) in over:
                raise too_large(keyword)


def too_large(keyword: str) -> ImageError:
    """The error of an attribute that is larger than it may be."""
    return ImageError(Reason("attribute-too-large", attribute=spaced(keyword)))


class Frugal(io.BufferedReader):
    """A file of which a parser may read so much and no more: pydicom believes all lengths and counts."""

    left_bytes, left_reads = MAX_BYTES, MAX_READS
    unlimited = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as a file does.

        Raises
        ------
        ImageError
            When it was read too much or too often.
        """
        if not self.unlimited:
            self.left_reads -= 1
            self.left_bytes -= MAX_BYTES + 1 if size is None or size < 0 else size
            if self.left_reads < 0 or self.left_bytes < 0:
                raise _header_too_large()
        return super().read(size)

    @property
    def uncounted(self) -> Steps:
        """The same file, to read what nothing is made of."""
        return Steps(super().read, self.seek, self.tell)


@dataclass
class Sieve:
    """Stops pydicom's reader, which calls it for each element, at what is to be passed over."""

    file: Frugal
    limits: Limits = LOOKED_AT
    over: set[BaseTag] = field(default_factory=set)
    pixels: PixelsAt | None = None
    _stopped: tuple[BaseTag, str | None, int, int] | None = None
    """Tag, VR, length and place of the value where it stopped."""
    _fits: int = -1
    """Place of a value of undefined length that was found to fit."""
    _steps: int = field(default_factory=lambda: MAX_STEPS)

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        """Whether to stop before this element."""
        self._stopped = None
        self.file.unlimited = tag in PIXELS  # which are as large as they are
        where = self.file.tell()
        if tag in PIXELS:
            self.pixels = PixelsAt(tag, vr or "OW", where, length)  # PS3.5 A.1: OW in implicit VR
            return True
        if where == self._fits:
            return False
        if tag <= _CHARACTER_SET and length > MAX_CHARACTER_SETS:
            raise too_large("SpecificCharacterSet")
        if length == UNDEFINED or length > _longest(tag, vr, self.limits):
            self._stopped = (tag, vr, length, where)
            return True
        return False

    def go_on(self, dataset: Dataset, encoding: Encoding) -> None:
        """Read the rest of a data set, of which the reader was stopped.

        Raises
        ------
        ImageError
            When there is too much to be passed over, or it breaks off there.
        """
        while self._stopped is not None:
            self._settle(*self._stopped, encoding)
            self._stopped = None
            self._take(dataset, encoding)

    def behind(self, dataset: Dataset, encoding: Encoding) -> None:
        """Read what is behind the pixel data, where the file stands; as `go_on`."""
        self.file.unlimited = False
        try:
            self._take(dataset, encoding)
            self.go_on(dataset, encoding)
        except ImageError:
            raise
        except Exception:  # what cannot be read there is as good as missing: the image is whole
            log.debug("what is behind the pixel data cannot be read")

    def _take(self, dataset: Dataset, encoding: Encoding) -> None:
        for element in self._more(dataset, encoding):
            dataset[element.tag] = element

    def _more(self, dataset: Dataset, encoding: Encoding) -> Iterator[RawDataElement | DataElement]:
        character_set = dataset.original_character_set
        try:
            yield from data_element_generator(
                self.file, encoding.implicit, encoding.little, self, encoding=character_set
            )
        except EOFError:  # as pydicom's own reader: what came before is there
            return

    def _settle(self, tag: BaseTag, vr: str | None, length: int, where: int, encoding: Encoding) -> None:
        """Stand behind what is too large, or before what fits after all."""
        begin = self.file.tell()
        self.file.seek(where)
        if length != UNDEFINED:
            self.file.seek(length, io.SEEK_CUR)
        elif self._keeps(tag, vr, encoding):
            self._fits = where
            self.file.seek(begin)
            return
        self.over.add(tag)

    def _keeps(self, tag: BaseTag, vr: str | None, encoding: Encoding) -> bool:
        try:
            extent = walk(self.file.uncounted, UNDEFINED, vr, encoding, self._steps)
        except StrayError:
            return True  # pydicom may make something of it, within the limits of the file
        self._steps -= extent.pieces
        if self._steps < 0:
            raise _header_too_large()
        return _fits(extent, _longest(tag, real_vr(tag, vr), self.limits), self.limits)


def trim(dataset: Dataset, over: set[BaseTag], encoding: Encoding, limits: Limits = LOOKED_AT) -> None:
    """Take out of a data set what has too many values or pieces, and remember all that was passed over.

    Parameters
    ----------
    dataset
        As it was read, before anything was looked at.
    over
        What was passed over already.
    """
    for tag, element in dataset.items():
        if (
            isinstance(element, RawDataElement)
            and element.value
            and not _is_modest(element, encoding, limits)
        ):
            over.add(tag)
    for tag in over:
        dataset.pop(tag, None)  # what is there twice, too
    dataset.passed_over = frozenset(over)


def _is_modest(element: RawDataElement, encoding: Encoding, limits: Limits) -> bool:
    vr, value = real_vr(element.tag, element.VR), element.value or b""
    if vr in BINARY:
        return True
    if vr != "SQ":
        return vr in _WIDTHS or value.count(b"\\") < limits.values
    try:
        found = walk(io.BytesIO(value), len(value), vr, encoding, limits.pieces)
    except StrayError:
        return len(value) <= limits.text  # a damaged one raises when it is looked at
    return _fits(found, _longest(element.tag, vr, limits), limits)


def _fits(extent: Extent, longest: int, limits: Limits) -> bool:
    return (
        extent.size <= longest
        and extent.pieces <= limits.pieces
        and extent.values <= limits.values
        and extent.depth <= MAX_DEPTH
    )


def _longest(tag: int, vr: str | None, limits: Limits) -> int:
    vr = real_vr(tag, vr)
    if vr in BINARY:
        return MAX_BINARY
    if vr == "SQ" and tag >> 16 in _TABLES:
        return limits.tables
    return min(limits.values * _WIDTHS[vr], limits.text) if vr in _WIDTHS else limits.text


def _header_too_large() -> ImageError:
    return ImageError(Reason("header-too-large", most=MAX_BYTES >> 20))

"""Whether a JPEG's image data are all there.

No decoder says so: libjpeg paints what is missing grey, and what calls it keeps its warnings to itself. So
image data are decoded in ways in which too little or too much shows. Clauses are those of ISO/IEC 10918-1."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

Decode = Callable[[bytes], NDArray[Any]]
"""From a codestream to ``[rows, columns]`` or ``[rows, columns, components]``."""

_PROGRESSIVE = 0xC2
_HUFFMAN_DCT = frozenset({0xC0, 0xC1, _PROGRESSIVE})
"""Frames whose image data can be followed (table B.1). An arithmetic coder leaves out zeros at the end
(D.1.8), so that too little is no fault there; lossless frames have no blocks."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_RESTARTS, _END_OF_IMAGE, _START_OF_SCAN, _RESTART_INTERVAL = range(0xD0, 0xD8), 0xD9, 0xDA, 0xDD
_STANDALONE = frozenset({0x01, 0xD8, *_RESTARTS})
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
"""FF behind FF fills up (B.1.1.2); a zero behind it makes it a byte of data (B.1.1.5)."""
_NOT_OF_THE_IMAGE = frozenset({*range(0xE0, 0xF0), 0xFE})
"""Application data and comments."""
_ADOBE, _TRANSFORM = b"Adobe", 11
"""First bytes of the application data that say how colours are coded, and where (T.872, 6.5.3): 0 is as they
are."""
_RED_GREEN_BLUE = tuple(b"RGB")
"""Identifiers of components that are colours as they are, where nothing else says so."""
_EXIF = b"Exif\0\0"
"""First bytes of the application data that say how a camera was held (Exif 3.0, 4.7.2.1)."""
_SIDE = 8
"""Of a block."""
_COEFFICIENTS = _SIDE * _SIDE
_BELOW = 4
"""Units that are asked for below the image, at least."""
_MOST_ROWS = 0xFFFF
_JUNK = 16
"""Bytes too many that are passed over: some encoders fill up to whole words."""
_MOST_SEGMENTS, _MOST_FILLED, _MOST_FOLLOWED = 10_000, 100_000, 50_000_000
"""Of segments, intervals and pixels: beyond, a file is hostile, or too large for the slower ways to look."""
_FILLER = np.random.default_rng(0).integers(0, 255, 64, np.uint8).tobytes()
"""Data like no image's, without FF."""


class DamagedError(ValueError):
    """Image data are missing, or there are more than the image takes."""


@dataclass(slots=True)
class Scan:
    """One of the passes in which coefficients come (B.2.3), with its image data."""

    components: tuple[int, ...]
    """Their identifiers."""
    first: int
    """Coefficient (Ss)."""
    last: int
    """Coefficient (Se)."""
    shift: int
    """Lowest bits that it leaves out (Al)."""
    interval: int
    """Units between restart markers (B.2.4.4); 0: there are none."""
    start: int
    """Of its data."""
    ends: list[int] = field(default_factory=list)
    """Of its data, at each restart marker and at the marker behind it."""


@dataclass(slots=True)
class Codestream:
    """What stands where in a codestream, up to its end marker."""

    kind: int = 0
    """Marker of the frame; 0 where there is none."""
    frame_at: int = 0
    """Where the frame's precision stands, and behind it rows and columns (B.2.2)."""
    precision: int = 0
    rows: int = 0
    columns: int = 0
    factors: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Vertical and horizontal sampling factor of each component."""
    scans: list[Scan] = field(default_factory=list)
    remarks: list[tuple[int, int]] = field(default_factory=list)
    """Where application data and comments stand."""
    adobe: int | None = None
    """How colours are coded, by Adobe's application data."""
    ended: bool = False
    """Whether the end marker was reached."""

    @property
    def is_subsampled_rgb(self) -> bool:
        """Whether all components make the grey values, and some have fewer samples than others."""
        colours = tuple(self.factors) == _RED_GREEN_BLUE or self.adobe == 0
        return colours and len(set(self.factors.values())) > 1

    @property
    def is_kept_by_jxl(self) -> bool:
        """Whether libjxl can keep it.

        One or three components, the second and third alike, factors of 1 and 2, colours apart from
        brightness, and one restart interval for all scans."""
        if self.precision != _SIDE or len(self.factors) not in (1, 3) or self.is_subsampled_rgb:
            return False
        first, *others = self.factors.values()
        alike = all(other == (1, 1) for other in others) or all(other == first for other in others)
        return alike and max(first) <= 2 and len({scan.interval for scan in self.scans}) == 1

    @property
    def _most(self) -> tuple[int, int]:
        down, across = zip(*self.factors.values(), strict=True)
        return max(down), max(across)

    @property
    def unit(self) -> tuple[int, int]:
        """Rows and columns of pixels that are coded together (A.2): of one component, a block."""
        down, across = (1, 1) if len(self.factors) == 1 else self._most
        return _SIDE * down, _SIDE * across

    @property
    def rows_of_units(self) -> int:
        """How many rows of units cover the image."""
        return ceil(self.rows / self.unit[0])

    @property
    def higher(self) -> int:
        """Rows of an image that has some more units below."""
        return (self.rows_of_units + ceil(_BELOW * self.unit[1] / self.columns)) * self.unit[0]

    def units(self, scan: Scan) -> int:
        """How many units a scan codes (A.2.2, A.2.3)."""
        if len(scan.components) > 1:
            return self.rows_of_units * ceil(self.columns / self.unit[1])
        sizes = zip((self.rows, self.columns), self.factors[scan.components[0]], self._most, strict=True)
        rows, columns = (ceil(ceil(length * own / most) / _SIDE) for length, own, most in sizes)
        return rows * columns


def whole(data: bytes, decode: Decode, look: Decode | None = None) -> NDArray[Any]:
    """Decode a JPEG whose image data are all there.

    Parameters
    ----------
    data
        The codestream from its first byte; what follows its end marker does not count.
    decode
        Makes what is returned.
    look
        Makes one component, grey where nothing is coded; None where `decode` does.

    Returns
    -------
    numpy.ndarray
        As `decode` makes it.

    Raises
    ------
    DamagedError
        No end marker; scans or restart intervals that are missing; image data that end before the image
        does, or go on for more than `_JUNK` bytes behind it. What leaves as many units as there were is not
        seen, nor is anything in lossless and arithmetic coding, nor too much between restart markers.
    Exception
        The decoder's own.
    """
    found = read_codestream(data)
    if not found.ended:
        raise DamagedError("the end marker is missing")
    if found.kind not in _HUFFMAN_DCT:
        return decode(data)
    _check_scans(found)
    if _followed(data, found):
        return decode(data)
    counted = _counted(data, found, look or decode)
    if counted is not None:
        return counted if look is None else decode(data)
    plain = decode(data)
    few = sum(len(scan.ends) for scan in found.scans) <= _MOST_FILLED
    if few and not np.array_equal(plain, decode(_filled(data, found))):
        raise DamagedError("image data are missing")
    return plain


def exif(data: bytes) -> bytes:
    """Return a JPEG's EXIF data from their byte order on; empty where there are none."""
    parts = (data[start + 4 : end] for start, end in read_codestream(data).remarks)
    return next((part[len(_EXIF) :] for part in parts if part.startswith(_EXIF)), b"")


def read_codestream(data: bytes) -> Codestream:
    """Walk the markers of a JPEG codestream (B.1.1), through its scans, up to its end."""
    found, position, interval = Codestream(), 2, 0
    for _ in range(_MOST_SEGMENTS):
        marker = _MARKER.search(data, position)
        if marker is None:
            break
        kind, position = marker[1][0], marker.end()
        if kind == _END_OF_IMAGE:
            found.ended = True
            break
        if kind in _STANDALONE:
            continue
        length = max(int.from_bytes(data[position : position + 2], "big"), 2)
        segment = data[position + 2 : position + length]
        if kind in _FRAMES and not found.kind:
            _read_frame(found, kind, position + 2, segment)
        elif kind == _RESTART_INTERVAL:
            interval = int.from_bytes(segment[:2], "big")
        elif kind in _NOT_OF_THE_IMAGE:
            if segment.startswith(_ADOBE) and len(segment) > _TRANSFORM:
                found.adobe = segment[_TRANSFORM]
            found.remarks.append((marker.start(), position + length))
        position += length
        if kind == _START_OF_SCAN and len(segment) > 3:
            first, last, bits = segment[-3:]
            scan = Scan(tuple(segment[1:-3:2]), first, last, bits & 15, interval, position)
            found.scans.append(scan)
            position = _follow(data, scan, found)
    return found


def _read_frame(found: Codestream, kind: int, at: int, segment: bytes) -> None:
    found.kind, found.frame_at, found.precision = kind, at, segment[0] if segment else 0
    found.rows, found.columns = (int.from_bytes(segment[n : n + 2], "big") for n in (1, 3))
    for one, factors in zip(segment[6::3], segment[7::3], strict=False):
        found.factors[one] = (max(factors & 15, 1), max(factors >> 4, 1))


def _follow(data: bytes, scan: Scan, found: Codestream) -> int:
    """Note where a scan's intervals end; return where the marker behind it stands."""
    if not scan.components or not set(scan.components) <= set(found.factors):
        raise DamagedError("a scan is of no component")
    position, most = scan.start, ceil(found.units(scan) / scan.interval) if scan.interval else 0
    while marker := _MARKER.search(data, position):
        end = marker.start()
        while data[end - 1] == 0xFF:  # fill bytes
            end -= 1
        scan.ends.append(end)
        if marker[1][0] not in _RESTARTS:
            return marker.start()
        if len(scan.ends) > most:
            raise DamagedError("there are more restart markers than intervals")
        position = marker.end()
    return len(data)


def _check_scans(found: Codestream) -> None:
    """Refuse an image of which not every bit of every coefficient was sent, or not every restart marker."""
    left = {one: [1] * _COEFFICIENTS for one in found.factors}
    for scan in found.scans:
        progressive = found.kind == _PROGRESSIVE
        sent = (
            range(scan.first, min(scan.last, _COEFFICIENTS - 1) + 1) if progressive else range(_COEFFICIENTS)
        )
        for one in scan.components:
            for coefficient in sent:
                left[one][coefficient] = scan.shift if progressive else 0
        if scan.interval and len(scan.ends) < ceil(found.units(scan) / scan.interval):
            raise DamagedError("restart intervals are missing")
    if not left or any(map(any, left.values())):
        raise DamagedError("scans are missing")


def _followed(data: bytes, found: Codestream) -> bool:
    """Have libjxl, which keeps every bit of a JPEG, follow one of many passes; False where it does not try.

    It is five times as slow as a decoder, and the only one that sees too much in one of many passes."""
    import imagecodecs

    if found.kind != _PROGRESSIVE or not found.is_kept_by_jxl:
        return False
    if not imagecodecs.JPEGXL.available or found.rows * found.columns > _MOST_FOLLOWED:
        return False
    edges = [0, *(edge for remark in found.remarks for edge in remark), len(data)]
    bare = b"".join(data[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
    try:
        imagecodecs.jpegxl_encode_jpeg(bare)
    except imagecodecs.JpegxlError as error:
        raise DamagedError("image data are damaged") from error
    return True


def _counted(data: bytes, found: Codestream, look: Decode) -> NDArray[Any] | None:
    """Decode as if there were more units below: what has no data comes out grey. None where it does not tell.

    The first unit below is made of the bits that fill the last byte, so that it is seldom grey. If it is, the
    data may have ended before."""
    (scan, *more), components = found.scans, len(found.factors)
    if more or scan.interval or components not in (1, 3) or found.higher > _MOST_ROWS:
        return None
    if found.is_subsampled_rgb:  # what is coded of a colour is spread to the rows below
        return None
    seen = look(_asking(data, found))
    first, *others = _below(seen, found)
    if any(others):
        end = scan.ends[-1]
        shorter = data[: max(end - _JUNK, scan.start)] + data[end:]
        if any(_below(look(_asking(shorter, found)), found)[1:]):
            raise DamagedError("there are more image data than the image takes")
    return seen[: found.rows] if first else None


def _asking(data: bytes, found: Codestream) -> bytes:
    rows_at = found.frame_at + 1
    return data[:rows_at] + found.higher.to_bytes(2, "big") + data[rows_at + 2 :]


def _below(seen: NDArray[Any], found: Codestream) -> list[bool]:
    """Tell of each unit below the image whether it is other than grey."""
    height, width = found.unit
    other = seen[found.rows_of_units * height :] != 1 << (found.precision - 1)
    rows = other.reshape(-1, height, found.columns).any(axis=1)
    units: list[bool] = np.logical_or.reduceat(rows, range(0, found.columns, width), axis=1).ravel().tolist()
    return units


def _filled(data: bytes, found: Codestream) -> bytes:
    """Put data where there should be none any more: what was whole does not change."""
    ends = [0, *(end for scan in found.scans for end in scan.ends)]
    pieces = [data[start:end] for start, end in pairwise(ends)]
    return _FILLER.join([*pieces, data[ends[-1] :]])

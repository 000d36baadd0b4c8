"""What a compressed image says of itself, read without decoding it.

A decoder allocates by the size that is claimed here and not by the DICOM header, so it is checked first."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


class Process(StrEnum):
    """How samples are coded; the value is what a person reads."""

    JPEG = "JPEG"
    JPEG_LOSSLESS = "JPEG Lossless"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    """High-throughput too."""
    RLE = "RLE"
    PNG = "PNG"


@dataclass(frozen=True, slots=True)
class ImageClaim:
    """What the start of a codestream says."""

    process: Process
    rows: int
    columns: int
    components: int
    precision: int
    """Bits of one sample."""
    signed: bool = False
    """Only JPEG 2000 can say so."""


# ISO/IEC 10918-1 table B.1: SOF0..SOF15 without DHT (C4), JPG (C8) and DAC (CC); ISO/IEC 14495-1: SOF55 (F7)
_LOSSLESS_FRAME, _LS_FRAME = frozenset({0xC3, 0xC7, 0xCB, 0xCF}), 0xF7
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {_LS_FRAME}
_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_RLE_HEADER = struct.Struct("<16L")
JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
J2K_START = b"\xff\x4f\xff\x51"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8"


def claim(data: bytes) -> ImageClaim | None:
    """Read the size that an image claims.

    Parameters
    ----------
    data
        A JPEG, JPEG-LS, JPEG 2000 (bare or in a JP2 file), HTJ2K or PNG codestream from its first byte.

    Returns
    -------
    ImageClaim or None
        None where `data` starts like none of these or breaks off before the size.
    """
    if data.startswith(JPEG_START):
        return _claim_of_jpeg(data)
    if data.startswith(PNG_SIGNATURE):
        return _claim_of_png(data)
    data = bare(data)
    return _claim_of_jpeg_2000(data) if data.startswith(J2K_START) else None


def bare(data: bytes) -> bytes:
    """Take a JPEG 2000 codestream out of a JP2 file.

    Parameters
    ----------
    data
        A codestream, or the JP2 file that some devices put in its place (PS3.5 A.4.4 forbids it).

    Returns
    -------
    bytes
        From the codestream's first marker on; `data` itself where it is no JP2 file or has no codestream.
    """
    start = data.find(J2K_START) if data.startswith(JP2_SIGNATURE) else 0
    return data[start:] if start > 0 else data


def has_end(data: bytes) -> bool:
    """Tell whether a JPEG, JPEG-LS or JPEG 2000 codestream reaches its end marker.

    Parameters
    ----------
    data
        The codestream, padding bytes behind it allowed.

    Returns
    -------
    bool
        Whether FFD9 (EOI, ISO/IEC 10918-1 B.1.1.3; EOC, ISO/IEC 15444-1 A.4.4) comes after the start of the
        image data. In entropy-coded data it cannot occur; a thumbnail's lies before the scan.
    """
    start = max(data.rfind(b"\xff" + bytes([_START_OF_SCAN])), 0) if data.startswith(JPEG_START) else 0
    return data.rfind(b"\xff" + bytes([_END_OF_IMAGE])) > start


def is_rle(data: bytes) -> bool:
    """Tell whether a frame begins like one in RLE (PS3.5 G.5): 16 numbers of 32 bits, that of the segments
    and their offsets, the first behind the header, the others rising, the unused ones 0."""
    if len(data) <= _RLE_HEADER.size:
        return False
    count, *offsets = _RLE_HEADER.unpack_from(data)
    used = [*offsets[:count], len(data)]
    rising = all(one < other for one, other in pairwise(used))
    return 1 <= count <= len(offsets) and used[0] == _RLE_HEADER.size and rising and not any(offsets[count:])


def lossless_scan(data: bytes) -> tuple[int, int]:
    """Find what a JPEG Lossless codestream says of its differences.

    Parameters
    ----------
    data
        The codestream.

    Returns
    -------
    tuple of int
        Where its precision stands, and the predictor, 1 to 7 (ISO/IEC 10918-1 B.2.2, B.2.3: Ss of the first
        scan). Zeros where it breaks off before.
    """
    precision_at = 0
    for marker, position in _segments(data):
        if marker in _START_OF_FRAME:
            precision_at = position + 4
        elif marker == _START_OF_SCAN:
            (components,) = _numbers(data, position + 4, 1)
            (predictor,) = _numbers(data, position + 5 + 2 * components, 1)
            return precision_at, predictor
    return 0, 0


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the markers of a JPEG codestream, each with its position, up to the first scan (B.1.1).

    Bytes between segments are passed over, as decoders do: some programs write wrong lengths of remarks."""
    position = 2
    while 0 <= (position := data.find(0xFF, position)) <= len(data) - 10:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte (B.1.1.2)
            position += 1
        elif marker == 0 or marker in _STANDALONE:
            position += 2
        else:
            yield marker, position
            if marker in (_START_OF_SCAN, _END_OF_IMAGE):
                return
            position += 2 + max(int.from_bytes(data[position + 2 : position + 4], "big"), 2)


def _claim_of_jpeg(data: bytes) -> ImageClaim | None:
    for marker, position in _segments(data):
        if marker in _START_OF_FRAME:
            precision, rows, columns, components = _numbers(data, position + 4, 1, 2, 2, 1)
            return ImageClaim(_process(marker), rows, columns, components, precision)
    return None


def _process(marker: int) -> Process:
    if marker == _LS_FRAME:
        return Process.JPEG_LS
    return Process.JPEG_LOSSLESS if marker in _LOSSLESS_FRAME else Process.JPEG


def _claim_of_jpeg_2000(data: bytes) -> ImageClaim | None:
    """SIZ marker segment, ISO/IEC 15444-1 A.5.1: Xsiz, Ysiz, XOsiz, YOsiz ... Csiz, Ssiz."""
    if len(data) < 43:
        return None
    width, height, left, top = _numbers(data, 8, 4, 4, 4, 4)
    components, precision = _numbers(data, 40, 2, 1)
    size = height - top, width - left, components
    return ImageClaim(Process.JPEG_2000, *size, (precision & 0x7F) + 1, signed=precision > 0x7F)


def _claim_of_png(data: bytes) -> ImageClaim | None:
    """IHDR chunk (ISO/IEC 15948 11.2.2), the first after the signature."""
    if len(data) < 29 or data[12:16] != b"IHDR":
        return None
    columns, rows, precision, colour = _numbers(data, 16, 4, 4, 1, 1)
    components = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 0)
    return ImageClaim(Process.PNG, rows, columns, components, precision)


def _numbers(data: bytes, position: int, *widths: int) -> tuple[int, ...]:
    values = []
    for width in widths:
        values.append(int.from_bytes(data[position : position + width], "big"))
        position += width
    return tuple(values)

"""The size that a compressed image claims for itself, read without decoding it.

A decoder allocates by that claim and not by the DICOM header, so it is checked first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageClaim:
    """What the start of a codestream says."""

    rows: int
    columns: int
    components: int
    precision: int
    """Bits of one sample."""


# ISO/IEC 10918-1 table B.1: SOF0..SOF15 without DHT (C4), JPG (C8) and DAC (CC); ISO/IEC 14495-1: SOF55 (F7)
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_STANDALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_J2K_START = b"\xff\x4f\xff\x51"
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
    return _claim_of_jpeg_2000(data) if data.startswith(_J2K_START) else None


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
    start = data.find(_J2K_START) if data.startswith(_JP2_SIGNATURE) else 0
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


def _claim_of_jpeg(data: bytes) -> ImageClaim | None:
    position = 2
    while position + 10 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte (B.1.1.2)
            position += 1
        elif marker in _START_OF_FRAME:
            precision, rows, columns, components = _numbers(data, position + 4, 1, 2, 2, 1)
            return ImageClaim(rows, columns, components, precision)
        elif marker in _STANDALONE:
            position += 2
        elif marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return None
        else:
            position += 2 + max(int.from_bytes(data[position + 2 : position + 4], "big"), 2)
    return None


def _claim_of_jpeg_2000(data: bytes) -> ImageClaim | None:
    """SIZ marker segment, ISO/IEC 15444-1 A.5.1: Xsiz, Ysiz, XOsiz, YOsiz ... Csiz, Ssiz."""
    if len(data) < 43:
        return None
    width, height, left, top = _numbers(data, 8, 4, 4, 4, 4)
    components, precision = _numbers(data, 40, 2, 1)
    return ImageClaim(height - top, width - left, components, (precision & 0x7F) + 1)


def _claim_of_png(data: bytes) -> ImageClaim | None:
    """IHDR chunk (ISO/IEC 15948 11.2.2), the first after the signature."""
    if len(data) < 29 or data[12:16] != b"IHDR":
        return None
    columns, rows, precision, colour = _numbers(data, 16, 4, 4, 1, 1)
    return ImageClaim(rows, columns, {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 0), precision)


def _numbers(data: bytes, position: int, *widths: int) -> tuple[int, ...]:
    values = []
    for width in widths:
        values.append(int.from_bytes(data[position : position + width], "big"))
        position += width
    return tuple(values)

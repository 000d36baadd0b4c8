"""What of a PNG file is the picture (ISO/IEC 15948)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from xrv_node.radiograph.codestream import PNG_SIGNATURE

_PICTURE = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
"""The critical chunks (11.2)."""
_LOWER_CASE = 0x20
"""Bit of a chunk's first letter: the chunk is ancillary (5.4)."""
_INTERLACE_AT = 28
"""Interlace method, the last byte of the header (11.2.2)."""
_AROUND = 12
"""Bytes of a chunk beside its data: length, type, CRC (5.3)."""


@dataclass(frozen=True, slots=True)
class Png:
    """A file without what a decoder may stumble over or talk of."""

    picture: bytes
    """The file with its critical chunks only."""
    exif: bytes
    """Data of its eXIf chunk; empty where there is none, or a damaged one."""

    @property
    def is_interlaced(self) -> bool:
        """Whether its rows come in several passes (8.2)."""
        return bool(self.picture[_INTERLACE_AT : _INTERLACE_AT + 1].strip(b"\0"))


def bare(data: bytes) -> Png:
    """Take a PNG file apart.

    Parameters
    ----------
    data
        The file; what follows its last chunk does not count. Ancillary chunks may be damaged: text, colour
        profiles, frames of an animation.

    Raises
    ------
    ValueError
        A critical chunk is damaged, or there is one that the standard does not know; the last is not there.
    """
    kept, exif, position = [PNG_SIGNATURE], b"", len(PNG_SIGNATURE)
    while position + _AROUND <= len(data):
        end = position + _AROUND + int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        is_right = zlib.crc32(data[position + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
        if kind[0] & _LOWER_CASE:
            if kind == b"eXIf" and is_right:
                exif = data[position + 8 : end - 4]
        elif kind not in _PICTURE or not is_right or end > len(data):
            raise ValueError("a critical chunk is damaged or not known")
        else:
            kept.append(data[position:end])
        if kind == _PICTURE[-1]:
            return Png(b"".join(kept), exif)
        position = end
    raise ValueError("the last chunk is missing")

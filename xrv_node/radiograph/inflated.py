"""A deflated file (PS3.5 A.5) that is inflated as far as it is read, and no further than it may."""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

from xrv_node.errors import ImageError
from xrv_node.reasons import Reason

RATIO = 100
"""Bytes that may come of one, beyond a floor. Deflate expands up to 1032 times (zlib's technical notes),
headers some ten times."""
_CHUNK = 1 << 14
_SHORT = 1 << 16


class Inflated(io.RawIOBase):
    """What is in a deflated file.

    Parameters
    ----------
    file
        Stands at the first deflated byte. Raw deflate, without a zlib header; one that breaks off yields what
        came before the break.
    floor
        Bytes that may always come of it.
    most
        Bytes that never come of it.
    """

    def __init__(self, file: BinaryIO, floor: int, most: int) -> None:
        self._file, self._floor, self._most = file, floor, most
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._data = bytearray()
        self._taken = self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes: what was inflated is kept."""
        return True

    def tell(self) -> int:
        """Bytes from the start."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to an offset. Where the end is, is known of what is short; else it is as far as it may be."""
        if whence == io.SEEK_END:
            self._inflate(_SHORT)
        end = len(self._data) if self._inflater.eof else self._most
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: end}[whence]
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Read as a file does.

        Raises
        ------
        ImageError
            When more would come of the file than may.
        zlib.error
            When it is damaged.
        """
        self._inflate(self._at + len(buffer))
        piece = self._data[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _inflate(self, wanted: int) -> None:
        while len(self._data) < wanted and not self._inflater.eof:
            tail = self._inflater.unconsumed_tail
            piece = tail or self._file.read(_CHUNK)
            self._taken += 0 if tail else len(piece)
            allowed = min(self._most, max(self._floor, RATIO * self._taken))
            if len(self._data) == allowed:
                raise ImageError(Reason("inflates-too-much", most=allowed >> 20))
            more = self._inflater.decompress(piece, min(wanted, allowed) - len(self._data))
            if not piece and not more:
                return
            self._data += more

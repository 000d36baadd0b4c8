"""SHA-256 of an object while it comes, in a thread beside the one that brings it."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor

FIRST = 2 << 20
"""Bytes of an object that are not worth a thread."""
STRIDE = 3 << 18
"""Bytes that are handed over at once; of each object on its way there are twice as many in memory."""

_beside = ThreadPoolExecutor(4, thread_name_prefix="digest")


class Digest:
    """One SHA-256 on its way."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._ahead = bytearray()
        self._working: Future[None] | None = None

    def update(self, piece: bytes | memoryview) -> None:
        """Take one more piece, which may be overwritten afterwards."""
        self._size += len(piece)
        if self._size <= FIRST:
            self._sha256.update(piece)
            return
        self._ahead += piece
        if len(self._ahead) >= STRIDE:
            self._wait()
            self._working = _beside.submit(self._sha256.update, self._ahead)
            self._ahead = bytearray()

    def hexdigest(self) -> str:
        """Of all that came: 64 hexadecimal digits."""
        self._wait()
        self._sha256.update(self._ahead)
        self._ahead = bytearray()
        return self._sha256.hexdigest()

    def _wait(self) -> None:
        if self._working is not None:
            self._working.result()

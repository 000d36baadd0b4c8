"""What is sent, as a value: its media type, its length where that is known, and its bytes when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 18
"""Bytes that are in memory at once for a request. Each is a step of a thread of its own."""


class BrokenOffError(Exception):
    """The bytes end before what was promised: the connection is cut, so that the client knows."""


@dataclass(frozen=True, slots=True)
class Body:
    """One representation, or a part of a message in several."""

    media_type: str
    """With its parameters, as Content-Type has it."""
    chunks: Callable[[], Iterator[bytes]]
    """The bytes, from the beginning."""
    size: int | None = None
    """How many; None where that is not known before they are made."""
    part: Callable[[int, int], Iterator[bytes]] | None = None
    """So many bytes from a place; None where that takes what goes before."""


def of_bytes(media_type: str, data: bytes) -> Body:
    """A body that is in memory already."""
    return Body(
        media_type, lambda: iter((data,)), len(data), lambda begin, size: iter((data[begin : begin + size],))
    )


def of_file(media_type: str, path: Path, size: int, start: int = 0) -> Body:
    """A body that is a file, or `size` bytes of it from `start`.

    Its bytes raise BrokenOffError where the file is gone by then, or shorter.
    """
    return Body(
        media_type,
        lambda: read(path, start, size),
        size,
        lambda begin, length: read(path, start + begin, length),
    )


def read(path: Path, start: int, size: int) -> Iterator[bytes]:
    """Yield bytes of a file, of which only a chunk is in memory.

    Raises
    ------
    BrokenOffError
        The file is gone, or ends before.
    """
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            left = size
            while left:
                piece = file.read(min(CHUNK, left))
                if not piece:
                    raise BrokenOffError("the file is shorter than it was")
                left -= len(piece)
                yield piece
    except OSError as error:
        raise BrokenOffError(type(error).__name__) from error

"""``multipart/related`` (RFC 2387, RFC 2046 5.1) as it comes: parts in pieces, none of them whole in memory.

python-multipart finds the boundaries. What stands before the first one is given to it as the content of a
part of its own: in content it takes all that RFC 2046 allows around a boundary, at the
beginning of a body it does not.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from xrv_node.network.wire import BrokenOffError

MOST_PARTS = 10_000
"""Parts of a body: the largest studies have some thousand objects, and the answer names each."""
MOST_HEADERS = 16
"""Header lines of a part; Content-Type is one, and hardly any other is ever sent."""
MOST_HEADER_BYTES = 4096
"""Of a header line."""
MOST_AROUND = 1 << 16
"""Bytes before the first boundary and behind the last one, each."""

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
"""1 to 70 characters, of which the last is no space (RFC 2046 5.1.1)."""

Piece: TypeAlias = "bytes | memoryview"


class MultipartError(BrokenOffError):
    """A body that is no whole ``multipart``, in a sentence. What came of it before is whole."""


class TooManyPartsError(MultipartError):
    """A body with more parts than are taken."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a body."""

    headers: Mapping[str, str]
    """By their names in small letters; of two with one name the last."""
    pieces: Iterator[Piece]
    """What it holds; what is not read of it is passed over."""


class _Ended:
    """What stands for the end of a part."""


_Event: TypeAlias = "dict[str, str] | Piece | _Ended"
_END = _Ended()


def is_boundary(text: str) -> bool:
    """Whether this may be a boundary (RFC 2046 5.1.1)."""
    return _BOUNDARY.fullmatch(text) is not None


def parts(body: Iterable[bytes], boundary: str) -> Iterator[Part]:
    """Yield the parts of a body, each while it comes.

    Parameters
    ----------
    body
        The bytes in any pieces.
    boundary
        Such that :func:`is_boundary`.

    Raises
    ------
    MultipartError
        Here, or while a part is read: where the body breaks off or is against the syntax. A part is whole
        only when its pieces end without that.
    """
    events = _events(body, _Reader(boundary))
    for event in events:  # also over what nobody read of a part
        if isinstance(event, dict):
            yield Part(event, _pieces(events))


def _pieces(events: Iterator[_Event]) -> Iterator[Piece]:
    for event in events:
        if isinstance(event, _Ended):
            return
        if not isinstance(event, dict):
            yield event


def _events(body: Iterable[bytes], reader: _Reader) -> Iterator[_Event]:
    for data in body:
        broken = reader.read(data)
        while reader.events:
            yield reader.events.popleft()
        if broken is not None:
            raise broken
    if not reader.ended:
        raise MultipartError(
            "the body has no closing boundary: it was cut off, or the boundary is another one"
        )


class _Reader:
    """The parser's calls as events."""

    def __init__(self, boundary: str) -> None:
        self.events: deque[_Event] = deque()
        self.ended = False
        self._headers: dict[str, str] = {}
        self._name, self._value = b"", b""
        self._parts = -1  # what stands before the first boundary counts as one
        self._around = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._finish,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_end": self._last,
            },
            max_header_count=MOST_HEADERS,
            max_header_size=MOST_HEADER_BYTES,
        )
        self._parser.write(b"--" + boundary.encode() + b"\r\n\r\n\r\n")

    def read(self, data: bytes) -> MultipartError | None:
        """Take some more of the body; what it says is in `events`, also where it breaks off."""
        try:
            if self.ended:
                self._beside(len(data))
            else:
                self._parser.write(data)
        except MultipartError as error:
            return error
        except MultipartParseError as error:
            return MultipartError(f"the body is not multipart as RFC 2046 has it: {_plainly(error)}")
        return None

    def _begin(self) -> None:
        self._parts += 1
        self._headers = {}
        if self._parts > MOST_PARTS:
            raise TooManyPartsError(f"the body has more than {MOST_PARTS} parts: send it in several requests")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._parts:
            self.events.append(memoryview(data)[start:end])
        else:
            self._beside(end - start)

    def _finish(self) -> None:
        if self._parts:
            self.events.append(_END)

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1").strip()
        self._name, self._value = b"", b""

    def _headers_end(self) -> None:
        if self._parts:
            self.events.append(self._headers)

    def _last(self) -> None:
        self.ended, self._around = True, 0

    def _beside(self, count: int) -> None:
        self._around += count
        if self._around > MOST_AROUND:
            raise MultipartError(f"more than {MOST_AROUND >> 10} KiB stand outside the boundaries")


def _plainly(error: MultipartParseError) -> str:
    """The parser's words, without what it quotes of the body."""
    return str(error).partition(" at ")[0].partition(" (")[0]

"""Several representations in one answer: ``multipart/related`` (RFC 2387), written as it is sent."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence

from xrv_node.web.dicomweb.body import Body

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
"""What a parameter's value may be without quotes (RFC 9110 5.6.2)."""


def related(parts: Iterable[Body], media_type: str) -> Body:
    """Put parts into one message.

    Parameters
    ----------
    parts
        In their order. Of a sequence, whose parts all know their sizes, the message's is known, too; any
        other iterable is asked for each part when that is sent, and can be sent once.
    media_type
        Of the parts, for the parameter ``type``.

    Returns
    -------
    Body
        With a boundary of its own, which nothing that was stored before can hold.
    """
    boundary = secrets.token_hex(16)
    size = None
    if isinstance(parts, Sequence):
        sizes = [None if part.size is None else len(_head(part, boundary)) + part.size + 2 for part in parts]
        known = [one for one in sizes if one is not None]
        size = sum(known) + len(_end(boundary)) if len(known) == len(sizes) else None
    kind = f"multipart/related; type={quoted(media_type)}; boundary={quoted(boundary)}"
    return Body(kind, lambda: _message(parts, boundary), size)


def quoted(value: str) -> str:
    """A parameter's value, in quotes where it needs them: a media type does, for its slash."""
    if _TOKEN.fullmatch(value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _message(parts: Iterable[Body], boundary: str) -> Iterator[bytes]:
    for part in parts:
        yield _head(part, boundary)
        yield from part.chunks()
        yield b"\r\n"
    yield _end(boundary)


def _head(part: Body, boundary: str) -> bytes:
    # viewers look for these letters in this case, and for transfer-syntax= behind them
    length = "" if part.size is None else f"Content-Length: {part.size}\r\n"
    return f"--{boundary}\r\nContent-Type: {part.media_type}\r\n{length}\r\n".encode("latin-1")


def _end(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()

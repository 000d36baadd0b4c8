"""A body as an answer: what a client has already, a part of it, without it, or as it is."""

from __future__ import annotations

import asyncio
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain

import structlog
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Send

from xrv_node.web.dicomweb.accept import Offer, choose, ranges
from xrv_node.web.dicomweb.body import Body, BrokenOffError
from xrv_node.web.problem import Problem

log = structlog.get_logger("web")

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)
"""One range; of several the whole is sent, as RFC 9110 14.2 lets a server do."""
_TAG = re.compile(r'"([^"]*)"')
_GZIP_LEVEL = 1
"""A header shrinks to a seventh, by the highest level to an eighth."""
_MOST_ENCODINGS = 16
_VARY = "Accept, Accept-Encoding"
_LEAST = 1 << 16
_readers = ThreadPoolExecutor(8, "fetch")


class _Stream(StreamingResponse):
    """Ends without its end where the bytes do: the server cuts the connection, and a log line says why."""

    def __init__(self, chunks: Iterator[bytes], status: int, headers: dict[str, str]) -> None:
        super().__init__(iter(()), status, headers)
        self._chunks = chunks

    async def stream_response(self, send: Send) -> None:
        """Send it; while a piece is sent the next is read, by a thread."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        loop = asyncio.get_running_loop()
        coming = loop.run_in_executor(_readers, next, self._chunks, b"")
        try:
            while chunk := await coming:
                coming = loop.run_in_executor(_readers, next, self._chunks, b"")
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except BrokenOffError as error:
            log.warning("an answer broke off", why=str(error))
        finally:
            coming.cancel()


def etag(pieces: Iterable[str]) -> str:
    """A weak entity tag of what an answer is made from: digests, and the representation that was chosen."""
    digest = hashlib.sha256("\n".join(pieces).encode()).hexdigest()
    return f'W/"{digest[:32]}"'


def respond(request: Request, body: Body, tag: str, status: int = 200, *, zipped: bool = False) -> Response:
    """Answer with a body.

    Parameters
    ----------
    request
        Its If-None-Match and Range count, and whether it is HEAD.
    body
        What is asked for. A range is answered where its bytes can be had from a place.
    tag
        By `etag`.
    status
        200, or 206 for an answer that is not all that was asked for.
    zipped
        Whether it goes as gzip to a client that takes that.

    Raises
    ------
    Problem
        404 where its first bytes cannot be read, 410 where they are gone.
    """
    if known := unchanged(request, tag):
        return known
    headers = {"ETag": tag, "Vary": _VARY, "Content-Type": body.media_type}
    if body.part is not None and body.size is not None:
        headers["Accept-Ranges"] = "bytes"
        if asked := _range(request, body.size):
            begin, end = asked
            if not begin <= end < body.size:
                headers["Content-Range"] = f"bytes */{body.size}"
                return Response(f"there are {body.size} bytes\n", 416, headers, "text/plain")
            headers["Content-Range"] = f"bytes {begin}-{end}/{body.size}"
            body, status = _cut(body, body.part, begin, end - begin + 1), 206
    if zipped and _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        body = Body(body.media_type, partial(_gzip, body.chunks))
    if body.size is not None:
        headers["Content-Length"] = str(body.size)
    if request.method == "HEAD":
        return _Stream(iter(()), status, headers)
    return _begun(_gathered(body.chunks()), status, headers)


def _begun(chunks: Iterator[bytes], status: int, headers: dict[str, str]) -> Response:
    """Begin to read, so that what is gone is said; what is short goes at once, without a step of a thread."""
    try:
        first = next(chunks, b"")
    except BrokenOffError as error:
        gone = isinstance(error.__cause__, FileNotFoundError)
        raise Problem(410 if gone else 404, f"this was here, and cannot be read: {error}") from error
    if len(first) < _LEAST:  # then it is all
        return Response(first, status, headers)
    return _Stream(chain((first,), chunks), status, headers)


def _gathered(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, in pieces of which only the last is short: each is a change of threads."""
    held: list[bytes] = []
    size = 0
    for chunk in filter(None, chunks):  # an empty one would be the end
        held.append(chunk)
        size += len(chunk)
        if size >= _LEAST:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _cut(body: Body, part: Callable[[int, int], Iterator[bytes]], begin: int, size: int) -> Body:
    return Body(body.media_type, lambda: part(begin, size), size)


def unchanged(request: Request, tag: str) -> Response | None:
    """Return the answer to a client that has it already, by the weak comparison (RFC 9110 13.1.2)."""
    named = request.headers.get("if-none-match", "")
    if named.strip() != "*" and tag[3:-1] not in _TAG.findall(named):
        return None
    return Response(status_code=304, headers={"ETag": tag, "Vary": _VARY})


def _range(request: Request, size: int) -> tuple[int, int] | None:
    """First and last byte that are asked for; one that cannot be met has its last before its first."""
    # a condition on a weak tag is never met: then the whole is sent (RFC 9110 13.1.5)
    found = (
        None if "if-range" in request.headers else _RANGE.fullmatch(request.headers.get("range", "").strip())
    )
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        return (max(0, size - int(last)), size - 1) if int(last) else (size, 0)
    if last and int(last) < int(first):
        return None  # no range (RFC 9110 14.1.1)
    return int(first), min(int(last), size - 1) if last else size - 1


def _takes_gzip(request: Request) -> bool:
    named = ",".join(request.headers.getlist("accept-encoding"))
    asked = ranges(
        ",".join(f"encoding/{one.strip()}" for one in named.split(",")[:_MOST_ENCODINGS] if one.strip())
    )
    return choose(asked, [Offer("encoding/gzip")]) is not None


def _gzip(chunks: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    zipper = zlib.compressobj(_GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16)
    for chunk in chunks():
        if piece := zipper.compress(chunk):
            yield piece
    yield zipper.flush()

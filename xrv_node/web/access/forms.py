"""Fields of a small form, read before the body is handed on."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Message, Receive

MOST_BYTES = 1 << 16
KIND = "application/x-www-form-urlencoded"


async def fields(headers: Headers, receive: Receive) -> tuple[dict[str, str], Receive]:
    """Read a form.

    Returns
    -------
    dict
        Its fields, the first of each name; none of a body that is no such form or too long for one.
    Receive
        Gives the same body from its beginning.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != KIND:
        return {}, receive
    read: list[Message] = []
    size, more = 0, True
    while more and size <= MOST_BYTES:
        message = await receive()
        read.append(message)
        size += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)

    async def again() -> Message:
        return read.pop(0) if read else await receive()

    if size > MOST_BYTES:
        return {}, again
    body = b"".join(message.get("body", b"") for message in read)
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return dict(reversed(pairs)), again

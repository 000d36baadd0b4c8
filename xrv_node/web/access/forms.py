"""Fields of a form, read before the body is handed on."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Message, Receive

MOST_BYTES = 1 << 16
"""Of a form without files."""
FIRST_BYTES = 1 << 12
"""Of a form with files, in which its first field is."""
KIND, WITH_FILES = "application/x-www-form-urlencoded", "multipart/form-data"

_FIRST_FIELD = re.compile(
    rb'--[^\r\n]+\r\ncontent-disposition: *form-data; *name="(\w+)" *\r\n\r\n(\w*)\r\n', re.IGNORECASE
)


async def fields(headers: Headers, receive: Receive) -> tuple[dict[str, str], Receive]:
    """Read a form; of one with files the first field alone, which may be a word.

    Returns
    -------
    dict
        Its fields, the first of each name; none of a body that is no form or too long for one without files.
    Receive
        Gives the same body from its beginning.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (KIND, WITH_FILES):
        return {}, receive
    body, whole, again = await _beginning(receive, MOST_BYTES if kind == KIND else FIRST_BYTES)
    if kind == WITH_FILES:
        first = _FIRST_FIELD.match(body)
        return ({first[1].decode(): first[2].decode()} if first else {}), again
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True) if whole else []
    return dict(reversed(pairs)), again


async def _beginning(receive: Receive, enough: int) -> tuple[bytes, bool, Receive]:
    """What comes first of a body, whether it is all, and what gives the body anew."""
    read: list[Message] = []
    size, more = 0, True
    while more and size <= enough:
        message = await receive()
        read.append(message)
        size += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    body = b"".join(message.get("body", b"") for message in read)

    async def again() -> Message:
        return read.pop(0) if read else await receive()

    return body, not more and size <= enough, again

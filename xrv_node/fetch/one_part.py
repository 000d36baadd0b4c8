"""The one object of an answer of WADO-RS (PS3.18 8.7, 10.4), out of the multipart body that it comes in."""

from __future__ import annotations

from typing import IO

from python_multipart.multipart import MultipartParser, parse_options_header

_CHUNK = 1 << 16


def extract(body: IO[bytes], content_type: str, into: IO[bytes]) -> None:
    """Write the object of an answer.

    Parameters
    ----------
    content_type
        The answer's header of that name: multipart/related, or the object alone.

    Raises
    ------
    ValueError
        There is none, there are several, or the end of it is missing.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"application/dicom":
        while piece := body.read(_CHUNK):
            into.write(piece)
        return
    if kind != b"multipart/related" or b"boundary" not in options:
        raise ValueError("no multipart/related")
    parts, ended = 0, False

    def begin() -> None:
        nonlocal parts
        parts += 1
        if parts > 1:
            raise ValueError("several parts")

    def end() -> None:
        nonlocal ended
        ended = True

    def data(piece: bytes, start: int, stop: int) -> None:
        into.write(piece[start:stop])

    parser = MultipartParser(
        options[b"boundary"], {"on_part_begin": begin, "on_part_data": data, "on_end": end}
    )
    while piece := body.read(_CHUNK):
        parser.write(piece)
    if not (parts and ended):
        raise ValueError("no whole part")

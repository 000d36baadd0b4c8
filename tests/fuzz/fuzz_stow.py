"""Bytes of a body into STOW-RS: boundaries, headers of parts, the meta information of files, the answer.

The first byte of an input says in pieces of which size the rest comes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from fuzz_node import Found, Rooms
from made import SECRET, radiograph
from pydicom import dcmwrite

from xrv_node.network.wire import BrokenOffError
from xrv_node.settings import Settings
from xrv_node.web.dicomweb import multipart_in, stow
from xrv_node.web.dicomweb.stow_answer import Answer, warning
from xrv_node.web.node import WebNode
from xrv_node.web.who import Who

EDGE = b"--edge"
STATUSES = (200, 202, 409)


def entry(directory: Path) -> Callable[[bytes], None]:
    """Make the function that takes one input."""
    rooms = Rooms(directory)
    settings, who = Settings(node={"data_dir": directory}), Who("", "admin", "WEB", "10.0.0.1")
    node = WebNode(settings, rooms.store, rooms.spool)

    def run(data: bytes) -> None:
        nonlocal node
        if node.store is not rooms.store:
            node = WebNode(settings, rooms.store, rooms.spool)
        size, body = (data[0] if data else 0) + 1, data[1:]
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        answer, says = Answer("http://x/dicom-web"), ""
        try:
            for part in multipart_in.parts(pieces, "edge"):
                stow.keep(stow.Client(node, who, None), part, answer)
        except BrokenOffError as error:
            says = warning(str(error))
        said = answer.body().decode() + " ".join([says, *answer.warnings()])
        json.loads(answer.body())
        if answer.status not in STATUSES or not said.isprintable() or SECRET.casefold() in said.casefold():
            raise Found(f"an answer that must not be: {answer.status} {said}")
        rooms.check(kept=bool(answer.stored))

    return run


def seeds() -> dict[str, bytes]:
    """The inputs to begin with, by name."""
    one, two = file(1), file(2)
    return {
        "one": b"\xff" + body(one),
        "two": b"\x2f" + b"\r\n" + body(one, two),
        "one_byte_each": b"\0"
        + b"preamble\r\n"
        + body(one).replace(EDGE + b"\r\n", EDGE + b" \t\r\n")
        + b"epilogue",
        "cut_off": b"\x7f" + body(one, two)[:-400],
        "no_dicom": b"\x0f" + body(b"no DICOM", b"", bytes(128) + b"DICM"),
        "without_preamble": b"\xff" + body(one[128:], one[132:]),
        "other_type": b"\xff" + body(one).replace(b"application/dicom", b"text/plain"),
        "nearly_edges": b"\x05" + body(b"\r\n--edg\r\n--edgy\r\n--edge-\r\r\n"),
    }


def file(number: int) -> bytes:
    """A radiograph as a DICOM file."""
    made = radiograph(number, Rows=2, Columns=2, PixelData=b"\0\1\2\3\4\5\6\7")
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    buffer = BytesIO()
    dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


def body(*contents: bytes) -> bytes:
    """A body with these parts."""
    header = b"\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(EDGE + header + content + b"\r\n" for content in contents) + EDGE + b"--\r\n"

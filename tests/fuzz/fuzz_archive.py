"""Bytes that an archive answers with: acceptances, rejections, responses, requests of its own.

The first byte of an input says what is asked, and whether a valid acceptance stands before the rest: its lowest
two bits are 0 for C-STORE, 1 for C-FIND, 2 for C-GET whose objects come back, 3 for a look at what came unasked;
with 4 the rest stands behind an acceptance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fuzz_association import ABORT, RELEASE, Peer
from fuzz_node import Found, Rooms
from made import CR
from pydicom import Dataset

from xrv_node.network import command, negotiation, outgoing, values
from xrv_node.network.negotiation import Answered
from xrv_node.network.terms import Accepted, RejectedError, Terms
from xrv_node.network.wire import BrokenOffError
from xrv_node.receive import commitment_report

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
STORE, FIND, GET, EVENT_REPORT = 0x0001, 0x0020, 0x0010, 0x0100
ACCEPTANCE = negotiation.acceptance(
    b"ARCHIVE".ljust(16) + b"XRVNODE".ljust(16),
    [Answered(1, 0, EXPLICIT), Answered(3, 0, IMPLICIT)],
    16384,
    {CR: (False, True)},
)
MOST = 1 << 16


class Archive(Peer):
    """A connection on which everything came already."""

    def close(self) -> None: ...


def entry(directory: Path) -> Callable[[bytes], None]:
    """Make the function that takes one input."""
    rooms = Rooms(directory)

    def reported(context: Accepted, _command: Dataset, fragments: Iterator[memoryview]) -> int:
        encoded = commitment_report.whole(fragments)
        return commitment_report.take(rooms.store, encoded, context.transfer_syntax, "ARCHIVE")

    def stored(_context: Accepted, _command: Dataset, fragments: Iterator[memoryview]) -> int:
        return 0 if sum(map(len, fragments)) else 0xC000

    handlers = {STORE: stored, EVENT_REPORT: reported}

    def run(data: bytes) -> None:
        how = data[0] if data else 0
        peer: Any = Archive((ACCEPTANCE if how & 4 else b"") + data[1:])
        try:
            ask(peer, how & 3, Terms(seconds=1, total=2, most=MOST, handlers=handlers, scp_of=(CR,)))
        except (BrokenOffError, RejectedError) as end:
            if not str(end):
                raise Found("an end without a word") from end
        if len(peer.answers) > 1 << 20:
            raise Found("requests without end")
        rooms.check()

    return run


def ask(peer: Any, what: int, terms: Terms) -> None:
    """Associate, ask once, and release."""
    association = outgoing.Association(
        peer, "ARCHIVE", "XRVNODE", [(CR, [EXPLICIT]), (CR, [IMPLICIT])], terms
    )
    for context in association.accepted[:1]:
        if what == 0:
            command.number(association.ask(context, STORE, {0x0002: CR}, (bytes(40),)), "Status")
        elif what == 3:
            association.is_open()
        else:
            for _ in association.ask_many(context, FIND if what == 1 else GET, {0x0002: CR}, (bytes(10),)):
                pass
    association.release()


def seeds() -> dict[str, bytes]:
    """The inputs to begin with, by name."""
    good = message(STORE | 0x8000, 0)
    pending = message(FIND | 0x8000, 0xFF00, b"\x08\0\5\0CS\2\0AB")
    object_ = request(STORE, b"\x08\0\x60\0CS\2\0CR")
    return {
        "acceptance": b"\0" + ACCEPTANCE + good,
        "rejection": b"\0" + bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 3)),
        "aborted": b"\4" + ABORT,
        "released": b"\4" + RELEASE,
        "web": b"\0HTTP/1.1 400 Bad Request\r\n\r\n",
        "stored": b"\4" + good,
        "found": b"\5" + pending + pending + message(FIND | 0x8000, 0),
        "got": b"\6" + object_ + message(GET | 0x8000, 0xFF00) + message(GET | 0x8000, 0),
        "reported": b"\7" + request(EVENT_REPORT, b"\x08\0\x95\x11UI\2\0001"),
        "too_long": b"\4" + b"\4\0\xff\xff\xff\xff",
    }


def message(field: int, status: int, data: bytes = b"") -> bytes:
    """A response, and its data set."""
    about = {0x0002: CR, 0x0120: 1, 0x0900: status}
    return _pdus(command.request(field, 1, about, data=bool(data)), data)


def request(field: int, data: bytes) -> bytes:
    """A request of the archive's own."""
    return _pdus(command.request(field, 9, {0x0002: CR, 0x1000: "1.2.3"}, data=True), data)


def _pdus(encoded: bytes, data: bytes) -> bytes:
    return values.command(1, encoded, 16000) + (b"".join(values.dataset(1, (data,))) if data else b"")

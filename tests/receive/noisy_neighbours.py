"""Hostile and broken neighbours beside a sender that behaves, and how long that one waits for its Success.

``python noisy_neighbours.py [SECONDS]`` runs each of them for so long and prints a table.
"""

from __future__ import annotations

import resource
import socket
import struct
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, sleep

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made import CR, encoded, radiograph
from pydicom.datadict import tag_for_keyword
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from xrv_node import settings as configuration
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.network import command, negotiation, values
from xrv_node.network.negotiation import Proposed
from xrv_node.network.outgoing import Association, connect
from xrv_node.network.terms import Terms
from xrv_node.receive import server
from xrv_node.spool import Spool
from xrv_node.values import VERIFICATION

HOST = "127.0.0.1"
CONTEXTS = [(CR, [str(ExplicitVRLittleEndian)])]
Stop = threading.Event


def request(called: str = "XRVNODE", calling: str = "NOISE") -> bytes:
    contexts = [
        Proposed(1, VERIFICATION, ("1.2.840.10008.1.2",)),
        Proposed(3, CR, (str(ExplicitVRLittleEndian),)),
    ]
    return negotiation.request(called, calling, contexts, 16384, {})


ECHO = values.command(1, command.request(0x0030, 1, {0x0002: VERIFICATION}, data=False), 16000)


def connected(port: int, number: int) -> socket.socket:
    """A connection from an address of its own."""
    return socket.create_connection(
        (HOST, port), timeout=5, source_address=(f"127.0.{number >> 8}.{number & 255}", 0)
    )


def held(port: int, addresses: int, each: int, first: bytes, again: bytes, every: float, stop: Stop) -> None:
    """Connections that say one thing, then another again and again, and are made anew when they are closed."""
    lines: dict[tuple[int, int], socket.socket] = {}
    while not stop.is_set():
        for place in ((a, n) for a in range(2, 2 + addresses) for n in range(each)):
            try:
                if place not in lines:
                    lines[place] = connected(port, place[0])
                    lines[place].settimeout(0.2)
                    lines[place].sendall(first)
                elif again:
                    lines[place].sendall(again)
                    lines[place].recv(65536)
            except OSError:
                with suppress(KeyError):
                    lines.pop(place).close()
            if stop.is_set():
                break
        stop.wait(every)
    for line in lines.values():
        line.close()


def over_and_over(port: int, addresses: int, data: bytes, stop: Stop) -> None:
    """Connect, say it, read what comes, and once more: as fast as it goes."""
    number = 0
    while not stop.is_set():
        number += 1
        with suppress(OSError), connected(port, 2 + number % addresses) as line:
            line.sendall(data)
            line.recv(65536)


def objects(port: int, data: bytes, syntax: str, stop: Stop, uid: str = "") -> None:
    """An object over one association, under new UIDs or its own, as fast as it is answered."""
    while not stop.is_set():
        with suppress(Exception):
            line = connect(HOST, port, None, 5)
            peer = Association(line, "XRVNODE", "NOISE", [(CR, [syntax])], Terms(seconds=30))
            number = 0
            while not stop.is_set():
                number += 1
                about: dict[int, str | int] = {0x0002: CR, 0x0700: 0, 0x1000: uid or f"1.2.9.{number}"}
                peer.ask(peer.accepted[0], 1, about, (data,))
            peer.release()


def bad_objects(port: int, stop: Stop) -> None:
    """Objects that are refused."""
    objects(port, encoded(radiograph(1, StudyInstanceUID="../x"))[:600], str(ExplicitVRLittleEndian), stop)


def bombs(keyword: str, megabytes: int, associations: int) -> Callable[[int, Stop], None]:
    """Objects of some kilobytes whose headers hold megabytes of empty items, over several associations."""
    made = radiograph(1)
    del made.PixelData
    empty, tag = struct.pack("<HHL", 0xFFFE, 0xE000, 0), tag_for_keyword(keyword)
    assert tag is not None
    items = empty * (megabytes * 1_000_000 // len(empty))
    begun = struct.pack("<HH2sxxL", tag >> 16, tag & 0xFFFF, b"SQ", len(items))
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    data = deflate.compress(encoded(made) + begun + items) + deflate.flush()

    def run(port: int, stop: Stop) -> None:
        syntax = str(DeflatedExplicitVRLittleEndian)
        each = [
            threading.Thread(
                target=objects, args=(port, data, syntax, stop, made.SOPInstanceUID), daemon=True
            )
            for _ in range(associations)
        ]
        for thread in each:
            thread.start()
        for thread in each:
            thread.join(40)

    return run


UNREADABLE = request().replace(b"\x20\0\0\x38\3", b"\x20\0\0\x38\1")  # two contexts of one ID
assert request() != UNREADABLE
ANNOUNCED = struct.pack(">BxL", 1, 0xFFFFFFFF)
NEIGHBOURS: dict[str, Callable[[int, Stop], None]] = {
    "none": lambda port, stop: None,
    "2 addresses, 16 idle associations each, echoing": lambda port, stop: held(
        port, 2, 16, request(), ECHO, 0.2, stop
    ),
    "34 addresses, an idle association each, echoing": lambda port, stop: held(
        port, 34, 1, request(), ECHO, 0.2, stop
    ),
    "34 addresses, 32 silent connections each": lambda port, stop: held(port, 34, 32, b"", b"", 0.5, stop),
    "34 addresses, 8 requests that drip": lambda port, stop: held(
        port, 34, 8, request()[:20], b"\0", 0.2, stop
    ),
    "an AE title that is refused, over and over": lambda port, stop: over_and_over(
        port, 4, request(called="OTHER"), stop
    ),
    "requests that cannot be read, over and over": lambda port, stop: over_and_over(
        port, 4, UNREADABLE, stop
    ),
    "PDUs of 4 GB, over and over": lambda port, stop: over_and_over(port, 4, ANNOUNCED, stop),
    "a web browser, over and over": lambda port, stop: over_and_over(
        port, 4, b"GET / HTTP/1.1\r\n\r\n", stop
    ),
    "refused objects, as fast as they are answered": bad_objects,
    "16 MB of items that are looked at, six at a time": bombs("ContributingEquipmentSequence", 16, 6),
    "2 MB of items that are copied, two at a time": bombs("OtherPatientIDsSequence", 2, 2),
}


@dataclass(frozen=True)
class Measured:
    """What a sender that behaves has had beside a neighbour."""

    seconds: tuple[float, ...]
    """Of each association with one object, from its connection to Success."""
    events: int
    """Rows of the trail that are the neighbour's."""
    counted: int
    """What they stand for."""
    grown: float
    """MB of memory."""


@contextmanager
def node(directory: Path, keys: str = "") -> Iterator[tuple[int, Store]]:
    """A receiver in this process, and its trail."""
    config = directory / "node.toml"
    config.write_text(f'[node]\ndata_dir = "."\n[receive]\nport = 0\nmin_free_mb = 0\n{keys}\n')
    store = Store(f"sqlite:///{directory / 'audit.sqlite'}")
    store.migrate()
    started = server.start(configuration.load(config), store, Spool(directory))
    try:
        yield int(started.server_address[1]), store
    finally:
        server.drain(started, 1)
        store.close()


def beside(name: str, directory: Path, seconds: float, pause: float = 0.2) -> Measured:
    """Run a neighbour for so long, and a sender that behaves beside it."""
    stop, taken = Stop(), []
    with node(directory) as (port, store):
        send(port, 0)  # what is made once
        before = resident()
        noise = threading.Thread(target=NEIGHBOURS[name], args=(port, stop), daemon=True)
        noise.start()
        sleep(min(2.0, seconds / 4))
        end, number = monotonic() + seconds, 0
        while not number or monotonic() < end:
            number += 1
            taken.append(send(port, number))
            sleep(pause)
        grown = resident() - before
        stop.set()
        noise.join(30)
    store = Store(f"sqlite:///{directory / 'audit.sqlite'}")
    with store.read() as db:
        noisy = [e["detail"] for e in queries.events(db, limit=100_000) if "refused" in e["event"]]
    store.close()
    return Measured(tuple(taken), len(noisy), sum(d.get("repeated", 1) for d in noisy), grown)


def resident() -> float:
    """MB of this process that are in memory."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 1e6


def send(port: int, number: int) -> float:
    """An association, one object and its Success; how long that took."""
    data, about = encoded(radiograph(number)), {0x0002: CR, 0x0700: 0, 0x1000: f"1.2.3.1.1.{number}"}
    began = monotonic()
    line = connect(HOST, port, None, 30)
    peer = Association(line, "XRVNODE", "HONEST", CONTEXTS, Terms(seconds=60))
    answer = peer.ask(peer.accepted[0], 1, about, (data,))
    took = monotonic() - began
    assert command.number(answer, "Status") == 0
    peer.release()
    return took


def row(name: str, found: Measured) -> str:
    """A line of the table."""
    return (
        f"{name:50s} {len(found.seconds):4d} objects, median {median(found.seconds):6.3f} s, "
        f"longest {max(found.seconds):6.3f} s; {found.counted:6d} refusals in {found.events:3d} rows; "
        f"memory {found.grown:+6.1f} MB"
    )


if __name__ == "__main__":
    for each in NEIGHBOURS:
        with tempfile.TemporaryDirectory() as folder:
            print(
                row(each, beside(each, Path(folder), float(sys.argv[1] if len(sys.argv) > 1 else 10))),
                flush=True,
            )

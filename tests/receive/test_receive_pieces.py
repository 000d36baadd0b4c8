"""How an object's pieces are put together: cut anywhere, refused in the middle, and never whole in memory."""

from __future__ import annotations

import itertools
import resource
import signal
import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from made import CR, encoded, incoming, radiograph
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, dsutils
from sqlalchemy import select

from xrv_node import settings
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance
from xrv_node.receive import intake, server
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool

STORE, ECHO, FIND = 0x0001, 0x0030, 0x0020


@pytest.fixture
def port(store: Store, spool: Spool, tmp_path: Path) -> Iterator[int]:
    """A listening receiver."""
    path = tmp_path / "node.toml"
    path.write_text("[receive]\nport = 0\n")
    started = server.start(settings.load(path), store, spool)
    yield int(started.server_address[1])
    server.drain(started, 1)


@pytest.fixture(scope="module")
def request_pdu() -> bytes:
    """An association request as pynetdicom makes it: context 1 for CR."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ae = AE(ae_title="PACS")
        ae.acse_timeout = ae.connection_timeout = 5
        ae.add_requested_context(CR, ExplicitVRLittleEndian)
        caller = threading.Thread(
            target=ae.associate, args=("127.0.0.1", listener.getsockname()[1]), kwargs={"ae_title": "XRVNODE"}
        )
        caller.start()
        connection, _ = listener.accept()
        with connection:
            whole = pdu(connection)
        caller.join()
    return whole


def pdu(connection: socket.socket) -> bytes:
    """Read one whole PDU."""
    header = connection.recv(6, socket.MSG_WAITALL)
    length = struct.unpack(">BBL", header)[2] if len(header) == 6 else 0
    return header + (connection.recv(length, socket.MSG_WAITALL) if length else b"")


@contextmanager
def associated(port: int, request_pdu: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request_pdu)
        assert pdu(connection)[0] == 2  # A-ASSOCIATE-AC
        yield connection


def command(field: int, dataset: Dataset) -> bytes:
    fields = Dataset()
    fields.AffectedSOPClassUID = dataset.SOPClassUID
    fields.CommandField, fields.MessageID, fields.Priority = field, 7, 0
    fields.CommandDataSetType = 0x0101 if field == ECHO else 1
    if field == STORE:
        fields.AffectedSOPInstanceUID = dataset.SOPInstanceUID
    return dsutils.encode(fields, True, True) or b""


def values(data: bytes, cuts: list[int], kind: int) -> list[bytes]:
    """`data` as presentation data values, cut at the given places."""
    places = [0, *sorted({c % len(data) for c in cuts} - {0}), len(data)]
    parts = [data[a:b] for a, b in itertools.pairwise(places)]
    flags = [kind] * (len(parts) - 1) + [kind | 2]
    return [struct.pack(">LBB", len(p) + 2, 1, f) + p for p, f in zip(parts, flags, strict=True)]


def sent(connection: socket.socket, items: list[bytes], together: int = 1) -> None:
    """Send values, so many to a PDU."""
    for at in range(0, len(items), together):
        body = b"".join(items[at : at + together])
        connection.sendall(struct.pack(">BBL", 4, 0, len(body)) + body)


def answer(connection: socket.socket) -> Dataset:
    return dsutils.decode(BytesIO(pdu(connection)[12:]), True, True)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cuts=st.lists(st.integers(1, 200_000), max_size=30),
    command_cuts=st.lists(st.integers(1, 100), max_size=4),
    together=st.integers(1, 6),
    number=st.integers(1, 1_000_000),
)
def test_an_object_is_the_same_wherever_its_pieces_are_cut(
    port: int,
    store: Store,
    spool: Spool,
    request_pdu: bytes,
    cuts: list[int],
    command_cuts: list[int],
    together: int,
    number: int,
) -> None:
    """Command and data may share a PDU, and a PDU may hold several pieces (PS3.8 annex E)."""
    dataset = radiograph(number, Rows=100, PixelData=b"\1" * (100 * 260 * 2))
    data = encoded(dataset)
    with associated(port, request_pdu) as connection:
        sent(
            connection,
            values(command(STORE, dataset), command_cuts, 1) + values(data, cuts, 0),
            together,
        )
        assert answer(connection).Status == 0
    with store.read() as db:
        paths = db.scalars(
            select(Instance.path).where(Instance.sop_instance_uid == str(dataset.SOPInstanceUID))
        ).all()
    assert len(paths) == 1
    assert spool.absolute(paths[0]).read_bytes().endswith(data)


def test_an_answer_names_its_request(port: int, request_pdu: bytes) -> None:
    with associated(port, request_pdu) as connection:
        sent(connection, values(command(ECHO, radiograph()), [], 1))
        fields = answer(connection)
    assert (fields.CommandField, fields.MessageIDBeingRespondedTo, fields.Status) == (0x8030, 7, 0)
    assert fields.AffectedSOPClassUID == CR
    assert fields.CommandDataSetType == 0x0101


def test_a_request_for_another_service_is_answered_and_the_association_goes_on(
    port: int, request_pdu: bytes
) -> None:
    with associated(port, request_pdu) as connection:
        sent(connection, values(command(FIND, radiograph()), [], 1) + values(b"\0" * 100, [], 0))
        assert answer(connection).Status == 0x0211
        sent(connection, values(command(ECHO, radiograph()), [], 1))
        assert answer(connection).Status == 0


@pytest.mark.parametrize(
    "what",
    [
        struct.pack(">BBL", 4, 0, 6) + struct.pack(">LBB", 2, 3, 3),  # an empty command, unknown context
        struct.pack(">BBL", 4, 0, 6) + struct.pack(">LBB", 200, 1, 3),  # longer than its PDU
        struct.pack(">BBL", 4, 0, 6) + struct.pack(">LBB", 2, 1, 0),  # data without a command
        struct.pack(">BBL", 4, 0, 3) + b"\0\0\0",
        struct.pack(">BBL", 9, 0, 0),
        struct.pack(">BBL", 2, 0, 0),
    ],
)
def test_what_is_against_the_protocol_is_aborted(port: int, request_pdu: bytes, what: bytes) -> None:
    with associated(port, request_pdu) as connection:
        connection.sendall(what)
        assert pdu(connection)[0] == 7  # A-ABORT
        assert pdu(connection) == b""


def test_an_object_that_breaks_off_leaves_nothing(port: int, request_pdu: bytes, spool: Spool) -> None:
    dataset = radiograph()
    with associated(port, request_pdu) as connection:
        sent(connection, values(command(STORE, dataset), [], 1) + values(encoded(dataset), [5000], 0)[:1])
        connection.sendall(struct.pack(">BBLL", 5, 0, 4, 0))  # a release instead of the rest
        assert pdu(connection)[0] == 7
    assert [p for p in (spool.root / "spool").rglob("*") if p.is_file()] == []


def test_a_disk_that_fills_up_in_the_middle_answers_a700_and_the_association_goes_on(
    port: int, request_pdu: bytes, spool: Spool
) -> None:
    """The file may not grow beyond a megabyte, as on a full disk: the rest of the object is read all the same."""
    large = radiograph(1, Rows=6000, PixelData=b"\1" * (6000 * 260 * 2))
    small = radiograph(2)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with associated(port, request_pdu) as connection:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
            pieces = values(encoded(large), list(range(0, 3_120_000, 60_000)), 0)
            sent(connection, values(command(STORE, large), [], 1) + pieces)
            assert answer(connection).Status == 0xA700
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            pieces = values(encoded(small), [60_000, 120_000], 0)
            sent(connection, values(command(STORE, small), [], 1) + pieces)
            assert answer(connection).Status == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert len([p for p in (spool.root / "spool").rglob("*") if p.is_file()]) == 1


def test_an_object_of_600_mb_is_never_whole_in_memory(store: Store, spool: Spool) -> None:
    head = encoded(radiograph(1, PixelData=b""))[:-4]
    size = 600 << 20

    def pieces() -> Iterator[bytes]:
        yield head + struct.pack("<L", size)
        for _ in range(size >> 17):
            yield bytes(1 << 17)

    tracemalloc.start()
    try:
        sent_: Any = incoming(radiograph(), data=pieces())
        assert intake.accept(store, spool, FrontalSection(), sent_).outcome == "stored"
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    with store.read() as db:
        assert db.scalars(select(Instance.size)).one() > size

"""Association requests of real devices: what only informs may be anything, and decides nothing."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from made import CR, encoded, radiograph
from pydicom import dcmread
from serving import wait
from sqlalchemy import select
from worded import said

from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance
from xrv_node.network import command, negotiation, values, wire
from xrv_node.spool import Spool

Start = Callable[[str], int]

EXPLICIT, ROOM = b"1.2.840.10008.1.2.1", 16000
GARBAGE = bytes.fromhex("c0b36049fc7f")
ACCEPTED, REJECTED, ABORTED = 2, 3, 7


def item(kind: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">BxH", kind, len(data)) + data


LENGTH = item(0x51, struct.pack(">L", 16384))
CLASS = item(0x52, b"1.2.3")
CONTEXT = item(0x20, b"\1\0\0\0", item(0x30, CR.encode()), item(0x40, EXPLICIT))
EVEN = item(0x20, b"\2\0\0\0", item(0x30, CR.encode()), item(0x40, EXPLICIT))
APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")


def request(
    calling: bytes = b"PACS",
    called: bytes = b"XRVNODE",
    *,
    user: bytes = LENGTH + CLASS,
    contexts: bytes = CONTEXT,
    application: bytes = APPLICATION,
    version: int = 1,
    reserved: bytes = bytes(32),
    behind: bytes = b"",
) -> bytes:
    """An A-ASSOCIATE-RQ whose every field a test can choose; short titles are padded with spaces."""
    fixed = struct.pack(">HH", version, 0xAAAA) + called.ljust(16) + calling.ljust(16) + reserved
    body = fixed + application + contexts + (item(0x50, user) if user else b"") + behind
    return struct.pack(">BBL", 1, 0x55, len(body)) + body


def user(*items: bytes) -> bytes:
    return request(user=LENGTH + CLASS + b"".join(items))


ODD = {
    "version name of 17 characters": user(item(0x55, b"ACQUISITION_V_1.0")),
    "version name of 300": user(item(0x55, b"V" * 300)),
    "version name with a NUL": user(item(0x55, b"MODALITY_1\0")),
    "version name that is empty": user(item(0x55)),
    "version name that is no text": user(item(0x55, GARBAGE)),
    "class UID that is none": request(user=LENGTH + item(0x52, b"VENDOR 1.0")),
    "class UID of 80 characters": request(user=LENGTH + item(0x52, b"1." * 40)),
    "class UID with a NUL": request(user=LENGTH + item(0x52, b"1.2.3\0")),
    "no class UID": request(user=LENGTH),
    "no User Information": request(user=b""),
    "User Information that is cut short": request(user=LENGTH + CLASS + b"\x55\0\0\x20AB"),
    "User Information twice": request(behind=item(0x50, LENGTH)),
    "user identity": user(item(0x58, b"\1\1", struct.pack(">H", 4), b"anna", b"\0\0")),
    "user identity of no type": user(item(0x58, b"\x09\0", struct.pack(">H", 400), b"x")),
    "asynchronous operations": user(item(0x53, struct.pack(">HH", 0, 0))),
    "asynchronous operations of 3 bytes": user(item(0x53, b"\0\1\0")),
    "extended negotiation": user(item(0x56, struct.pack(">H", len(CR)), CR.encode(), bytes(6))),
    "extended negotiation that is cut short": user(item(0x56, b"\0\x50", CR.encode())),
    "common extended negotiation": user(item(0x57, b"\xff" * 9)),
    "role selection of no class": user(item(0x54, b"\0\0\1\1")),
    "role selection that is cut short": user(item(0x54, b"\0\x19", CR.encode())),
    "role 0 and 0 for another class": user(item(0x54, struct.pack(">H", 5), b"1.2.3", b"\0\0")),
    "items of the vendor's own": user(item(0x77, b"whatever"), item(0xF0, bytes(70))),
    "reserved bytes": request(reserved=bytes(range(100, 132))),
    "a later protocol version": request(version=3),
    "application context with a NUL": request(application=item(0x10, b"1.2.840.10008.3.1.1.1\0")),
    "application context that is none": request(application=item(0x10, b"DICOM")),
    "no application context": request(application=b""),
    "an item of an unknown type": request(behind=item(0x99, b"abc")),
    "bytes behind the last item": request(behind=b"\0\0"),
    "UIDs with a NUL": request(
        contexts=item(0x20, b"\1\0\0\0", item(0x30, CR.encode() + b"\0"), item(0x40, EXPLICIT + b"\0"))
    ),
    "a second context without a transfer syntax": request(
        contexts=CONTEXT + item(0x20, b"\3\0\0\0", item(0x30, CR.encode()))
    ),
    "a second context of no class": request(
        contexts=CONTEXT + item(0x20, b"\3\0\0\0", item(0x30), item(0x40, EXPLICIT))
    ),
    "a second context of a class that is too long": request(
        contexts=CONTEXT + item(0x20, b"\3\0\0\0", item(0x30, b"1." * 50), item(0x40, EXPLICIT))
    ),
    "a calling title with NULs": request(calling=b"PACS".ljust(16, b"\0")),
    "both titles with NULs": request(b"PACS".ljust(16, b"\0"), b"XRVNODE".ljust(16, b"\0")),
    "a title with memory behind its NUL": request(calling=b"PACS\0\xfe\x13\x80".ljust(16, b"\x7f")),
    "a called title that is indented": request(called=b"  XRVNODE"),
    "a calling title that is no text": request(calling=GARBAGE),
    "a calling title that is blank": request(calling=b""),
    "a calling title of NULs": request(calling=bytes(16)),
}


def pdu(connection: socket.socket) -> bytes:
    """One whole PDU; nothing where the connection ends."""
    head = connection.recv(6, socket.MSG_WAITALL)
    return head + connection.recv(struct.unpack(">BxL", head)[1], socket.MSG_WAITALL) if head else b""


def asked(port: int, encoded_request: bytes) -> tuple[bytes, socket.socket]:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(encoded_request)
    return pdu(connection), connection


def stored(connection: socket.socket, number: int = 1) -> int:
    """C-STORE a radiograph in context 1; the status."""
    dataset = radiograph(number)
    about = {0x0002: CR, 0x0700: 0, 0x1000: str(dataset.SOPInstanceUID)}
    fields = command.request(0x0001, 7, about, data=True)
    connection.sendall(values.command(1, fields, ROOM))
    data = encoded(dataset)
    pieces = (data[at : at + ROOM] for at in range(0, len(data), ROOM))
    connection.sendall(b"".join(values.dataset(1, pieces)))
    answer = command.read(pdu(connection)[12:])
    connection.sendall(bytes((wire.RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
    assert pdu(connection)[0] == wire.RELEASE_RP
    return int(answer.Status)


@pytest.fixture
def port(start: Start) -> int:
    return start("[receive]\nport = 0\n")


@pytest.mark.parametrize("what", ODD)
def test_a_device_whose_request_is_odd_sends_its_images(port: int, what: str) -> None:
    answer, connection = asked(port, ODD[what])
    with connection:
        assert answer[0] == ACCEPTED
        assert answer[10:42] == ODD[what][10:42]  # as they came (PS3.8 table 9-17)
        assert stored(connection) == 0


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    calling=st.binary(min_size=16, max_size=16),
    kinds=st.lists(
        st.tuples(st.sampled_from([0x52, 0x53, 0x55, 0x56, 0x57, 0x58, 0x60]), st.binary(max_size=80))
    ),
    reserved=st.binary(min_size=32, max_size=32),
)
def test_whatever_informs_is_let_be(
    port: int, calling: bytes, kinds: list[tuple[int, bytes]], reserved: bytes
) -> None:
    items = LENGTH + b"".join(item(kind, data) for kind, data in kinds)
    answer, connection = asked(port, request(calling, user=items, reserved=reserved))
    connection.close()
    assert answer[0] == ACCEPTED


@pytest.mark.parametrize(
    ("calling", "shown"),
    [(GARBAGE, r"\xc0\xb3`I\xfc\x7f"), (b"", ""), (b"A\\B\n", r"A\x5cB"), (b"PACS\0\0", "PACS")],
)
def test_a_title_is_shown_as_it_is_meant(
    port: int, store: Store, spool: Spool, calling: bytes, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, connection = asked(port, request(calling))
    with connection:
        assert stored(connection) == 0
    with store.read() as db:
        row = db.scalars(select(Instance)).one()
        (event,) = queries.events(db, event="instance.received")
    assert event["detail"]["calling_ae"] == shown
    assert row.calling_ae == shown[:16]
    assert shown in "".join(capsys.readouterr())
    meta = dcmread(spool.absolute(row.path)).file_meta  # of 16 characters of text, or none
    assert str(meta.get("SourceApplicationEntityTitle", "")) == ("" if "\\" in shown else shown)


@pytest.mark.parametrize(
    ("calling", "remedy"),
    [
        (b"PACS\0\0\0\xff", None),
        (b"  PACS", None),
        (b"PACS2", 'add "PACS2" to receive.allowed_calling_ae'),
        (
            b"",
            "its calling AE title is blank: give the sender one, and add that to receive.allowed_calling_ae",
        ),
        (GARBAGE, r"its calling AE title, \xc0\xb3`I\xfc\x7f, is not text: correct it at the sender"),
    ],
)
def test_a_list_of_callers_means_their_titles(
    start: Start, store: Store, calling: bytes, remedy: str | None
) -> None:
    answer, connection = asked(
        start('[receive]\nport = 0\nallowed_calling_ae = ["PACS"]\n'), request(calling)
    )
    connection.close()
    if remedy is None:
        assert answer[0] == ACCEPTED
        return
    assert (answer[0], *answer[7:10]) == (REJECTED, 1, 1, 3)
    assert said(refusal(store)["remedy"]).startswith(remedy)


def test_another_called_title_is_refused_as_before(port: int) -> None:
    for called in (b"OTHER", b"", b"XRVNODE2\0", b"XRV\0NODE"):
        answer, connection = asked(port, request(called=called))
        connection.close()
        assert (answer[0], *answer[7:10]) == (REJECTED, 1, 1, 7)


@pytest.mark.parametrize(
    ("encoded_request", "why"),
    [
        (request(contexts=CONTEXT + CONTEXT), "two presentation contexts with one ID"),
        (request(contexts=EVEN), "a presentation context whose ID, 2, is not odd"),
        (request(contexts=CONTEXT[:-3] + b""), "an item of type 0x"),
        (struct.pack(">BxL", 1, 20) + bytes(20), "shorter than its fixed part"),
        (request(user=item(0x51, struct.pack(">L", 6)) + CLASS), "no data value fits into a PDU"),
    ],
)
def test_a_request_that_leaves_open_what_is_asked_for_is_aborted_and_on_record(
    port: int, store: Store, encoded_request: bytes, why: str
) -> None:
    answer, connection = asked(port, encoded_request)
    connection.close()
    assert (answer[0], *answer[8:10]) == (ABORTED, 2, 6)
    detail = refusal(store)
    assert said(detail["remedy"]).startswith(f"its association request cannot be read: {why}")
    assert detail["address"] == "127.0.0.1"


def test_what_is_no_dicom_is_shown_and_on_record(port: int, store: Store) -> None:
    answer, connection = asked(port, b"GET / HTTP/1.1\r\n\r\n")
    connection.close()
    assert (answer[0], *answer[8:10]) == (ABORTED, 2, 1)
    assert r"not DICOM came: 'GET / HTTP/1.1\r\n\r\n'" in said(refusal(store)["remedy"])


def test_who_connects_and_goes_is_not_on_record(port: int, store: Store) -> None:
    """As load balancers and watchdogs do, every few seconds."""
    socket.create_connection(("127.0.0.1", port)).close()
    answer, connection = asked(port, request(b"OTHER", b"OTHER"))
    connection.close()
    assert answer[0] == REJECTED
    assert refusal(store)["calling_ae"] == "OTHER"


def refusal(store: Store) -> dict[str, object]:
    """The detail of the one refusal on record; it is written after the caller has its answer."""

    def found() -> list[dict[str, object]]:
        with store.read() as db:
            return [event["detail"] for event in queries.events(db, event="association.refused")]

    (detail,) = wait(found, 10, "a refusal on record")
    return detail


@pytest.mark.parametrize("case", ["ae-nul-padded", "calling-blank", "calling-garbage", "version-name-17"])
def test_requests_of_real_devices(port: int, case: str) -> None:
    file = Path(__file__).resolve().parents[3] / "shared" / "cases" / "dicom" / f"assoc-{case}" / "rq.bin"
    if not file.is_file():
        pytest.skip(f"the requests of real devices are not at {file.parent}")
    answer, connection = asked(port, file.read_bytes())
    connection.close()
    assert answer[0] == ACCEPTED


def test_titles() -> None:
    assert negotiation.title(b"\0 PACS 1 \0junk") == "PACS 1"
    assert negotiation.title("Größe".encode()) == r"Gr\xc3\xb6\xc3\x9fe"

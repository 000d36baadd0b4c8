"""Peers that take without giving: slow, silent, greedy. Beside each of them an honest sender is served."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from made import CR, radiograph
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_context, dsutils
from pynetdicom._globals import APPLICATION_CONTEXT_NAME
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.sop_class import Verification
from serving import wait

from xrv_node.network import wire
from xrv_node.receive import dimse, peer_limits, server
from xrv_node.spool import Spool

HOST = "127.0.0.1"
ACCEPT, REJECT, DATA, ABORT = 2, 3, 4, 7
Listen = Callable[[str], int]


@pytest.fixture
def listen(start: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listen:
    """Start a receiver with more keys of ``[receive]``, whose ARTIM timer is short; returns the port."""
    monkeypatch.setattr(server, "ARTIM_SECONDS", 1.0)
    return lambda keys: start(
        f'[receive]\nport = 0\nmin_free_mb = 0\n{keys}\n[node]\ndata_dir = "{tmp_path}"\n'
    )


def request(longest: int = 16384, contexts: int = 1) -> bytes:
    """An A-ASSOCIATE-RQ."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT_NAME
    primitive.calling_ae_title, primitive.called_ae_title = "PACS", "XRVNODE"
    primitive.presentation_context_definition_list = [
        build_context(CR, ExplicitVRLittleEndian) for _ in range(contexts)
    ]
    for number, context in enumerate(primitive.presentation_context_definition_list):
        context.context_id = 2 * number + 1
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = longest, "1.2.3"
    primitive.user_information = [length, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=10)


def associated(port: int, longest: int = 16384) -> socket.socket:
    connection = connect(port)
    connection.sendall(request(longest))
    assert pdu(connection)[0] == ACCEPT
    return connection


def pdu(connection: socket.socket) -> bytes:
    """One whole PDU; nothing where the connection ends."""
    try:
        head = connection.recv(6, socket.MSG_WAITALL)
        return head + connection.recv(struct.unpack(">BBL", head)[2], socket.MSG_WAITALL) if head else b""
    except ConnectionResetError:
        return b""


def value(data: bytes, control: int) -> bytes:
    """A data PDU with one value in context 1."""
    return struct.pack(">BBLLBB", DATA, 0, len(data) + 6, len(data) + 2, 1, control) + data


def command(field: int) -> bytes:
    fields = Dataset()
    fields.AffectedSOPClassUID, fields.AffectedSOPInstanceUID = CR, "1.2.3.1.1.1"
    fields.CommandField, fields.MessageID = field, 7
    fields.CommandDataSetType = 1 if field == 1 else 0x0101
    return dsutils.encode(fields, True, True) or b""


def honest(port: int, number: int = 1) -> None:
    """A well-behaved sender has its object taken."""
    ae = AE(ae_title="HONEST")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    ae.add_requested_context(CR, ExplicitVRLittleEndian)
    ae.add_requested_context(Verification)
    peer = ae.associate(HOST, port, ae_title="XRVNODE")
    assert peer.is_established
    assert peer.send_c_store(radiograph(number)).Status == 0
    peer.release()


def trickles(
    port: int, connection: socket.socket, piece: bytes, why: str, log: Any, count: int = 100
) -> None:
    """The peer sends a little, again and again, and is put out for it while an honest one is served."""
    honest(port)
    with connection:
        assert _is_put_out(connection, piece, count)
    assert why in "".join(log.readouterr())
    honest(port, 2)


def _is_put_out(connection: socket.socket, piece: bytes, count: int) -> bool:
    try:
        for _ in range(count):
            connection.sendall(piece)
            sleep(0.1)
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


# ---------------------------------------------------------------- slow and silent


def test_a_request_that_trickles_is_not_waited_for(
    listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    port = listen("")
    connection = connect(port)
    connection.sendall(request()[:20])
    trickles(port, connection, b"\0", "a PDU took more than 1 s", capsys)


def test_a_command_that_trickles_is_not_waited_for(
    listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each piece is whole and in time, and never the last one; it need not even have a byte."""
    port = listen("idle_seconds = 1")
    trickles(port, associated(port), value(b"", 1), "a command took more than 1 s", capsys)


def test_an_object_that_trickles_is_not_waited_for(
    listen: Listen, capsys: pytest.CaptureFixture[str], spool: Spool
) -> None:
    port = listen("idle_seconds = 1")
    connection = associated(port)
    connection.sendall(value(command(0x0001), 3))
    trickles(port, connection, value(b"\0\0", 0), "less than 1024 bytes a second", capsys)
    assert not list(spool.drafts.glob(".*"))


def test_data_without_a_value_are_against_the_protocol(listen: Listen) -> None:
    """PS3.8 9.3.5: one or more values. Without, a peer is never silent and never says anything."""
    with associated(listen("")) as connection:
        connection.sendall(struct.pack(">BBL", DATA, 0, 0))
        assert pdu(connection)[0] == ABORT


def test_who_connects_and_says_nothing_is_put_out(listen: Listen) -> None:
    port = listen("")
    with connect(port) as connection:
        honest(port)
        assert pdu(connection)[0] == ABORT  # of the node's own accord
        assert pdu(connection) == b""


def test_silent_connections_of_one_peer_keep_nobody_else_out(
    listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    port = listen("max_associations = 3\nmax_associations_per_peer = 2")
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(port)) for _ in range(3)]
        honest(port)  # they have no association, and do not count as one
        assert len(silent) == 3
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(connect(port))
        crowded = stack.enter_context(connect(port))
        assert pdu(crowded) == b""  # closed at once: each would hold a thread
        logged: list[str] = []

        def told() -> bool:
            logged.extend(capsys.readouterr())
            return "more than 4 connections at once (twice receive.max_associations_per_peer)" in "".join(
                logged
            )

        # the first of them is told when its event is on the trail: the others do not wait for that
        wait(told, 30, "the refusal in the log")


def test_a_peer_whose_cable_was_pulled_is_asked_after(listen: Listen) -> None:
    """The kernel's own list of connections shows a keep-alive timer on the node's end."""
    port = listen("")
    table = Path("/proc/net/tcp")
    if not table.is_file():
        pytest.skip("the kernel shows no list of connections")
    with associated(port):
        lines = [line.split() for line in table.read_text().splitlines()[1:]]
        established = [row for row in lines if row[1].endswith(f":{port:04X}") and row[3] == "01"]
        assert established
        for row in established:
            timer, when = row[5].split(":")
            assert timer == "02"
            assert int(when, 16) <= wire.KEEP_ALIVE_SECONDS * 100


def test_a_handshake_that_never_ends_is_ended(listen: Listen, tmp_path: Path) -> None:
    """A TLS client says hello, and nothing more."""
    openssl = shutil.which("openssl") or pytest.skip("openssl is not installed")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
         "2", "-subj", "/CN=node", "-keyout", tmp_path / "node.key", "-out", tmp_path / "node.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    port = listen(f'[receive.tls]\ncertificate = "{tmp_path}/node.crt"\nkey = "{tmp_path}/node.key"')
    incoming_, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(incoming_, outgoing, server_hostname="node")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with connect(port) as connection:
        connection.sendall(outgoing.read())
        while connection.recv(4096):  # the server's part, then the end of its patience
            pass


# ---------------------------------------------------------------- greedy


def test_a_peer_that_goes_too_fast_waits_and_is_not_refused(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(peer_limits, "ALLOWANCE_SECONDS", 0.0)
    for module in (server, dimse):
        monkeypatch.setattr(module, "sleep", waited.append)
    port = listen("max_objects_per_minute = 1\nmax_associations_per_minute = 1")
    for number in (1, 2, 3):
        honest(port, number)
    # an association and its object each, of which only the first come free (but for what a sum of floats rounds)
    assert [seconds > 1e-6 for seconds in waited if seconds != 0.05] == [False, False, True, True, True, True]


def test_turns_are_counted_for_each_address(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(peer_limits, "monotonic", lambda: now[0])
    pace = peer_limits.Pace(60)
    assert [pace.turn("10.0.0.1") for _ in range(60)] == [0.0] * 60
    assert [pace.turn("10.0.0.1") for _ in range(3)] == pytest.approx([1.0, 2.0, 3.0])
    assert pace.turn("10.0.0.2") == 0.0
    now[0] += 63
    assert pace.turn("10.0.0.1") == 0.0
    assert peer_limits.Pace(0).turn("10.0.0.1") == 0.0


@pytest.mark.parametrize("longest", [0, 7, 50, 0xFFFFFFFF])
def test_answers_fit_into_what_the_peer_takes(listen: Listen, longest: int) -> None:
    with associated(listen(""), longest) as connection:
        connection.sendall(value(command(0x0030), 3))
        encoded, last = b"", False
        while not last:
            one = pdu(connection)
            assert one[0] == DATA
            assert len(one) - 6 <= (longest or len(one))
            last, encoded = bool(one[11] & 2), encoded + one[12:]
        assert dsutils.decode(BytesIO(encoded), True, True).Status == 0


def test_a_peer_that_nothing_can_be_said_to_is_aborted(listen: Listen) -> None:
    port = listen("")
    with connect(port) as connection:
        connection.sendall(request(longest=6))
        assert pdu(connection)[0] == ABORT
    honest(port)


def test_128_presentation_contexts_are_taken_and_two_of_one_id_are_not(listen: Listen) -> None:
    """PS3.8 9.3.2.2: an odd number from 1 to 255, each once."""
    port = listen("")
    with connect(port) as connection:
        connection.sendall(request(contexts=128))
        answer = A_ASSOCIATE_AC()
        answer.decode(pdu(connection))
        assert [item.result for item in answer.presentation_context] == [0] * 128
    with connect(port) as connection:
        connection.sendall(request(contexts=2).replace(b"\x03\0\0\0\x30", b"\x01\0\0\0\x30"))
        assert pdu(connection)[0] == ABORT
    honest(port)

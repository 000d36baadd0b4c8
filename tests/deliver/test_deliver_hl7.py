"""HL7 v2 over MLLP, to a receiver of another maker's: what each answer makes of a delivery."""

from __future__ import annotations

import socket
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from certificates import pair
from deliver_cases import deliver, states
from deliver_peer import only
from hl7_peer import receiver
from ports import free_port

from xrv_node.db.store import Store
from xrv_node.db.tables import ResultRow
from xrv_node.deliver.attempt import Outcome
from xrv_node.deliver.hl7 import Hl7Sender
from xrv_node.errors import DestinationError
from xrv_node.hl7 import mllp
from xrv_node.settings.destinations import Hl7Destination
from xrv_node.settings.tls import TlsClientSection
from xrv_node.spool import Spool
from xrv_node.values import StoredResult


def sender(port: int, **changes: Any) -> Hl7Sender:
    changes = {"timeout_seconds": 10} | changes
    return Hl7Sender(Hl7Destination(name="ris", host="127.0.0.1", port=port, **changes), "XRVNODE")


def test_a_report_is_delivered_when_it_is_acknowledged(stored: StoredResult) -> None:
    """Also the second, though the receiver ends the connection after each."""
    with receiver(encoding="latin-1") as peer:
        ris = sender(peer.port, receiving_application="RIS")
        assert [a.outcome for a in ris.send([stored, stored])] == [Outcome.DELIVERED] * 2
        assert peer.got[0] == peer.got[1]
        assert peer.got[0].startswith("MSH|^~\\&|XRVNODE||RIS||20261120103005+0000||ORU^R01^ORU_R01|")
        ris.close()


@pytest.mark.parametrize(
    ("code", "error", "outcome", "words"),
    [
        ("CA", "", Outcome.DELIVERED, ""),
        ("AE", "", Outcome.REJECTED, "the receiver says that the message is in error (AE)"),
        ("CE", "101", Outcome.REJECTED, "the receiver says that the message is in error (CE 101)"),
        ("AE", "204", Outcome.REJECTED, "the receiver does not know the patient or the order (AE 204)"),
        ("AE", "207", Outcome.TRANSIENT, "the receiver cannot take it now (AE 207)"),
        ("AR", "", Outcome.TRANSIENT, "the receiver cannot take it now (AR)"),
        (
            "AR",
            "203",
            Outcome.REJECTED,
            "the receiver does not take such messages (AR 203): see MSH-9, MSH-11",
        ),
    ],
)
def test_what_an_answer_means(
    stored: StoredResult, code: str, error: str, outcome: Outcome, words: str
) -> None:
    with receiver(encoding="latin-1") as peer:
        peer.code, peer.error = code, error
        attempt = only(sender(peer.port).send([stored]))
        assert attempt.outcome == outcome
        assert str(attempt.reason or "").startswith(words)
        assert "DOE" not in str(attempt.reason)


@pytest.mark.parametrize(
    "raw",
    ["HTTP/1.1 400 Bad Request\r\n\r\n", "\x0bMSH|^~\\&|\x1c\r", "\x0bhello\x1c\r", "\x0bMSH|^~\\&|A\rMSA|AA|", "\x0b\x1c\r",
     "\x0bMSH|^~\\&|A\rMSA|XX|1\x1c\r", "", "\x0b" + "A" * (mllp.MAX_ANSWER + 9) + "\x1c\r"],
)  # fmt: skip
def test_an_answer_that_is_none_is_tried_again(stored: StoredResult, raw: str) -> None:
    with receiver(encoding="latin-1") as peer:
        peer.raw = raw
        assert only(sender(peer.port).send([stored])).outcome == Outcome.TRANSIENT


@pytest.mark.parametrize(
    ("code", "state"), [("AA", ("delivered", None, "done")), ("AE", ("rejected", None, "parked")),
                        ("AR", ("waiting", None, "queued"))],
)  # fmt: skip
def test_the_outbox_records_what_was_acknowledged(
    store: Store,
    spool: Spool,
    queued: tuple[int, ...],
    stored: StoredResult,
    code: str,
    state: tuple[Any, ...],
) -> None:
    data = stored.path.read_bytes()
    with store.begin() as db:
        for row in db.query(ResultRow):
            spool.absolute(row.path).write_bytes(data)
            row.kind, row.sha256 = "report", sha256(data).hexdigest()
    with receiver(encoding="latin-1") as peer:
        peer.code = code
        ris = sender(peer.port)
        deliver(store, spool, ris)
        ris.close()
    assert states(store) == [state] * 2


def test_another_messages_answer_delivers_nothing(stored: StoredResult) -> None:
    with receiver(encoding="latin-1") as peer:
        peer.of = "SOMEBODY"
        attempt = only(sender(peer.port).send([stored]))
        assert (attempt.outcome, "another message's" in str(attempt.reason)) == (Outcome.TRANSIENT, True)


def test_a_receiver_that_is_silent_is_not_waited_for(stored: StoredResult) -> None:
    with receiver(encoding="latin-1") as peer:
        peer.silent = True
        attempt = only(sender(peer.port, timeout_seconds=0.3).send([stored]))
        assert attempt.outcome == Outcome.TRANSIENT
        assert "timeout_seconds" in str(attempt.reason)


def test_a_receiver_that_drips_is_not_waited_for(stored: StoredResult) -> None:
    """A byte now and then ends no time-out of a socket."""
    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"\x0b")
                while not gone.wait(0.05):
                    connection.sendall(b"M")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        attempt = only(sender(server.getsockname()[1], timeout_seconds=0.5).send([stored]))
        gone.set()
        thread.join(10)
    assert attempt.outcome == Outcome.TRANSIENT


def test_nobody_there_is_told(stored: StoredResult) -> None:
    ris = sender(port := free_port())
    attempt = only(ris.send([stored]))
    assert attempt.outcome == Outcome.TRANSIENT
    assert f"no connection to 127.0.0.1:{port}" in str(attempt.reason)
    with pytest.raises(DestinationError, match="no connection"):
        ris.check()


def test_a_report_goes_over_tls(stored: StoredResult, tmp_path: Path) -> None:
    ours, theirs = pair(tmp_path, "node"), pair(tmp_path, "ris")
    with receiver(theirs.context(ours), encoding="latin-1") as peer:
        files = TlsClientSection(ca=theirs.certificate, certificate=ours.certificate, key=ours.key)
        assert only(sender(peer.port, tls=files).send([stored])).outcome == Outcome.DELIVERED
        assert sender(peer.port, tls=files).check() == [
            "HL7 over MLLP: it takes a connection; no message was sent"
        ]
        wrong = TlsClientSection(ca=ours.certificate)
        attempt = only(sender(peer.port, tls=wrong).send([stored]))
        assert (attempt.outcome, "no TLS" in str(attempt.reason)) == (Outcome.TRANSIENT, True)
        with pytest.raises(DestinationError, match="no TLS"):
            sender(peer.port, tls=wrong).check()


def test_a_file_that_is_no_report_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "r.dcm").write_bytes(b"nothing")
    attempt = only(sender(free_port()).send([StoredResult("report", "1.2", "1.2.3", tmp_path / "r.dcm")]))
    assert attempt.outcome == Outcome.TRANSIENT


def test_who_takes_a_connection_is_there(stored: StoredResult) -> None:
    assert not sender(free_port()).answers()
    with receiver() as peer:
        ris = sender(peer.port)
        assert ris.answers()
        assert peer.got == []
        assert only(ris.send([stored])).outcome == Outcome.DELIVERED
        assert ris.answers()
        ris.close()

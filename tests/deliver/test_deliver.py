"""Delivery to peers that behave and peers that do not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from made import CR, radiograph
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification

from xrv_node.audit import queries, trail
from xrv_node.audit.store import Store
from xrv_node.audit.tables import Delivery, Job, ResultRow, Study
from xrv_node.deliver import outbox
from xrv_node.deliver.attempt import Attempt, Outcome, from_status
from xrv_node.deliver.dimse import DimseSender
from xrv_node.deliver.folder import FolderSender
from xrv_node.errors import DestinationError
from xrv_node.jobs import progress, queue
from xrv_node.receive.spool import Spool
from xrv_node.report.kinds import KINDS
from xrv_node.settings import DestinationSection
from xrv_node.values import StoredResult

SOP_CLASSES = {name: kind.sop_classes[0] for name, kind in KINDS.items()}


class Peer:
    """An archive whose behaviour a test can choose."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.associations = 0
        self.answer: int | str = 0
        self.ae = AE(ae_title="ARCHIVE")
        self.port = 0

    def start(self, *classes: str, **options: Any) -> None:
        for sop_class in classes or tuple(SOP_CLASSES.values()):
            self.ae.add_supported_context(sop_class, *options.get("syntaxes", []))
        self.ae.add_supported_context(Verification)
        self.ae.require_calling_aet = options.get("calling", [])
        self.ae.require_called_aet = True
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted)]
        server: Any = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = server.server_address[1]

    def _accepted(self, _event: Event) -> None:
        self.associations += 1

    def _store(self, event: Event) -> int:
        if self.answer == "abort":
            event.assoc.abort()
            return 0
        self.received.append(event.dataset)
        return int(self.answer)


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.ae.shutdown()


def destination(port: int, **changes: Any) -> DestinationSection:
    fields: dict[str, Any] = {
        "name": "pacs", "kind": "dimse", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port,
    }  # fmt: skip
    return DestinationSection(**(fields | changes))


def result(tmp_path: Path, number: int = 1, kind: str = "seg") -> StoredResult:
    dataset = radiograph(number, SOPClassUID=SOP_CLASSES[kind])
    path = tmp_path / "results" / str(dataset.StudyInstanceUID) / f"{dataset.SOPInstanceUID}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return StoredResult(kind, SOP_CLASSES[kind], str(dataset.SOPInstanceUID), path)


def only(attempts: Iterator[Attempt]) -> Attempt:
    (attempt,) = attempts
    return attempt


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, Outcome.DELIVERED),
        (0x0111, Outcome.DELIVERED),  # duplicate SOP instance: it is there
        (0xB000, Outcome.WARNING),
        (0xB006, Outcome.WARNING),
        (0xA700, Outcome.TRANSIENT),
        (0xA701, Outcome.TRANSIENT),
        (0x0110, Outcome.TRANSIENT),
        (0xA900, Outcome.REJECTED),
        (0xC123, Outcome.REJECTED),
        (0x0122, Outcome.REJECTED),
        (0x0124, Outcome.REJECTED),
    ],
)
def test_what_a_status_means(tmp_path: Path, peer: Peer, status: int, outcome: Outcome) -> None:
    stored = result(tmp_path)
    assert from_status(stored, status).outcome == outcome
    peer.answer = status
    peer.start()
    attempt = only(DimseSender(destination(peer.port), "XRVNODE").send([stored]))
    assert (attempt.outcome, attempt.status) == (outcome, status)


def test_several_objects_share_one_association_that_is_held(tmp_path: Path, peer: Peer) -> None:
    peer.start()
    sender = DimseSender(destination(peer.port), "XRVNODE")
    results = [result(tmp_path, n) for n in range(1, 4)]
    assert [a.outcome for a in sender.send(results)] == [Outcome.DELIVERED] * 3
    assert only(sender.send([result(tmp_path, 9)])).outcome == Outcome.DELIVERED
    sender.close()
    assert peer.associations == 1
    assert [str(d.SOPInstanceUID) for d in peer.received][:3] == [r.sop_instance_uid for r in results]


def test_only_the_classes_of_its_kinds_are_proposed(peer: Peer) -> None:
    proposed: list[str] = []
    peer.start()
    peer.ae._servers[0].bind(
        evt.EVT_REQUESTED,
        lambda e: proposed.extend(str(c.abstract_syntax) for c in e.assoc.requestor.requested_contexts),
    )
    DimseSender(destination(peer.port, send=["report"]), "XRVNODE").check()
    assert set(proposed) == {SOP_CLASSES["report"], str(Verification)}


def test_a_peer_of_implicit_little_endian_gets_it(tmp_path: Path, peer: Peer) -> None:
    peer.start(SOP_CLASSES["seg"], syntaxes=[[ImplicitVRLittleEndian]])
    assert (
        only(DimseSender(destination(peer.port), "X").send([result(tmp_path)])).outcome == Outcome.DELIVERED
    )
    assert peer.received[0].PixelData == dcmread(result(tmp_path).path).PixelData


def test_a_class_that_is_not_accepted_is_rejected_and_the_others_go(tmp_path: Path, peer: Peer) -> None:
    peer.start(SOP_CLASSES["seg"])
    attempts = list(
        DimseSender(destination(peer.port), "XRVNODE").send(
            [result(tmp_path, 1, "report"), result(tmp_path, 2, "seg")]
        )
    )
    assert [a.outcome for a in attempts] == [Outcome.REJECTED, Outcome.DELIVERED]
    assert attempts[0].message == (
        "ARCHIVE does not accept Enhanced SR Storage: allow it there, or leave 'report' out of `send`"
    )


def test_a_peer_that_does_not_know_us_rejects_with_the_remedy(tmp_path: Path, peer: Peer) -> None:
    peer.start(calling=["SOMEBODY"])
    attempts = list(
        DimseSender(destination(peer.port), "XRVNODE").send([result(tmp_path, 1), result(tmp_path, 2)])
    )
    assert [a.outcome for a in attempts] == [Outcome.REJECTED] * 2
    assert attempts[0].message == (
        "ARCHIVE refused the association: it does not know our AE title XRVNODE: add it there"
    )


def test_a_wrong_called_title_is_named(tmp_path: Path, peer: Peer) -> None:
    peer.start()
    attempt = only(DimseSender(destination(peer.port, ae_title="WRONG"), "X").send([result(tmp_path)]))
    assert attempt.outcome == Outcome.REJECTED
    assert "it is not called WRONG: correct `ae_title`" in attempt.message


def test_a_peer_that_is_down_is_transient(tmp_path: Path) -> None:
    attempt = only(DimseSender(destination(1), "XRVNODE").send([result(tmp_path)]))
    assert attempt.outcome == Outcome.TRANSIENT
    assert "is it running and reachable?" in attempt.message


def test_a_peer_that_aborts_is_transient_and_the_next_object_gets_a_new_association(
    tmp_path: Path, peer: Peer
) -> None:
    peer.answer = "abort"
    peer.start()
    sender = DimseSender(destination(peer.port), "XRVNODE")
    assert only(sender.send([result(tmp_path)])).outcome == Outcome.TRANSIENT
    peer.answer = 0
    assert only(sender.send([result(tmp_path)])).outcome == Outcome.DELIVERED
    sender.close()


def test_check_says_what_is_accepted_and_fails_where_a_class_is_not(peer: Peer) -> None:
    peer.start(SOP_CLASSES["seg"], SOP_CLASSES["sr"])
    good = DimseSender(destination(peer.port, send=["seg"]), "XRVNODE").check()
    assert good == ["C-ECHO: 0x0000", "seg: Segmentation Storage: Explicit VR Little Endian"]
    with pytest.raises(DestinationError, match="report: Enhanced SR Storage: NOT ACCEPTED"):
        DimseSender(destination(peer.port), "XRVNODE").check()
    with pytest.raises(DestinationError, match="is it running"):
        DimseSender(destination(1), "XRVNODE").check()


def test_a_folder_gets_whole_files(tmp_path: Path) -> None:
    stored = result(tmp_path)
    sender = FolderSender(DestinationSection(name="f", kind="folder", path=tmp_path / "out"), "X")
    assert only(sender.send([stored])).outcome == Outcome.DELIVERED
    assert only(sender.send([stored])).outcome == Outcome.DELIVERED
    (path,) = (tmp_path / "out").rglob("*.*cm")
    assert path.read_bytes() == stored.path.read_bytes()
    assert path.name == f"seg-{stored.sop_instance_uid}.dcm"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sender = FolderSender(DestinationSection(name="f", kind="folder", path=tmp_path / "file" / "out"), "X")
    assert only(sender.send([result(tmp_path)])).outcome == Outcome.TRANSIENT
    with pytest.raises(DestinationError, match="make it or correct `path`"):
        sender.check()


# ---------------------------------------------------------------- the outbox


@pytest.fixture
def queued(store: Store, spool: Spool, tmp_path: Path) -> tuple[int, ...]:
    """Two results in the outbox of ``pacs``; the ids of their deliveries."""
    now = datetime.now(UTC)
    ids = []
    with store.begin() as db:
        study = Study(study_instance_uid="1.2.3.1", state="reported", revision=1, received_at=now)
        db.add(study)
        db.flush()
        for number in (1, 2):
            stored = result(tmp_path, number)
            row = ResultRow(
                study_id=study.id, kind="seg", revision=1, sop_class_uid=stored.sop_class_uid,
                sop_instance_uid=stored.sop_instance_uid, series_instance_uid="3", model_set="", sha256="",
                size=0, path=spool.relative(stored.path), created_at=now,
            )  # fmt: skip
            db.add(row)
            db.flush()
            delivery = Delivery(result_id=row.id, destination="pacs", updated_at=now)
            db.add(delivery)
            db.flush()
            queue.enqueue(db, "deliver", study=study.id, delivery=delivery.id)
            ids.append(delivery.id)
    return tuple(ids)


def deliver(store: Store, spool: Spool, sender: Any) -> None:
    claims = queue.claim(store, "deliver", owner="t", limit=20, destination="pacs")
    outbox.deliver(store, spool, "pacs", sender, claims)


def states(store: Store) -> list[tuple[str, str | None, str]]:
    with store.read() as db:
        return [
            (d.state, d.status, j.state)
            for d, j in zip(db.query(Delivery).order_by("id"), db.query(Job).order_by("id"), strict=True)
        ]


def test_delivered_objects_are_recorded_with_the_peers_status(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...]
) -> None:
    peer.start()
    deliver(store, spool, DimseSender(destination(peer.port), "XRVNODE"))
    assert states(store) == [("delivered", "0x0000", "done")] * 2
    with store.read() as db:
        events = list(queries.events(db, event="result.delivered"))
        assert trail.verify(db) > 0
    assert [e["detail"]["destination"] for e in events] == ["pacs", "pacs"]


def test_a_rejected_object_is_parked_at_once_and_can_be_retried(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...]
) -> None:
    peer.answer = 0xA900
    peer.start()
    deliver(store, spool, DimseSender(destination(peer.port), "XRVNODE"))
    assert states(store) == [("rejected", "0xA900", "parked")] * 2
    peer.answer = 0
    with store.read() as db:
        parked = queries.parked(db)
    for job in parked:
        with store.begin() as db:
            progress.retry(db, job)
    deliver(store, spool, DimseSender(destination(peer.port), "XRVNODE"))
    assert [s[0] for s in states(store)] == ["delivered"] * 2


def test_a_peer_that_is_down_is_tried_again_later(
    store: Store, spool: Spool, queued: tuple[int, ...]
) -> None:
    deliver(store, spool, DimseSender(destination(1), "XRVNODE"))
    assert states(store) == [("waiting", None, "queued")] * 2
    assert queue.claim(store, "deliver", owner="t", destination="pacs") == []  # not before its pause is over


def test_a_transient_answer_keeps_the_others_going(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...]
) -> None:
    peer.start()
    first = []

    def once(_event: Event) -> int:
        first.append(1)
        return 0xA700 if len(first) == 1 else 0

    peer.ae._servers[0].bind(evt.EVT_C_STORE, once)
    deliver(store, spool, DimseSender(destination(peer.port), "XRVNODE"))
    assert sorted(s[0] for s in states(store)) == ["delivered", "waiting"]


def test_the_outbox_delivers_to_all_destinations_beside_a_dead_one(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...], tmp_path: Path
) -> None:
    from xrv_node import settings

    peer.start()
    config = tmp_path / "node.toml"
    config.write_text(
        f'[[destinations]]\nname="pacs"\nkind="dimse"\nae_title="ARCHIVE"\nhost="127.0.0.1"\nport={peer.port}\n'
        '[[destinations]]\nname="dead"\nkind="dimse"\nae_title="DEAD"\nhost="127.0.0.1"\nport=1\n'
    )
    stop = threading.Event()
    thread = threading.Thread(
        target=outbox.run, args=(settings.load(config), store, spool), kwargs={"owner": "t", "stop": stop}
    )
    thread.start()
    try:
        for _ in range(100):
            if len(peer.received) == 2:
                break
            stop.wait(0.1)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert [s[0] for s in states(store)] == ["delivered"] * 2
    assert CR not in {str(d.SOPClassUID) for d in peer.received}

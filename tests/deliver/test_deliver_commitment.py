"""Storage commitment with archives that answer at once, later, elsewhere, with failures or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from deliver_archive import Archive
from deliver_cases import deliver, states
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom.sop_class import SegmentationStorage
from serving import wait
from worded import said

from xrv_node import settings
from xrv_node.db import commitments, queries, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Commitment, Delivery, Job
from xrv_node.deliver.association import NotNowError
from xrv_node.deliver.dimse import DimseSender
from xrv_node.errors import DestinationError
from xrv_node.jobs import commitment, outbox
from xrv_node.receive import server as receiver
from xrv_node.settings.destinations import DimseDestination
from xrv_node.spool import Spool
from xrv_node.values import STORAGE_COMMITMENT

HOUR = timedelta(hours=1)


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive()
    yield made
    made.ae.shutdown()


def destination(port: int, **keys: Any) -> DimseDestination:
    fields: dict[str, Any] = {
        "name": "pacs", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port,
        "send": ["seg"], "commitment": True,
    }  # fmt: skip
    return DimseDestination(**(fields | keys))


@pytest.fixture
def ask(
    store: Store, spool: Spool, archive: Archive, queued: tuple[int, ...]
) -> Callable[[], list[commitments.Wanted]]:
    """Deliver what is due, and ask about what was stored and not asked about in an hour."""
    sender = DimseSender(destination(archive.port), "XRVNODE")

    def action() -> list[commitments.Wanted]:
        deliver(store, spool, sender)
        sender.close()
        with store.read() as db:
            wanted = commitments.due(db, "pacs", HOUR)
        if wanted:
            commitment.ask(destination(archive.port), "XRVNODE", store, wanted)
        return wanted

    return action


def later(store: Store, **times: timedelta) -> None:
    """Move the clock: by so much every time in these columns is earlier."""
    with store.begin() as db:
        for row in [*db.query(Delivery), *db.query(Job)]:
            for column, by in times.items():
                if (before := getattr(row, column, None)) is not None:
                    setattr(row, column, before - by)


def test_the_uids_are_the_standards() -> None:
    assert UID(STORAGE_COMMITMENT).name == "Storage Commitment Push Model SOP Class"
    assert UID(commitments.WELL_KNOWN_INSTANCE).name == "Storage Commitment Push Model SOP Instance"


def test_an_answer_on_the_same_association_confirms(
    store: Store, archive: Archive, ask: Callable[[], list[commitments.Wanted]]
) -> None:
    assert [w.sop_instance_uid for w in ask()] == archive.stored
    assert states(store) == [("confirmed", "0x0000", "done")] * 2
    (request,) = archive.requests
    assert {i.ReferencedSOPClassUID for i in request.ReferencedSOPSequence} == {SegmentationStorage}
    with store.read() as db:
        events = list(queries.events(db, event="result.confirmed"))
        assert trail.verify(db) > 0
    assert {e["detail"]["transaction"] for e in events} == {request.TransactionUID}
    assert [e["instance"] for e in events] == archive.stored
    assert ask() == []


def test_an_answer_over_an_association_of_the_archives_own(
    store: Store,
    spool: Spool,
    archive: Archive,
    ask: Callable[[], list[commitments.Wanted]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commitment, "ANSWER_SECONDS", 0.1)
    archive.same_association = False
    ask()
    assert states(store) == [("delivered", "0x0000", "done")] * 2
    server = receiver.start(settings.Settings(receive=settings.ReceiveSection(port=0)), store, spool)
    try:
        port = server.server_address[1]
        request = archive.requests[0]
        assert archive.call(port, request) == 0
        assert states(store) == [("confirmed", "0x0000", "done")] * 2
        assert archive.call(port, request) == 0  # twice is no harm
        request.TransactionUID = "2.25.1"
        assert archive.call(port, request) == 0x0115
    finally:
        receiver.drain(server, 1)


def test_what_is_not_there_is_sent_and_asked_for_again(
    store: Store, archive: Archive, ask: Callable[[], list[commitments.Wanted]]
) -> None:
    archive.failures = {"1.2.3.1.1.2": 0x0112}
    ask()
    assert states(store) == [("confirmed", "0x0000", "done"), ("waiting", "0x0000", "queued")]
    with store.read() as db:
        assert said(db.get_one(Delivery, 2).error) == "the peer does not have it (0x0112)"
    archive.failures = {}
    later(store, not_before=HOUR)
    assert [w.sop_instance_uid for w in ask()] == ["1.2.3.1.1.2"]
    assert archive.stored == ["1.2.3.1.1.1", "1.2.3.1.1.2", "1.2.3.1.1.2"]
    assert states(store) == [("confirmed", "0x0000", "done")] * 2


@pytest.mark.parametrize(("reason", "attempts", "state"), [(0x0122, 1, "rejected"), (0x0112, 300, "parked")])
def test_what_cannot_be_committed_is_parked(
    store: Store,
    archive: Archive,
    ask: Callable[[], list[commitments.Wanted]],
    reason: int,
    attempts: int,
    state: str,
) -> None:
    with store.begin() as db:
        db.get_one(Job, 2).attempts = attempts - 1
    archive.failures = {"1.2.3.1.1.2": reason}
    ask()
    assert states(store) == [("confirmed", "0x0000", "done"), (state, "0x0000", "parked")]


def test_no_answer_is_asked_again_and_a_late_one_counts(
    store: Store,
    archive: Archive,
    ask: Callable[[], list[commitments.Wanted]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commitment, "ANSWER_SECONDS", 0.1)
    archive.same_association = False
    assert len(ask()) == 2
    assert ask() == []  # it has its hour
    later(store, asked_at=HOUR)
    assert len(ask()) == 2
    first, second = archive.requests
    assert first.TransactionUID != second.TransactionUID
    assert commitments.answered(store, first) == 0
    assert states(store) == [("confirmed", "0x0000", "done")] * 2


def test_what_was_sent_long_ago_is_let_be(
    store: Store,
    archive: Archive,
    ask: Callable[[], list[commitments.Wanted]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commitment, "ANSWER_SECONDS", 0.1)
    archive.same_association = False
    ask()
    later(store, asked_at=HOUR, updated_at=timedelta(days=8))
    assert ask() == []


def test_an_archive_that_does_not_take_the_request_is_told(
    archive: Archive, ask: Callable[[], list[commitments.Wanted]]
) -> None:
    archive.status = 0x0213
    with pytest.raises(NotNowError, match=r"ARCHIVE does not take the request \(0x0213\)"):
        ask()


def test_an_archive_without_commitment_is_told(store: Store, queued: tuple[int, ...]) -> None:
    archive = Archive(commits=False)
    wanted = [commitments.Wanted(queued[0], SegmentationStorage, "1.2.3.1.1.1")]
    try:
        with pytest.raises(DestinationError, match="the peer offers no storage commitment"):
            DimseSender(destination(archive.port), "XRVNODE").check()
        with pytest.raises(DestinationError, match="accepts none of the SOP classes"):
            commitment.ask(destination(archive.port), "XRVNODE", store, wanted)
    finally:
        archive.ae.shutdown()
    with store.read() as db:
        assert db.query(Commitment).count() == 0
        assert db.get_one(Delivery, queued[0]).asked_at is None


def test_check_says_that_it_is_offered(archive: Archive) -> None:
    assert DimseSender(destination(archive.port), "XRVNODE").check()[-1] == "storage commitment: accepted"


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"TransactionUID": "9" * 64},
        {"ReferencedSOPSequence": []},
        {"ReferencedSOPSequence": [Dataset()]},
        {"FailedSOPSequence": [Dataset()]},
    ],
)
def test_an_answer_that_is_none_confirms_nothing(
    store: Store, queued: tuple[int, ...], bad: dict[str, Any]
) -> None:
    wanted = [commitments.Wanted(queued[0], SegmentationStorage, "1.2.3.1.1.1")]
    request = commitments.asked(store, "pacs", wanted)
    answer = Dataset()
    if "SOPSequence" in "".join(bad):
        answer.TransactionUID = request.TransactionUID
    for keyword, value in bad.items():
        setattr(answer, keyword, value)
    assert commitments.answered(store, answer) in (0, 0x0115)
    assert states(store) == [("waiting", None, "queued")] * 2


def test_the_courier_sends_asks_and_is_answered(
    store: Store,
    spool: Spool,
    archive: Archive,
    queued: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commitment, "LOOK_SECONDS", 0.1)
    config = tmp_path / "node.toml"
    config.write_text(
        '[[destinations]]\nname="pacs"\nkind="dimse"\nae_title="ARCHIVE"\nhost="127.0.0.1"\n'
        f"port={archive.port}\ncommitment=true\n"
    )
    stop = threading.Event()
    thread = threading.Thread(
        target=outbox.run, args=(settings.load(config), store, spool), kwargs={"owner": "t", "stop": stop}
    )
    thread.start()
    try:
        wait(lambda: [s[0] for s in states(store)] == ["confirmed"] * 2, 30, "two confirmed results")
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()

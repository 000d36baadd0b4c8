"""A destination that is away: told once when it goes and once when it comes, and then it gets what waited."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deliver_cases import deliver, service, states
from deliver_peer import Peer, destination
from ports import free_port
from serving import wait
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from xrv_node.db import queries, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Job, Study
from xrv_node.deliver.dimse import DimseSender
from xrv_node.deliver.folder import FolderSender
from xrv_node.deliver.web import WebSender
from xrv_node.jobs import commitment, outbox, presence
from xrv_node.settings import Settings
from xrv_node.settings.destinations import FolderDestination, WebDestination
from xrv_node.spool import Spool

DELIVERED = [("delivered", "0x0000", "done")] * 2
WAITING = [("waiting", None, "queued")] * 2


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Destinations that are away are asked all the time."""
    monkeypatch.setattr(presence, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(presence, "LONGEST_SECONDS", 0.05)


@contextmanager
def courier(store: Store, spool: Spool, *destinations: Any) -> Iterator[None]:
    """The outbox, in threads of this process."""
    stop = threading.Event()
    site = Settings(destinations=destinations)
    options = {"owner": "t", "stop": stop, "patient": True}
    thread = threading.Thread(target=outbox.run, args=(site, store, spool), kwargs=options)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def told(store: Store) -> list[tuple[str, int]]:
    """What the trail says of the destination, and how many results waited."""
    with store.read() as db:
        events = [e for e in queries.events(db) if e["event"].startswith("destination.")]
    assert {e["detail"]["destination"] for e in events} <= {"pacs"}
    return [(e["event"], e["detail"]["waiting"]) for e in events]


def about_it(lines: list[Any]) -> list[Any]:
    return [line for line in lines if "destination" in line]


def test_it_is_told_once_and_after_a_c_echo_everything_goes_out(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    answers = DimseSender.answers
    monkeypatch.setattr(DimseSender, "answers", lambda self: asked.append(1) or answers(self))
    peer.port = free_port()
    with capture_logs() as lines, courier(store, spool, destination(peer.port)):
        wait(lambda: len(asked) > 5, 30, "it to be asked several times")
        assert told(store) == [("destination.away", 2)]
        assert states(store) == WAITING
        with store.read() as db:
            assert db.scalars(select(Job.attempts)).all() == [1, 1]
            assert min(db.scalars(select(Job.not_before))) > datetime.now(UTC)  # and yet they go out
        (line,) = about_it(lines)
        assert (line["event"], line["log_level"], line["waiting"]) == (
            "the destination is away",
            "warning",
            2,
        )
        peer.start()
        wait(lambda: states(store) == DELIVERED, 30, "both results at the peer")
    assert peer.echoes[0] == 0  # before any object
    assert told(store) == [("destination.away", 2), ("destination.back", 2)]
    assert [line["event"] for line in about_it(lines)] == [
        "the destination is away", "the destination is back", "sent", "sent",
    ]  # fmt: skip


def test_a_courier_that_is_started_again_asks_first_and_says_nothing_twice(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...]
) -> None:
    peer.port = free_port()
    deliver(store, spool, DimseSender(destination(peer.port), "XRVNODE"))
    with store.begin() as db:
        queue.hasten(db, "pacs")
    asked = threading.Event()
    watch = presence.Watch(store, "pacs", lambda: asked.set() or False)
    assert not watch.ready()
    assert asked.is_set()
    deliver(store, spool, DimseSender(destination(peer.port), "XRVNODE"))
    assert told(store) == [("destination.away", 2)]
    peer.start()
    with courier(store, spool, destination(peer.port)):
        wait(lambda: states(store) == DELIVERED, 30, "both results at the peer")
    assert peer.echoes[0] == 0
    assert told(store) == [("destination.away", 2), ("destination.back", 2)]


def test_a_result_that_was_never_tried_is_shown_with_what_keeps_it(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...]
) -> None:
    """A study that is reported while the destination is away."""
    deliver(store, spool, DimseSender(destination(free_port()), "XRVNODE"))
    with store.begin() as db:
        last = select(func.max(Delivery.id)).scalar_subquery()
        db.execute(update(Delivery).where(Delivery.id == last).values(error=None))
    with store.read() as db:
        shown = queries.study(db, db.scalars(select(Study.study_instance_uid)).one())
    tried, waits = [delivery for result in shown["results"] for delivery in result["deliveries"]]
    assert tried["error"] is not None
    assert waits == tried


def test_it_goes_away_again_and_is_told_again(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...]
) -> None:
    for _ in range(2):
        with store.begin() as db:
            presence.gone(db, "pacs", outbox.Reason("peer-silent"))
            presence.gone(db, "pacs", outbox.Reason("peer-silent"))
        presence.returned(store, "pacs")
        presence.returned(store, "pacs")
    assert [event for event, _ in told(store)] == ["destination.away", "destination.back"] * 2
    with store.read() as db:
        assert presence.away_since(db, "pac_") is None


def test_a_destination_without_its_files_is_away(
    store: Store, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "FILES_SECONDS", 0.02)
    token = tmp_path / "token"
    with service() as made, capture_logs() as lines:
        url = f"http://127.0.0.1:{made.port}/dicom-web"
        web = WebDestination(name="pacs", kind="web", url=url, token_file=token)
        with courier(store, spool, web):
            wait(lambda: bool(told(store)), 30, "it to be away")
            token.write_text("Heron")
            wait(lambda: len(told(store)) == 2, 30, "it to be back")
    assert told(store) == [("destination.away", 0), ("destination.back", 0)]
    assert "token_file" in about_it(lines)[0]["why"]


def test_a_peer_that_is_there_and_full_is_not_away_and_fills_no_log(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...]
) -> None:
    peer.answer = 0xA700
    peer.start()
    sender = DimseSender(destination(peer.port), "XRVNODE")
    with capture_logs() as lines:
        for _ in range(3):
            deliver(store, spool, sender)
            with store.begin() as db:
                db.execute(update(Job).values(not_before=datetime.now(UTC) - timedelta(seconds=1)))
    sender.close()
    assert told(store) == []
    assert [line["event"] for line in about_it(lines)] == ["not sent"] * 2  # once each, for three tries


def test_who_refuses_us_is_there(peer: Peer) -> None:
    assert not DimseSender(destination(1), "XRVNODE").answers()
    peer.start(calling=["SOMEBODY"])
    assert DimseSender(destination(peer.port), "XRVNODE").answers()
    assert peer.echoes == []


def test_a_gateway_does_not_answer_for_its_service() -> None:
    with service() as made:
        url = f"http://127.0.0.1:{made.port}/dicom-web"
        sender = WebSender(WebDestination(name="pacs", kind="web", url=url), "XRVNODE")
        answers = {}
        for made.code in (200, 400, 401, 500, 502, 503, 504):
            answers[made.code] = sender.answers()
    assert [code for code, there in answers.items() if not there] == [502, 503, 504]
    assert not sender.answers()


def test_a_folder_that_is_not_there_is_away(store: Store, spool: Spool, tmp_path: Path, queued: Any) -> None:
    place = tmp_path / "mounted"
    place.write_text("a file where the folder should be")
    folder = FolderDestination(name="pacs", kind="folder", path=place)
    with courier(store, spool, folder):
        wait(lambda: told(store) == [("destination.away", 2)], 30, "it to be away")
        place.unlink()
        wait(lambda: [s for s, _, _ in states(store)] == ["delivered"] * 2, 30, "both results there")
    assert told(store) == [("destination.away", 2), ("destination.back", 2)]
    assert FolderSender(folder, "XRVNODE").answers()


def test_a_peer_that_cannot_be_asked_to_commit_is_told_once(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(commitment, "FAILED_SECONDS", 0.01)
    tries = []
    ask = commitment.ask
    monkeypatch.setattr(commitment, "ask", lambda *a: tries.append(1) or ask(*a))
    peer.start()
    deliver(store, spool, DimseSender(destination(peer.port), "XRVNODE"))
    stop = threading.Event()
    archive = destination(peer.port, commitment=True)  # which it does not offer
    thread = threading.Thread(target=commitment.run, args=(archive, "XRVNODE", store, stop))
    with capture_logs() as lines:
        thread.start()
        wait(lambda: len(tries) > 3, 30, "several tries")
        with store.begin() as db:
            presence.gone(db, "pacs", outbox.Reason("peer-silent"))
        known = len(tries)
        stop.wait(0.1)
        stop.set()
        thread.join(10)
    assert len(tries) <= known + 1  # one that is away is not asked
    assert len(about_it(lines)) == 1

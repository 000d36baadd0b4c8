"""The outbox: what is recorded of what a peer says."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from deliver_cases import deliver, states
from deliver_peer import Peer, destination
from made import CR
from pynetdicom import evt
from pynetdicom.events import Event
from serving import wait

from xrv_node.db import progress, queries, queue, trail, waiting
from xrv_node.db.store import Store
from xrv_node.db.tables import Job
from xrv_node.deliver.attempt import Attempt
from xrv_node.deliver.dimse import DimseSender
from xrv_node.errors import ConfigError
from xrv_node.jobs import outbox, worker
from xrv_node.settings import Settings
from xrv_node.settings.destinations import WebDestination
from xrv_node.spool import Spool
from xrv_node.values import StoredResult


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
        parked = waiting.parked_jobs(db)
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


def test_a_destination_that_waits_for_its_files_delays_no_other(
    store: Store,
    spool: Spool,
    peer: Peer,
    queued: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "FILES_SECONDS", 0.05)
    made: list[str] = []
    sender = outbox.sender

    def watched(destination: Any, calling_ae: str) -> Any:
        one = sender(destination, calling_ae)
        made.append(destination.name)
        return one

    monkeypatch.setattr(outbox, "sender", watched)
    peer.start()
    token = tmp_path / "token"
    web = WebDestination(name="web", kind="web", url="http://127.0.0.1:1/dicom-web", token_file=token)
    site = Settings(destinations=(web, destination(peer.port)))
    stop = threading.Event()
    with pytest.raises(ConfigError, match=r"destinations\.web\.token_file"):
        outbox.run(site, store, spool, owner="t", stop=stop)
    thread = threading.Thread(
        target=outbox.run, args=(site, store, spool), kwargs={"owner": "t", "stop": stop, "patient": True}
    )
    thread.start()
    try:
        wait(lambda: len(peer.received) == 2, 30, "both objects at the peer")
        assert made == ["pacs"]
        token.write_text("Heron")
        wait(lambda: made == ["pacs", "web"], 30, "the destination whose file has come")
    finally:
        stop.set()
        thread.join(10)


def test_the_association_is_held_for_the_next_study_and_then_released(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    peer.start()
    peer.ae._servers[0].bind(evt.EVT_RELEASED, lambda _event: released.set())
    monkeypatch.setattr(outbox, "HOLD_SECONDS", 2.0)
    stop = threading.Event()
    site = Settings(destinations=(destination(peer.port),))
    thread = threading.Thread(
        target=outbox.run, args=(site, store, spool), kwargs={"owner": "t", "stop": stop}
    )
    thread.start()
    try:
        wait(lambda: states(store) == [("delivered", "0x0000", "done")] * 2, 30, "both deliveries")
        stop.wait(3 * worker.IDLE_SECONDS)
        assert not released.is_set()
        with store.begin() as db:  # the next results
            for job in db.query(Job):
                job.state = "queued"
        wait(lambda: len(peer.received) == 4, 30, "four objects at the peer")
        assert peer.associations == 1
        assert released.wait(30)
    finally:
        stop.set()
        thread.join(10)


def test_a_lost_lease_leaves_what_is_recorded_beside_it(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...]
) -> None:
    peer.start()
    claims = queue.claim(store, "deliver", owner="t", limit=20, destination="pacs")
    with store.begin() as db:
        db.get_one(Job, claims[0].job_id).lease = "another's"
    sender = DimseSender(destination(peer.port), "XRVNODE")
    outbox.deliver(store, spool, "pacs", sender, claims)
    assert states(store) == [("waiting", None, "running"), ("delivered", "0x0000", "done")]


def test_what_was_sent_before_a_sender_broke_is_recorded(
    store: Store, spool: Spool, peer: Peer, queued: tuple[int, ...]
) -> None:
    class Breaks(DimseSender):
        def send(self, results: Sequence[StoredResult]) -> Iterator[Attempt]:
            yield from super().send(results[:1])
            raise RuntimeError("a fault of ours")

    peer.start()
    with pytest.raises(RuntimeError):
        deliver(store, spool, Breaks(destination(peer.port), "XRVNODE"))
    assert [s[0] for s in states(store)] == ["delivered", "waiting"]

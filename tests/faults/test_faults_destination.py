"""Destinations that are down, slow, refuse, abort, warn or are full: every result arrives, once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fault_archive import Archive
from fault_site import Rooms
from sqlalchemy import select, update

from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Job

OUT_OF_RESOURCES, COERCED = 0xA700, 0xB000


def due_again(store: Store) -> None:
    """Let the pauses of the jobs that wait be over."""
    with store.begin() as db:
        db.execute(update(Job).where(Job.state == "queued").values(not_before=datetime.now(UTC)))


def deliveries(store: Store) -> list[tuple[str, str | None, int]]:
    """State, last status and attempts of each."""
    with store.read() as db:
        rows = select(Delivery.state, Delivery.status, Job.attempts).join(Job, Job.delivery_id == Delivery.id)
        return [
            (state, status, attempts) for state, status, attempts in db.execute(rows.order_by(Delivery.id))
        ]


@pytest.fixture
def reported(rooms: Rooms) -> Rooms:
    """A site with two studies whose four results wait in the outbox."""
    rooms.receive(1, 2)
    rooms.close_studies()
    rooms.work("analyse", "report")
    return rooms


def test_down_and_up_again(reported: Rooms) -> None:
    reported.archive.stop()
    for attempts in (1, 2):
        reported.work("deliver")
        assert deliveries(reported.store) == [("waiting", None, attempts)] * 4
        due_again(reported.store)
    assert len(reported.broken()) > 4  # a result that waits is not one that arrived
    reported.archive.start()
    reported.work("deliver")
    assert deliveries(reported.store) == [("delivered", "0x0000", 3)] * 4
    assert reported.broken() == []


def test_full_for_a_while(reported: Rooms) -> None:
    reported.archive.statuses = [OUT_OF_RESOURCES] * 6
    for _ in range(3):
        reported.work("deliver")
        due_again(reported.store)
    assert sorted(deliveries(reported.store)) == [("delivered", "0x0000", n) for n in (2, 2, 3, 3)]
    assert reported.archive.asked == 10
    assert reported.broken() == []


def test_aborts_in_the_middle(reported: Rooms) -> None:
    reported.archive.aborts = 2
    reported.work("deliver")
    assert sorted(s for s, _, _ in deliveries(reported.store)) == ["delivered"] * 2 + ["waiting"] * 2
    due_again(reported.store)
    reported.work("deliver")
    assert reported.broken() == []


def test_goes_down_between_two_objects(reported: Rooms) -> None:
    reported.archive.seconds = 0.05
    reported.work("deliver")
    reported.receive(3)
    reported.close_studies()
    reported.work("analyse", "report")
    reported.archive.stop()  # with the association that the node holds
    reported.work("deliver")
    reported.archive.start()
    due_again(reported.store)
    reported.work("deliver")
    assert reported.broken() == []


def test_stores_with_a_warning(reported: Rooms) -> None:
    reported.archive.statuses = [COERCED] * 4
    reported.work("deliver")
    assert deliveries(reported.store) == [("warning", "0xB000", 1)] * 4
    assert reported.broken() == []


def test_does_not_know_us_until_somebody_adds_us(reported: Rooms) -> None:
    reported.archive.stop()
    reported.archive.start(calling=("SOMEBODY",))
    reported.work("deliver")
    assert [state for state, _, _ in deliveries(reported.store)] == ["rejected"] * 4
    reported.archive.stop()
    reported.archive.start()
    reported.retry_parked()
    reported.work("deliver")
    assert reported.broken() == []


def test_answers_after_the_lease_ran_out(reported: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow peer: the heartbeat keeps the lease, so nobody else sends the same meanwhile."""
    monkeypatch.setattr("xrv_node.db.queue.LEASE_SECONDS", 0.5)
    reported.archive.seconds = 0.4  # four objects take three times the lease
    reported.work("deliver")
    assert deliveries(reported.store) == [("delivered", "0x0000", 1)] * 4
    assert reported.broken() == []


def test_the_courier_dies_after_the_answer(
    reported: Rooms, monkeypatch: pytest.MonkeyPatch, archive: Archive
) -> None:
    """The object is sent again under the same UID and with the same bytes: the archive has it once."""

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("xrv_node.jobs.outbox._record", dies)
        with pytest.raises(KeyboardInterrupt):
            reported.work("deliver")
    sent = len(archive.held)
    assert sent
    reported.recover()
    reported.work("deliver")
    assert len(archive.held) == 4 + sent
    assert len(set(archive.held)) == 4
    assert reported.broken(killed=True) == []

"""What repeats is two rows of the trail a minute, and nothing of the count is lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from serving import wait

from xrv_node.db import queries, repeats, trail
from xrv_node.db.repeats import Repeats
from xrv_node.db.store import Store
from xrv_node.reasons import Reason

CALLER = Reason("caller-not-let-in", calling="A")


def rows(store: Store) -> list[dict[str, Any]]:
    """The details of what is on record, the oldest first."""
    with store.read() as db:
        assert isinstance(trail.verify(db), int)
        return [event["detail"] for event in queries.events(db)]


def test_the_first_is_on_record_at_once_and_the_others_as_a_count(store: Store) -> None:
    made = Repeats(store)
    threads = [
        threading.Thread(
            target=lambda n=n: [
                made.record("x.refused", peer="10.0.0.1", key=CALLER, instance=f"1.{n}", a=n)
                for _ in range(100)
            ]
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = rows(store)
    made.flush()
    _, count = rows(store)
    assert count["repeated"] == 399
    assert len(count["instances"]) == repeats.MOST_INSTANCES
    assert count["a"] == first["a"]
    made.flush()
    assert len(rows(store)) == 2


def test_kinds_are_told_apart_by_event_peer_and_reason_alone(store: Store) -> None:
    made = Repeats(store)
    for event, peer, reason in (
        ("x", "10.0.0.1", CALLER),
        ("y", "10.0.0.1", CALLER),
        ("x", "10.0.0.2", CALLER),
        ("x", "10.0.0.1", Reason("caller-without-title")),
    ):
        assert made.record(event, peer=peer, key=reason)
    assert not made.record("x", peer="10.0.0.1", key=Reason("caller-not-let-in", calling="B"))
    assert len(rows(store)) == 4


def test_kinds_without_end_become_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST_KINDS", 3)
    made = Repeats(store)
    first = [made.record("x", peer=f"10.0.0.{n}", key=CALLER) for n in range(20)]
    assert first == [True] * 4 + [False] * 16
    made.flush()
    assert [row.get("repeated") for row in rows(store)] == [None] * 4 + [16]


def test_the_count_comes_when_the_minute_is_over_and_the_next_one_begins(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(repeats, "SECONDS", 0.1)  # for so long the sweeper sleeps, until the clock says more
    monkeypatch.setattr(repeats, "monotonic", lambda: now[0])
    made = Repeats(store)
    assert [made.record("x", peer="10.0.0.1", key=CALLER) for _ in range(3)] == [True, False, False]
    now[0] = 1.0
    wait(lambda: len(rows(store)) == 2, 10, "the count on record", advances=lambda: len(rows(store)))
    assert made.record("x", peer="10.0.0.1", key=CALLER)
    assert [row.get("repeated") for row in rows(store)] == [None, 2, None]


def test_a_database_that_is_away_for_a_moment_ends_no_counting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Repeats(store)
    with monkeypatch.context() as patched:
        patched.setattr(trail, "record", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made.record("x", peer="10.0.0.1", key=CALLER)
    assert not made.record("x", peer="10.0.0.1", key=CALLER)
    made.flush()
    assert [row["repeated"] for row in rows(store)] == [1]

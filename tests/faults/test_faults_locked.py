"""Another process holds the database's write lock: nothing is acknowledged that is not on record."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

import pytest
from fault_site import Rooms

from xrv_node.db import store as audit_store
from xrv_node.db.store import Store
from xrv_node.errors import RefusedError
from xrv_node.jobs import worker

PATIENCE = 0.5
"""Seconds, in place of `store.BUSY_SECONDS`."""


@contextmanager
def locked(store: Store, seconds: float) -> Iterator[None]:
    """Hold the write lock from a connection of another program for so long."""
    other = sqlite3.connect(store.engine.url.database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = Timer(seconds, other.execute, ["ROLLBACK"])
    timer.start()
    try:
        yield
    finally:
        timer.join()
        other.close()


def finish(rooms: Rooms) -> list[str]:
    rooms.close_studies()
    rooms.work()
    return rooms.broken()


def test_a_short_lock_is_waited_for(rooms: Rooms) -> None:
    with locked(rooms.store, 2):
        rooms.receive(1)
    with locked(rooms.store, 2):
        rooms.work("analyse")
    assert finish(rooms) == []


def test_a_lock_beyond_patience_acknowledges_nothing_and_stops_nobody(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_store, "BUSY_SECONDS", PATIENCE)
    url = rooms.store.engine.url.render_as_string()
    rooms.receive(1)
    rooms.store = Store(url)
    with locked(rooms.store, 4 * PATIENCE), pytest.raises(RefusedError, match="lock") as refused:
        rooms.receive(2)
    assert refused.value.status == 0xA700  # the sender keeps it and tries again
    assert "1.2.3.2.1.1" not in rooms.acknowledged
    monkeypatch.setattr(worker, "QUEUE_SECONDS", 0.1)
    with locked(rooms.store, 4 * PATIENCE):
        rooms.work("analyse")  # asks again until the queue answers
    rooms.receive(2)  # the sender tries again
    assert finish(rooms) == []
    rooms.store.close()

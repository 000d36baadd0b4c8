"""What is on disk before an object counts: the file before its row, and no row without its file."""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from made import encoded, incoming, radiograph
from sqlalchemy import func, select

from xrv_node import durable
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AuditEvent, Instance, Job
from xrv_node.errors import RefusedError
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool

RULES = FrontalSection()


def rows(store: Store) -> list[int]:
    with store.read() as db:
        return [db.scalar(select(func.count()).select_from(t)) or 0 for t in (Instance, Job, AuditEvent)]


def files(spool: Spool) -> list[bytes]:
    return [p.read_bytes() for p in (spool.root / "spool").rglob("*") if p.is_file()]


def test_no_row_is_seen_before_the_disk_has_its_file(
    store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go = threading.Event(), threading.Event()
    sync = os.fsync

    def slow(handle: int) -> None:
        reached.set()
        assert go.wait(30)
        sync(handle)

    monkeypatch.setattr(durable.os, "fsync", slow)
    with ThreadPoolExecutor(1) as sender:
        answer = sender.submit(intake.accept, store, spool, RULES, incoming(radiograph()))
        assert reached.wait(30)
        assert rows(store) == [0, 0, 0]
        assert not answer.done()
        go.set()
        assert answer.result(30).outcome == "stored"
    assert rows(store) == [1, 1, 1]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_what_the_disk_does_not_take_leaves_neither_file_nor_row(
    store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def broken(_handle: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(durable.os, "fsync", broken)
        with pytest.raises(OSError if code == errno.EIO else RefusedError):
            intake.accept(store, spool, RULES, incoming(radiograph()))
        assert rows(store) == [0, 0, 0]
        assert files(spool) == []
    assert intake.accept(store, spool, RULES, incoming(radiograph())).outcome == "stored"
    with store.read() as db:
        assert trail.verify(db) == 1


def test_one_object_that_cannot_be_synced_takes_none_along(
    store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [radiograph(number) for number in range(1, 7)]
    sizes = {len(encoded(o)) for o in objects}
    assert len(sizes) == 1
    unlucky = radiograph(7, PatientComments="x" * 1024)  # longer: that is how its file is known
    sync = os.fsync

    def broken(handle: int) -> None:
        if os.fstat(handle).st_size > len(encoded(unlucky)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(handle)

    monkeypatch.setattr(durable.os, "fsync", broken)
    with ThreadPoolExecutor(7) as senders:
        answers = [
            senders.submit(intake.accept, store, spool, RULES, incoming(o)) for o in (*objects, unlucky)
        ]
        results = [a.exception(60) for a in answers]
    assert [type(r) for r in results] == [type(None)] * 6 + [OSError]
    assert rows(store) == [6, 6, 6]
    assert len(files(spool)) == 6

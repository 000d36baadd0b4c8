"""A job that finds no room waits for it, and loses no attempt."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from analysed import Networks, image, settings
from made import incoming
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from worded import said

from xrv_node import disk, durable
from xrv_node.db import progress, queries, queue
from xrv_node.db.queue import Claim
from xrv_node.db.store import Store, no_room
from xrv_node.db.tables import Job, Study
from xrv_node.jobs import analyse, report, worker
from xrv_node.reasons import as_is
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def due(store: Store) -> None:
    with store.begin() as db:
        db.execute(update(Job).values(not_before=datetime.now(UTC) - timedelta(seconds=1)))


def jobs(store: Store) -> list[tuple[str, str, int, str | None]]:
    with store.read() as db:
        return [
            (j.kind, j.state, j.attempts, j.error and said(j.error))
            for j in db.scalars(select(Job).order_by(Job.id))
        ]


@pytest.fixture
def handlers(store: Store, spool: Spool) -> list[worker.Handler]:
    networks = Networks()

    def reported(claims: Sequence[Claim]) -> None:
        report.run(settings(), store, spool, networks.model_set, claims)

    return [
        worker.Handler("report", reported),
        worker.Handler("analyse", lambda c: analyse.run(store, spool, networks, c)),
    ]


def work(store: Store, handlers: list[worker.Handler]) -> None:
    """One round of a worker, if something is due."""
    found = worker._next(store, handlers, "t")
    assert found is not None
    worker._run(store, *found, threading.Event())


def test_analysis_and_report_wait_out_a_full_disk(
    store: Store, spool: Spool, handlers: list[worker.Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.accept(store, spool, FrontalSection(), incoming(image(1)))
    waiting = "the disk of node.data_dir is full"
    for kind in ("analyse", "report"):
        with monkeypatch.context() as patched:
            patched.setattr(durable, "write", full)
            for _ in range(queue.POLICIES[kind].max_attempts + 2):
                work(store, handlers)
                assert jobs(store)[-1] == (kind, "queued", 0, waiting)
                due(store)
        work(store, handlers)
        if kind == "analyse":
            with store.begin() as db:
                progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))
    assert [(k, s, a) for k, s, a, _ in jobs(store)] == [
        ("analyse", "done", 1),
        ("report", "done", 1),
        ("deliver", "queued", 0),
    ]
    with store.read() as db:
        postponed = [said(e["detail"]["error"]) for e in queries.events(db, event="job.postponed")]
    assert set(postponed) == {waiting}


def test_the_last_attempt_is_not_lost_either(store: Store, spool: Spool) -> None:
    intake.accept(store, spool, FrontalSection(), incoming(image(1)))
    with store.begin() as db:
        db.execute(update(Job).values(attempts=4))
    (claim,) = queue.claim(store, "analyse", owner="t")
    assert claim.attempts == claim.max_attempts
    with store.begin() as db:
        progress.failed(db, claim, as_is("full"), final=False, blameless=True)
    assert jobs(store) == [("analyse", "queued", 4, "full")]


def test_a_worker_waits_until_it_can_say_so(
    store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database has no room either, for a while."""
    intake.accept(store, spool, FrontalSection(), incoming(image(1)))
    monkeypatch.setattr(worker, "NO_ROOM_SECONDS", 0.01)
    failed, tries = progress.failed, []

    def no_room_at_first(*arguments: Any, **options: Any) -> None:
        tries.append(options)
        if len(tries) < 4:
            raise _sqlite_full()
        failed(*arguments, **options)

    monkeypatch.setattr(progress, "failed", no_room_at_first)
    work(store, [worker.Handler("analyse", full)])
    assert tries == [{"final": False, "blameless": True}] * 4
    assert jobs(store) == [("analyse", "queued", 0, "the disk of node.data_dir is full")]


def _sqlite_full() -> OperationalError:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    return OperationalError("INSERT", {}, full)


class DiskFull(Exception):
    """As psycopg has it."""

    sqlstate = "53100"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "x"), "the disk of node.data_dir is full"),
        (OSError(errno.EDQUOT, "x"), "the disk of node.data_dir is full"),
        (_sqlite_full(), "the disk of the database is full"),
        (OperationalError("INSERT", {}, DiskFull()), "the disk of the database is full"),
        (OSError(errno.EIO, "x"), None),
        (OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked")), None),
        (ValueError("x"), None),
    ],
)
def test_a_full_disk_is_told_from_other_faults(error: Exception, told: str | None) -> None:
    assert said(no_room(error)) == (told or "")


def test_analyses_and_results_leave_the_database_its_room(
    store: Store, spool: Spool, handlers: list[worker.Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.accept(store, spool, FrontalSection(), incoming(image(1)))
    usage = shutil.disk_usage(spool.root)
    for kind in ("analyse", "report"):
        with monkeypatch.context() as patched:
            patched.setattr(disk, "RESERVE", usage.total)
            patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=usage.total // 21))
            work(store, handlers)
        assert jobs(store)[-1] == (kind, "queued", 0, "the disk of node.data_dir is full")
        due(store)
        work(store, handlers)
        if kind == "analyse":
            with store.begin() as db:
                progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))
    assert [(k, s) for k, s, _, _ in jobs(store)][:2] == [("analyse", "done"), ("report", "done")]

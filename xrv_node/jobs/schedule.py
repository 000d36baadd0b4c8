"""What happens by the clock: studies fall quiet, jobs outlive their workers, files their time, disks fill."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep, time
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import select, update

from xrv_node import disk
from xrv_node.constancy import record
from xrv_node.db import progress
from xrv_node.db.store import Store
from xrv_node.db.tables import Study, StudyState
from xrv_node.reasons import Reason
from xrv_node.retention import events, orphans, purge
from xrv_node.settings import Settings
from xrv_node.spool import Spool

log = structlog.get_logger("schedule")

SETTLED_SECONDS = 120
"""After a start, for a worker to load its networks, before a phantom is sent."""
TESTED_LATE_SECONDS = 30
"""How late the phantom of the day may be."""
CLOCK_SECONDS = 5.0
"""Between two looks at whether the clock was put back, and how far back is worth a word."""


def start(settings: Settings, store: Store, spool: Spool, stop: threading.Event) -> BackgroundScheduler:
    """Run the clock's work in threads of this process.

    Parameters
    ----------
    stop
        Ends what takes long; ``shutdown()`` ends all of it.
    """
    quiet_seconds = settings.study.quiet_seconds
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1})
    # A study is closed at most a tenth of its quiet period late, and never by more than five seconds.
    every = min(max(quiet_seconds / 10, 0.2), 5)
    scheduler.add_job(_safely, "interval", (close_quiet, store, quiet_seconds), seconds=every)
    scheduler.add_job(_safely, "interval", (park_abandoned, store), seconds=10)
    scheduler.add_job(_safely, "interval", (mind_the_disk, settings, store, spool), seconds=10)
    soon = datetime.now(UTC) + timedelta(minutes=5)  # also where it never runs for an hour
    for hourly in (
        (purge.expire, settings, store, spool),
        (events.expire, settings, store),
        (orphans.sweep, store, spool),
    ):
        scheduler.add_job(_safely, "interval", hourly, hours=1, next_run_time=soon)
    if settings.constancy.time is not None:
        settled = datetime.now(UTC) + timedelta(seconds=SETTLED_SECONDS)
        test = (test_when_due, settings, store, spool, stop)
        scheduler.add_job(_safely, "interval", test, seconds=TESTED_LATE_SECONDS, next_run_time=settled)
    scheduler.start()
    threading.Thread(target=_follow_the_clock, args=(scheduler,), name="clock", daemon=True).start()
    return scheduler


def test_when_due(settings: Settings, store: Store, spool: Spool, stop: threading.Event) -> int:
    """Send the phantom of the day, where its time has come and none was sent since; returns how many things
    are amiss."""
    at = settings.constancy.time
    with store.read() as db:
        if at is None or not record.is_due(db, at):
            return 0
    from xrv_node.constancy import check

    if (outcome := check.run(settings, store, spool, stop)) is None:
        return 0
    if outcome.good:
        log.info("constancy: all as before", study=outcome.study)
    for why in outcome.amiss:
        log.error("constancy: not as before", study=outcome.study, why=str(why))
    return len(outcome.amiss)


def _follow_the_clock(scheduler: BackgroundScheduler) -> None:
    """Have everything done now after the clock was put back: APScheduler goes by the clock on the wall, and
    would do nothing until it is as late again as it was."""
    offset = time() - monotonic()
    while scheduler.running:
        sleep(CLOCK_SECONDS)
        before, offset = offset, time() - monotonic()
        if offset < before - CLOCK_SECONDS:
            log.warning("the clock was put back", seconds=round(before - offset))
            for job in scheduler.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))


def close_quiet(store: Store, quiet_seconds: float) -> int:
    """Close the studies to which nothing came for `quiet_seconds`; returns how many."""
    now, period = datetime.now(UTC), timedelta(seconds=quiet_seconds)
    quiet = (
        select(Study)
        .where(Study.state == StudyState.OPEN, Study.received_at <= now - period)
        .order_by(Study.received_at)
    )
    # Received in the future: the clock was put back since. The quiet period begins anew, not after an hour.
    ahead = Study.state == StudyState.OPEN, Study.received_at > now + period
    with store.read() as db:
        if db.scalar(select(Study.id).where(*ahead).limit(1)) is not None:
            with store.begin() as writing:
                writing.execute(update(Study).where(*ahead).values(received_at=now))
        if db.scalar(quiet.limit(1)) is None:
            return 0
    with store.begin() as db:
        studies = db.scalars(quiet.with_for_update(skip_locked=True)).all()
        for study in studies:
            progress.close_study(db, study, Reason("quiet", seconds=f"{quiet_seconds:g}"))
    return len(studies)


def park_abandoned(store: Store) -> int:
    """Park the jobs that no worker survived; returns how many."""
    with store.begin() as db:
        return progress.park_abandoned(db)


def mind_the_disk(settings: Settings, store: Store, spool: Spool) -> int:
    """Notice that the disk fills or has room again, whoever sends or does not; where it fills, purge what has
    expired at once; returns how many studies were purged."""
    return purge.expire(settings, store, spool) if disk.look(settings, store) else 0


def _safely(action: Callable[..., int], *arguments: Any) -> None:
    """Run one of the above; a database that is busy now answers the next time."""
    try:
        action(*arguments)
    except Exception:
        log.exception("scheduled work failed; it is tried again", action=action.__name__)

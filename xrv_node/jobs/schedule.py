"""What happens by the clock: studies fall quiet, jobs outlive their workers, files their time, disks fill."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from time import monotonic, sleep, time
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import select, update

from xrv_node import disk
from xrv_node.db import progress
from xrv_node.db.store import Store
from xrv_node.db.tables import Study, StudyState
from xrv_node.reasons import Reason
from xrv_node.retention import events, orphans, purge
from xrv_node.settings import Settings
from xrv_node.spool import Spool

log = structlog.get_logger("schedule")

SETTLED_SECONDS = 120
"""After a start, for a worker to load its networks, before a phantom is sent that should have been sent
before."""
TESTED_LATE_SECONDS = 3600
"""How late the phantom of the day may be: a busy machine does not skip it."""
CLOCK_SECONDS = 5.0
"""Between two looks at whether the clock was put back, and how far back is worth a word."""


def start(settings: Settings, store: Store, spool: Spool) -> BackgroundScheduler:
    """Run the clock's work in threads of this process; ``shutdown()`` ends it."""
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
    if (at := settings.constancy.time) is not None:
        _test_daily(scheduler, at, settings, store, spool)
    scheduler.start()
    threading.Thread(target=_follow_the_clock, args=(scheduler,), name="clock", daemon=True).start()
    return scheduler


def _test_daily(
    scheduler: BackgroundScheduler, at: time_of_day, settings: Settings, store: Store, spool: Spool
) -> None:
    """Send a phantom a day at the same time of the machine's day, and soon after the start where none was
    sent for a day."""
    from xrv_node.constancy import check, record

    test = (check.run, settings, store, spool)
    local = CronTrigger(hour=at.hour, minute=at.minute)  # in the machine's time zone, not in the scheduler's
    scheduler.add_job(_safely, local, test, misfire_grace_time=TESTED_LATE_SECONDS)
    with store.read() as db:
        if record.is_due(db):
            soon = datetime.now(UTC) + timedelta(seconds=SETTLED_SECONDS)
            scheduler.add_job(_safely, "date", test, run_date=soon)


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

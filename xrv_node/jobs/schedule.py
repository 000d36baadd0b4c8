"""What happens by the clock: studies fall quiet, jobs outlive their workers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import select

from xrv_node.audit.store import Store
from xrv_node.audit.tables import Study, StudyState
from xrv_node.jobs import progress

log = structlog.get_logger("schedule")


def start(store: Store, quiet_seconds: float) -> BackgroundScheduler:
    """Run the clock's work in threads of this process; ``shutdown()`` ends it."""
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1})
    # A study is closed at most a tenth of its quiet period late, and never by more than five seconds.
    every = min(max(quiet_seconds / 10, 0.2), 5)
    scheduler.add_job(_safely, "interval", (close_quiet, store, quiet_seconds), seconds=every)
    scheduler.add_job(_safely, "interval", (park_abandoned, store), seconds=10)
    scheduler.start()
    return scheduler


def close_quiet(store: Store, quiet_seconds: float) -> int:
    """Close the studies to which nothing came for `quiet_seconds`; returns how many."""
    before = datetime.now(UTC) - timedelta(seconds=quiet_seconds)
    quiet = (
        select(Study)
        .where(Study.state == StudyState.OPEN, Study.received_at <= before)
        .order_by(Study.received_at)
    )
    with store.read() as db:
        if db.scalar(quiet.limit(1)) is None:
            return 0
    with store.begin() as db:
        studies = db.scalars(quiet.with_for_update(skip_locked=True)).all()
        for study in studies:
            progress.close_study(db, study, f"quiet for {quiet_seconds:g} s")
    return len(studies)


def park_abandoned(store: Store) -> int:
    """Park the jobs that no worker survived; returns how many."""
    with store.begin() as db:
        return progress.park_abandoned(db)


def _safely(action: Callable[..., int], *arguments: Any) -> None:
    """Run one of the above; a database that is busy now answers the next time."""
    try:
        action(*arguments)
    except Exception:
        log.exception("scheduled work failed; it is tried again", action=action.__name__)

"""The trail's oldest events go to files when their days are over.

The file is on disk before the rows go: killed in between, the next run writes it again. The rows go in the
transaction that records it (`trail.forget`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import durable
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AuditEvent, AuditHead, AuditSent
from xrv_node.settings import Settings

log = structlog.get_logger("retention")

DIRECTORY = "audit"
"""Where the files are, below the data directory. The node never removes one."""

MOST = 10_000
"""Events in one file and one transaction, some five megabytes."""


def expire(settings: Settings, store: Store) -> int:
    """Move the events that are older than ``retention.audit_days`` out of the database; returns how many.

    Whole days (UTC) go, so that there is one file a day, of `MOST` events at most, and not one an hour.
    """
    days, moved = settings.retention.audit_days, 0
    if not days:
        return 0
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with store.read() as db:
        newest = db.scalars(select(AuditHead.count)).one()  # not those that are appended here
    while count := _move(settings, store, midnight - timedelta(days=days), newest):
        moved += count
        log.info("events moved out of the database", events=moved)
    return moved


def _move(settings: Settings, store: Store, before: datetime, newest: int) -> int:
    with store.read() as db:
        newest = min(newest, _sent(db, settings, newest))
        rows = [row for row in _older(db, before) if row.id <= newest]
    if not rows:
        return 0
    first, last = rows[0].id, rows[-1].id
    data = "".join(_line(row) for row in rows).encode()
    file = settings.data_dir / DIRECTORY / f"events-{first}-{last}.jsonl"
    durable.write(file, [data])
    with store.begin() as db:
        if db.scalars(select(AuditHead.removed).with_for_update()).one() != first - 1:
            return 0  # another process was first
        trail.forget(
            db,
            last,
            first=first,
            file=f"{DIRECTORY}/{file.name}",
            sha256=hashlib.sha256(data).hexdigest(),
            days=settings.retention.audit_days,
        )
    return len(rows)


def _sent(db: Session, settings: Settings, newest: int) -> int:
    """The last event that may go: what the audit repository does not have yet stays."""
    if not settings.audit.host:
        return newest
    sent = select(AuditSent.event).where(AuditSent.repository == settings.audit.repository)
    return db.scalar(sent) or 0


def _older(db: Session, before: datetime) -> Sequence[AuditEvent]:
    """The first events up to the first that is younger; none from the first on that does not fit the chain:
    what somebody changed is evidence."""
    removed, previous = db.execute(select(AuditHead.removed, AuditHead.removed_hash)).one()
    oldest = select(AuditEvent).where(AuditEvent.id > removed).order_by(AuditEvent.id).limit(MOST)
    rows: list[AuditEvent] = []
    for number, row in enumerate(db.scalars(oldest), removed + 1):
        if row.at >= before.isoformat(timespec="microseconds"):
            break
        if row.id != number or row.hash != trail.follows(previous, row):
            log.error("the trail is broken: its rows are kept from here on", row=number)
            break
        rows.append(row)
        previous = row.hash
    return rows


def _line(row: AuditEvent) -> str:
    """As ``audit export`` writes it; `detail` was canonical JSON, so that its hash can be checked."""
    fields = {
        "id": row.id,
        "at": row.at,
        "event": row.event,
        "study": row.study_instance_uid,
        "instance": row.sop_instance_uid,
        "detail": json.loads(row.detail),
        "hash": row.hash,
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"

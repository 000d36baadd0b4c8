"""The audit trail: append-only, each row hashed together with the one before it.

A changed row breaks the chain from there on, a missing row leaves a gap, and rows missing at the end
disagree with ``audit_head``. The database refuses UPDATE and DELETE on the table (migration 0001).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from xrv_node.audit.tables import AuditEvent, AuditHead

GENESIS = "0" * 64
"""Stands for the hash before the first row."""

_HEAD = select(AuditHead.count, AuditHead.hash).with_for_update()
_APPEND, _MOVE = insert(AuditEvent), update(AuditHead)
_HASHED = ("id", "at", "event", "study_instance_uid", "sop_instance_uid", "detail")
"""Columns of a row that its hash covers, after the hash of the row before."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place where the chain does not hold."""

    row: int
    why: str


def record(
    session: Session,
    event: str,
    *,
    study: str | None = None,
    instance: str | None = None,
    **detail: Any,
) -> None:
    """Append one event, in the caller's transaction: it is on record exactly when the change is.

    Parameters
    ----------
    event
        What happened, e.g. ``instance.received``.
    study, instance
        Study and SOP Instance UID that it happened to.
    detail
        JSON values. Never patient data.
    """
    # Not through the session's unit of work: this runs for every object that comes in.
    connection = session.connection()
    count, previous = connection.execute(_HEAD).one()
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    text = json.dumps(detail, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    fields = (count + 1, at, event, study, instance, text)
    digest = _digest(previous, *fields)
    connection.execute(_APPEND, dict(zip(_HASHED, fields, strict=True)) | {"hash": digest})
    connection.execute(_MOVE, {"count": count + 1, "hash": digest})
    session.flush()


def verify(session: Session, last: int | None = None) -> Broken | int:
    """Walk the chain.

    Parameters
    ----------
    last
        Only so many rows at the end, taking the hash of the row before them as it is; None: all.

    Returns
    -------
    Broken or int
        The first row that does not fit, or the number of rows that there are when all do.
    """
    previous, count = _start(session, last)
    for row in _rows(session, after=count):
        count += 1
        if row.id != count:
            return Broken(count, f"row {count} is missing")
        if row.hash != _digest(previous, *(getattr(row, name) for name in _HASHED)):
            return Broken(row.id, f"row {row.id} was changed")
        previous = row.hash
    head = session.scalars(select(AuditHead)).one()
    if (head.count, head.hash) != (count, previous):
        return Broken(count + 1, f"{head.count - count} rows are missing at the end")
    return count


def _start(session: Session, last: int | None) -> tuple[str, int]:
    """Hash and number of the row before the first one to look at."""
    newest = session.scalar(select(func.max(AuditEvent.id))) or 0
    if last is None or last >= newest:
        return GENESIS, 0
    before = session.get(AuditEvent, newest - last)
    return (GENESIS if before is None else before.hash), newest - last


def _rows(session: Session, after: int) -> Iterator[AuditEvent]:
    rows = select(AuditEvent).where(AuditEvent.id > after).order_by(AuditEvent.id)
    return iter(session.scalars(rows.execution_options(yield_per=1000)))


def _digest(previous: str, *fields: Any) -> str:
    return hashlib.sha256(json.dumps([previous, *fields], ensure_ascii=False).encode()).hexdigest()

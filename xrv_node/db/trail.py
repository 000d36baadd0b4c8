"""The audit trail: append-only, each row hashed together with the one before it.

A changed row breaks the chain from there on, a missing row leaves a gap, and rows missing at the end
disagree with ``audit_head``. The database refuses UPDATE and DELETE on the table, and INSERT but behind the
last row (migrations 0001, 0004, 0006), except for what retention removes from the beginning (:func:`forget`):
a row of the chain that is left says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from xrv_node.db.tables import AuditEvent, AuditHead, Study
from xrv_node.reasons import Reason, plain

GENESIS = "0" * 64
"""Stands for the hash before the first row."""

FORGOTTEN = "audit.removed"
"""The event that says where the chain begins."""

_HEAD = select(AuditHead.count, AuditHead.hash).with_for_update()
_APPEND, _MOVE = insert(AuditEvent), update(AuditHead)
_HASHED = ("id", "at", "event", "study_instance_uid", "sop_instance_uid", "detail")
"""Columns of a row that its hash covers, after the hash of the row before."""

_asked_by: ContextVar[str | None] = ContextVar("asked_by", default=None)


@contextmanager
def asked_by(person: str) -> Iterator[None]:
    """Within this, every event names the person who asked for it, so that no command can forget to.

    Parameters
    ----------
    person
        As `person.operator` has it.
    """
    token = _asked_by.set(person)
    try:
        yield
    finally:
        _asked_by.reset(token)


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
        JSON values and reasons. Never patient data.
    """
    if (person := _asked_by.get()) is not None:
        detail = {"by": person} | detail
    # Not through the session's unit of work: this runs for every object that comes in.
    connection = session.connection()
    count, previous = connection.execute(_HEAD).one()
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    text = json.dumps(detail, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)
    fields = (count + 1, at, event, study, instance, text)
    digest = _digest(previous, *fields)
    connection.execute(_APPEND, dict(zip(_HASHED, fields, strict=True)) | {"hash": digest})
    connection.execute(_MOVE, {"count": count + 1, "hash": digest})
    session.flush()


def _plain(value: Any) -> Any:
    return plain(value) if isinstance(value, Reason) else str(value)


def forget(session: Session, through: int, **detail: Any) -> None:
    """Remove the rows up to number `through`, in the caller's transaction.

    The hash of the last of them stays as a checkpoint, in ``audit_head``, where the chain goes on from it and
    up to which the database lets rows go, and in the event that is appended here, which seals it: nobody can
    move the one without the other, nor change the other without breaking the chain.

    Parameters
    ----------
    detail
        For that event: where the rows are kept now.
    """
    digest = session.scalars(select(AuditEvent.hash).where(AuditEvent.id == through)).one()
    session.execute(update(AuditHead).values(removed=through, removed_hash=digest))
    session.execute(delete(AuditEvent).where(AuditEvent.id <= through))
    record(session, FORGOTTEN, through=through, hash=digest, **detail)


def beginning(session: Session) -> dict[str, Any] | None:
    """What the newest event of :func:`forget` says of the rows that are gone; None while all are there."""
    newest = select(AuditEvent.detail).where(AuditEvent.event == FORGOTTEN).order_by(AuditEvent.id.desc())
    detail = session.scalar(newest.limit(1))
    return None if detail is None else dict(json.loads(detail))


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
        if row.hash != follows(previous, row):
            return Broken(row.id, f"row {row.id} was changed")
        previous = row.hash
    ends = select(AuditHead.count, AuditHead.hash, AuditHead.removed, AuditHead.removed_hash)
    head, newest, removed, checkpoint = session.execute(ends).one()
    if (head, newest) != (count, previous):
        return Broken(count + 1, f"{head - count} rows are missing at the end")
    if head == 0 and session.scalar(select(Study.id).limit(1)) is not None:
        return Broken(1, "it is empty, and there are studies, which none begins without an event")
    seal = beginning(session) or {"through": 0, "hash": GENESIS}
    if (seal["through"], seal["hash"]) != (removed, checkpoint):
        return Broken(removed + 1, f"it begins at row {removed + 1}, and no row says that it should")
    return int(count - removed)


def newest(session: Session) -> str:
    """Return the hash of the newest event: whoever has written it down finds a trail that was put back."""
    return session.execute(select(AuditHead.hash)).scalar_one()


def holds(session: Session, digest: str) -> bool:
    """Whether an event with this hash is in the trail, or is the last of those that retention has removed."""
    there = select(AuditEvent.id).where(AuditEvent.hash == digest)
    checkpoint = select(AuditHead.id).where(AuditHead.removed_hash == digest)
    return any(session.scalar(one.limit(1)) is not None for one in (there, checkpoint))


def follows(previous: str, row: AuditEvent) -> str:
    """The hash that a row must have after one whose hash is `previous`."""
    return _digest(previous, *(getattr(row, name) for name in _HASHED))


def _start(session: Session, last: int | None) -> tuple[str, int]:
    """Hash and number of the row before the first one to look at."""
    removed, checkpoint = session.execute(select(AuditHead.removed, AuditHead.removed_hash)).one()
    newest = session.scalar(select(func.max(AuditEvent.id))) or 0
    if last is None or newest - last <= removed:
        return checkpoint, removed
    before = session.get(AuditEvent, newest - last)
    return (GENESIS if before is None else before.hash), newest - last


def _rows(session: Session, after: int) -> Iterator[AuditEvent]:
    rows = select(AuditEvent).where(AuditEvent.id > after).order_by(AuditEvent.id)
    return iter(session.scalars(rows.execution_options(yield_per=1000)))


def _digest(previous: str, *fields: Any) -> str:
    return hashlib.sha256(json.dumps([previous, *fields], ensure_ascii=False).encode()).hexdigest()

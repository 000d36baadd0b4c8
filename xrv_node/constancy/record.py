"""What the trail says of constancy: tests that began, what came of them, and what was accepted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import reasons
from xrv_node.db import queries
from xrv_node.db.tables import AuditEvent
from xrv_node.reasons import Reason

BEGAN = "constancy.began"
"""A phantom is about to be sent; of its study."""
MEASURED = "constancy.measured"
"""The networks for patients have answered it."""
CHECKED = "constancy.checked"
"""The test is over: whether all is as it was, and what is not."""
ACCEPTED = "constancy.accepted"
"""Somebody has taken an answer for the one to compare with."""
_DAY = timedelta(days=1)


def is_test(db: Session, study: str) -> bool:
    """Whether a study is one that the node sent itself."""
    found = select(AuditEvent.id).where(AuditEvent.study_instance_uid == study, AuditEvent.event == BEGAN)
    return db.scalar(found.limit(1)) is not None


def newest(db: Session, event: str, study: str | None = None) -> Mapping[str, Any] | None:
    """The newest event of a name, whole; None where there is none."""
    return next(iter(queries.events(db, event=event, study=study, limit=1)), None)


def amiss(event: Mapping[str, Any]) -> list[Reason]:
    """What an event of `CHECKED` says is not as it was."""
    return [reasons.revive(why) for why in event["detail"]["amiss"]]


def is_due(db: Session, at: time) -> bool:
    """Whether no test was over since it was that time last, by the machine's clock."""
    event = newest(db, CHECKED)
    checked = datetime.fromisoformat(event["at"]) if event else None
    return due(checked, at, datetime.now().astimezone())


def due(checked: datetime | None, at: time, now: datetime) -> bool:
    """Whether a test is to be made.

    It goes by what is on record alone, so that neither a restart nor a clock that is put back makes the test
    of a day twice, or leaves it out.

    Parameters
    ----------
    checked
        When the newest test was over; None: never. By a clock that was far ahead it is no test of today.
    at
        Of the day, in the machine's local time.
    now
        Aware.
    """
    today = datetime.combine(now.date(), at).astimezone()
    last = today if today <= now else datetime.combine(now.date() - _DAY, at).astimezone()
    return checked is None or not last <= checked <= now + _DAY

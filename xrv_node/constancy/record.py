"""What the trail says of constancy: tests that began, what came of them, and what was accepted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
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


def is_due(db: Session) -> bool:
    """Whether no test was made for a day."""
    event = newest(db, CHECKED)
    return event is None or datetime.now(UTC) - datetime.fromisoformat(event["at"]) > timedelta(days=1)

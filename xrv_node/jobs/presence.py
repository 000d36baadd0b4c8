"""Whether a destination is there: that it is away, and that it is back, is each told once, in log and trail.

The state is the newest of two events of the trail, so that a restart changes nothing. To a destination that
is away nothing is sent; it is asked, and when it answers, all that waits for it is due at once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from time import monotonic

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from xrv_node.db import queue, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AuditEvent
from xrv_node.reasons import Reason

log = structlog.get_logger("deliver")

AWAY, BACK = "destination.away", "destination.back"

FIRST_SECONDS = 5.0
"""Before a destination that went away is asked; doubled each time that it does not answer."""
LONGEST_SECONDS = 20.0
"""With the ten seconds that an unreachable host takes, what waits goes out within a minute of the return."""


def away_since(db: Session, destination: str) -> datetime | None:
    """When a destination went away; None where it is there, as far as is known."""
    (gone, at), (returned, _) = (_newest(db, event, destination) for event in (AWAY, BACK))
    return at if gone > returned else None


def _newest(db: Session, event: str, destination: str) -> tuple[int, datetime | None]:
    named = AuditEvent.detail.contains(f'"destination":"{destination}"', autoescape=True)
    number = db.scalar(select(func.max(AuditEvent.id)).where(AuditEvent.event == event, named)) or 0
    row = db.get(AuditEvent, number)
    return number, None if row is None else datetime.fromisoformat(row.at)


def gone(db: Session, destination: str, why: Reason) -> int | None:
    """Put on record that a destination is away, in the caller's transaction, unless that is known.

    Returns
    -------
    int or None
        How many deliveries wait for it; None where it was known.
    """
    if away_since(db, destination) is not None:
        return None
    waiting = queue.waiting(db, destination)
    trail.record(db, AWAY, destination=destination, waiting=waiting, why=why)
    return waiting


def say_gone(destination: str, waiting: int | None, why: Reason) -> None:
    """Put the same into the log, once it is committed."""
    if waiting is not None:
        log.warning("the destination is away", destination=destination, waiting=waiting, why=str(why))


def returned(store: Store, destination: str) -> None:
    """Put on record that a destination is back, and let all that waits for it be due."""
    with store.begin() as db:
        since = away_since(db, destination)
        if since is None:
            return
        waiting = queue.waiting(db, destination)
        queue.hasten(db, destination)
        away = since.isoformat(timespec="seconds")
        trail.record(db, BACK, destination=destination, waiting=waiting, since=away)
    log.info("the destination is back", destination=destination, waiting=waiting, since=away)


class Watch:
    """What keeps a courier from sending to a destination that is away.

    Parameters
    ----------
    answers
        Asks the destination whether it is there.
    """

    def __init__(self, store: Store, destination: str, answers: Callable[[], bool]) -> None:
        self._store, self._destination, self._answers = store, destination, answers
        self._pause, self._next = FIRST_SECONDS, 0.0
        self._away: bool | None = None
        """None before the trail was asked."""

    def lost(self) -> None:
        """It does not answer any more: ask it, from now on."""
        self._away, self._pause = True, FIRST_SECONDS
        self._next = monotonic() + self._pause

    def ready(self) -> bool:
        """Whether it can be sent to; one that is away is asked, as often as it is time to."""
        if self._away is None:
            with self._store.read() as db:
                self._away = away_since(db, self._destination) is not None
        if not self._away:
            return True
        if monotonic() < self._next:
            return False
        if not self._answers():
            self._next = monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_SECONDS)
            return False
        returned(self._store, self._destination)
        self._away = False
        return True

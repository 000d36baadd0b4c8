"""From events of the trail to messages that wait: what is new since the last look, when it is time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from xrv_node.alerts import notes, rules, silence
from xrv_node.db import queries
from xrv_node.db.rows import EventRow
from xrv_node.db.store import Store
from xrv_node.db.tables import AlertMessage, AlertPlace, AuditEvent
from xrv_node.settings.alerts import AlertSection

BATCH = 1000
"""Events that are looked at in one go."""


def forget(store: Store, known: Collection[str]) -> None:
    """Forget what waits for alerts that are no longer configured."""
    with store.begin() as db:
        for table in (AlertPlace, AlertMessage):
            db.execute(delete(table).where(table.alert.not_in(known)))


def collect(store: Store, alert: AlertSection, now: datetime) -> bool:
    """Make a message of what is new to an alert, where it is time; place and message in one transaction, so
    that nothing is lost and nothing told twice, whenever the process ends.

    A new alert begins with what happens from now on.

    Parameters
    ----------
    now
        Aware, in the machine's time zone.

    Returns
    -------
    bool
        Whether there may be more.
    """
    with store.read() as db:
        place = db.get(AlertPlace, alert.name)
        begins = place is None
        if place is not None and not due(alert, place.told_at, now):
            return False
    if "silent" in alert.on and not begins:
        silence.listen(store, alert, now)
    with store.read() as db:
        head = _head(db)
        before = head if place is None else place.event
        found = [] if begins else _new(db, alert, before, head)
        told = [note for event in found for note in rules.told(alert, event, db)]
        more = len(found) == BATCH
        upto = found[-1]["id"] if more else head
    if not begins and upto == before and alert.digest is None:
        return False
    with store.begin() as db:
        place = db.get(AlertPlace, alert.name)
        if (place is None) != begins or (place is not None and place.event != before):
            return False  # another process was first
        if place is None:
            place = AlertPlace(alert=alert.name, event=upto, told_at=now if alert.digest else None)
            db.add(place)
        place.event = upto
        if told:
            db.add(_message(alert, told, upto, now))
        if told or alert.digest:
            place.told_at = place.told_at if more else now
    return more


def due(alert: AlertSection, told_at: datetime | None, now: datetime) -> bool:
    """Whether it is time to tell what is new: of a digest, once after its time of the day; else when the last
    message is long enough ago. A clock that was put back delays nothing."""
    if told_at is None or told_at > now + timedelta(minutes=1):
        return True
    if (at := alert.digest) is None:
        return now - told_at >= timedelta(minutes=alert.at_most_minutes)
    today = datetime.combine(now.date(), at, now.tzinfo)
    return told_at < (today if today <= now else today - timedelta(days=1))


def _new(db: Session, alert: AlertSection, after: int, head: int) -> list[EventRow]:
    """What came meanwhile, behind `head`, is for the next look."""
    found = queries.events(db, after=after, first=BATCH, named=rules.events(alert))
    return [event for event in found if event["id"] <= head]


def _head(db: Session) -> int:
    return db.scalar(select(func.max(AuditEvent.id))) or 0


def _message(alert: AlertSection, told: list[notes.Note], upto: int, now: datetime) -> AlertMessage:
    name = f"{alert.name}-{upto}"
    return AlertMessage(
        id=name, alert=alert.name, notes=notes.dump(told), made_at=now, attempts=0, not_before=now
    )

"""Whether studies come as they should: how much working time has passed since the newest."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from xrv_node.constancy import record as constancy
from xrv_node.db import queries, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AuditEvent, Study
from xrv_node.settings.alerts import DAYS, AlertSection

SILENT = "receive.silent"
"""No study has come for as long as an alert allows; once in a silence."""
_DAY = timedelta(days=1)
_LONGEST = timedelta(days=366)
"""What is looked at of a silence."""


def listen(store: Store, alert: AlertSection, now: datetime) -> None:
    """Put a silence on record that is as long as an alert allows, if it is not there yet.

    Parameters
    ----------
    now
        Aware, in the machine's time zone, by which the working time goes.
    """
    if not _works(alert, now):
        return
    with store.read() as db:
        since = _newest(db)
        if since is None or _told(db, alert, since):
            return
        if working_hours(since.astimezone(now.tzinfo), now, alert) < alert.silent_hours:
            return
    with store.begin() as db:
        if not _told(db, alert, since):
            trail.record(
                db, SILENT, alert=alert.name, hours=f"{alert.silent_hours:g}", since=since.isoformat()
            )


def working_hours(since: datetime, now: datetime, alert: AlertSection) -> float:
    """How many hours of an alert's working time lie between two times of one zone; what is more than a year
    ago is not counted."""
    since = max(since, now - _LONGEST)
    found, day = 0.0, since.date()
    while day <= now.date():
        if DAYS[day.weekday()] in alert.working_days:
            begin, end = (_at(day, t, now) for t in alert.working)
            found += max((min(end, now) - max(begin, since)).total_seconds(), 0.0)
        day += _DAY
    return found / 3600


def _works(alert: AlertSection, now: datetime) -> bool:
    begin, end = alert.working
    return DAYS[now.weekday()] in alert.working_days and begin <= now.time() <= end


def _at(day: date, at: time, now: datetime) -> datetime:
    return datetime.combine(day, at, now.tzinfo)


def _newest(db: Session) -> datetime | None:
    """When something of a study came last that the node did not send itself; else since the trail begins."""
    ours = select(AuditEvent.study_instance_uid).where(AuditEvent.event == constancy.BEGAN)
    newest = db.scalar(select(func.max(Study.received_at)).where(Study.study_instance_uid.not_in(ours)))
    if newest is not None:
        return newest if isinstance(newest, datetime) else datetime.fromisoformat(newest)
    first = next(iter(queries.events(db, first=1)), None)
    return datetime.fromisoformat(first["at"]) if first else None


def _told(db: Session, alert: AlertSection, since: datetime) -> bool:
    events = queries.events(db, event=SILENT, limit=100)
    return any(
        (e["detail"]["alert"], e["detail"]["since"]) == (alert.name, since.isoformat()) for e in events
    )

"""Which events of the trail each kind of news is of, and what is said of one: a row each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from xrv_node import disk
from xrv_node.alerts.notes import Note
from xrv_node.alerts.silence import SILENT
from xrv_node.analyse import mismatch
from xrv_node.audit.changes import RESTARTED
from xrv_node.constancy import record as constancy
from xrv_node.db.rows import EventRow
from xrv_node.db.tables import AuditEvent
from xrv_node.reasons import Reason, as_is, revive
from xrv_node.settings.alerts import AlertSection, What

AWAY, BACK = "destination.away", "destination.back"
RESTARTS_WITHIN = timedelta(hours=1)

Tell = Callable[[AlertSection, EventRow, Session], Reason | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of news."""

    events: tuple[str, ...]
    tell: Tell
    """What is said of an event, if anything."""


def told(alert: AlertSection, event: EventRow, db: Session) -> list[Note]:
    """What an alert says of an event of the trail (`queries.events`), a note for each kind of news."""
    return [
        Note(what, event["id"], event["at"], why, event["study"])
        for what in alert.on
        if event["event"] in RULES[what].events and (why := RULES[what].tell(alert, event, db)) is not None
    ]


def events(alert: AlertSection) -> tuple[str, ...]:
    """The names of the events that an alert looks at."""
    return tuple(dict.fromkeys(name for what in alert.on for name in RULES[what].events))


def _parked(alert: AlertSection, event: EventRow, db: Session) -> Reason:
    detail = event["detail"]
    why = _reason(detail.get("error"))
    if fetch := detail.get("fetch"):
        return Reason("alert-parked-fetch", fetch=str(fetch), archive=str(detail["archive"]), why=why)
    if to := detail.get("destination"):
        return Reason("alert-parked-to", job=detail["job"], destination=str(to), why=why)
    return Reason("alert-parked", job=detail["job"], kind=str(detail.get("kind")), why=why)


def _away(alert: AlertSection, event: EventRow, db: Session) -> Reason:
    detail = event["detail"]
    name = str(detail.get("destination"))
    if event["event"] == BACK:
        return Reason("alert-back", destination=name)
    return Reason("alert-away", destination=name, why=_reason(detail.get("error") or detail.get("why")))


def _disk(alert: AlertSection, event: EventRow, db: Session) -> Reason:
    free = int(event["detail"]["free_mb"])
    if event["event"] == disk.RESUMED:
        return Reason("alert-disk-room", free=free)
    return Reason("alert-disk-full", free=free, least=int(event["detail"]["min_free_mb"]))


def _constancy(alert: AlertSection, event: EventRow, db: Session) -> Reason | None:
    found = constancy.amiss(event)
    if not found:
        return None
    return Reason("alert-constancy", why=_listed(found))


def _restarts(alert: AlertSection, event: EventRow, db: Session) -> Reason | None:
    """Each time that so many more restarts of a role came within an hour."""
    role = event["detail"]["role"]
    begin = (datetime.fromisoformat(event["at"]) - RESTARTS_WITHIN).isoformat(timespec="microseconds")
    counted = select(func.count()).where(
        AuditEvent.event == RESTARTED,
        AuditEvent.id <= event["id"],
        AuditEvent.at >= begin,
        AuditEvent.detail.contains(f'"role":"{role}"'),
    )
    times = db.scalar(counted) or 0
    if times % alert.restarts:
        return None
    return Reason("alert-restarts", role=role, times=times)


def _silent(alert: AlertSection, event: EventRow, db: Session) -> Reason | None:
    detail = event["detail"]
    if detail["alert"] != alert.name:
        return None
    return Reason("alert-silent", hours=str(detail["hours"]))


def _finding(alert: AlertSection, event: EventRow, db: Session) -> Reason | None:
    """Nothing of a phantom, nor of an image whose findings are withheld."""
    detail = event["detail"]
    if detail.get("phantom") or detail.get("refused"):
        return None
    found = [f for f in detail.get("present") or () if not alert.findings or f in alert.findings]
    return Reason("alert-finding", findings=", ".join(found)) if found else None


def _mismatch(alert: AlertSection, event: EventRow, db: Session) -> Reason | None:
    """That a picture may be another patient's; in which attribute, and never what it or the header says."""
    names = mismatch.doubted(map(revive, event["detail"].get("quality") or ()))
    if not names:
        return None
    return Reason("alert-mismatch", what=_listed([Reason(f"alert-mismatch-{name}") for name in names]))


def _listed(found: Sequence[Reason]) -> Reason:
    """Several as one; at least one."""
    return reduce(lambda one, other: Reason("listed", one=one, other=other), found)


def _reason(stored: object) -> Reason:
    return revive(stored) if stored else as_is("-")


RULES: dict[What, Rule] = {
    "parked": Rule(("job.parked", "fetch.parked"), _parked),
    "away": Rule((AWAY, BACK), _away),
    "disk": Rule((disk.PAUSED, disk.RESUMED), _disk),
    "constancy": Rule((constancy.CHECKED,), _constancy),
    "restarts": Rule((RESTARTED,), _restarts),
    "silent": Rule((SILENT,), _silent),
    "finding": Rule(("instance.analysed",), _finding),
    "mismatch": Rule(("instance.analysed",), _mismatch),
}

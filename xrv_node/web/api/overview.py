"""What an administrator looks at for ten seconds."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from xrv_node.db import queries, waiting
from xrv_node.db.queue import POLICIES
from xrv_node.db.tables import AuditEvent, Delivery, Instance, Job, JobState
from xrv_node.doctor.jobs import Amiss
from xrv_node.doctor.status import Status, amiss, status
from xrv_node.jobs import presence
from xrv_node.models import weights
from xrv_node.reasons import Reason
from xrv_node.settings import Settings
from xrv_node.statistics.collect import turnaround
from xrv_node.statistics.rows import StageRow
from xrv_node.values import PHANTOM_WORDS
from xrv_node.web.node import WebNode

DAYS = 7
"""Of what is counted over a span."""
_ACTIVE = (JobState.QUEUED, JobState.RUNNING)


class Cause(TypedDict):
    """Why jobs are parked."""

    why: Reason | None
    """Of the last attempt."""
    number: int
    """Of how many jobs."""


class Attention(TypedDict):
    """Something that a person must see to."""

    what: str
    """``parked``, ``strange``, ``away``, ``room``, ``weights``, ``commissioning`` or ``stopped``."""
    says: str
    """What is."""
    remedy: str
    """What to do, on the command line."""
    kind: str
    """Of the jobs that it is about; empty: of none."""
    destination: str
    """That it is about; empty: none."""
    causes: list[Cause]
    """Of parked jobs, why."""


class Queued(TypedDict):
    """Jobs of a kind that are not ended."""

    kind: str
    """``analyse``, ``report`` or ``deliver``."""
    queued: int
    """That wait."""
    running: int
    """That are in hand."""
    oldest_seconds: float
    """Since the oldest of them was queued; 0: there is none."""


class DestinationShown(TypedDict):
    """A destination, and how it does."""

    name: str
    """Its name."""
    kind: str
    """``dimse``, ``web`` ..."""
    sends: bool
    """Whether results leave for it."""
    waiting: int
    """Deliveries that are queued or under way."""
    away_since: datetime | None
    """Since when it does not answer."""
    last_success: datetime | None
    """When it took something last."""
    last_error: datetime | None
    """When it did not take something last, of what it has not taken since."""
    error: Reason | None
    """Why."""


class Machine(TypedDict):
    """What a worker runs on."""

    owner: str
    """Its name."""
    since: str
    """Since when, a time."""
    facts: dict[str, Any]
    """Processor, device, driver, libraries."""


class Room(TypedDict):
    """The file system of ``node.data_dir``."""

    free_bytes: int
    """That may be filled."""
    total_bytes: int
    """Its size."""
    days_left: float | None
    """Until it is full, as fast as images came in the last days; null: nothing came, or ten years."""


class Overview(TypedDict):
    """The node at a glance."""

    attention: list[Attention]
    """What a person must see to, first what stops something."""
    status: Status
    """As `xrv-node status` prints it."""
    last_hour: int
    """Images that came within it."""
    last_day: int
    """The same of 24 hours."""
    queue: list[Queued]
    """What is to do."""
    turnaround: list[StageRow]
    """How long the parts of the way took in the last days, as `xrv-node statistics` counts them."""
    since: datetime
    """From when on these are counted."""
    destinations: list[DestinationShown]
    """Where results go."""
    machines: list[Machine]
    """What the worker that told last runs on."""
    disk: Room
    """Whether there is room."""


def overview(node: WebNode) -> Overview:
    """Look at all of it."""
    now = datetime.now().astimezone()
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    found = status(node.settings, node.store)
    with node.store.read() as db:
        return {
            "attention": list(_attention(db, node, found)),
            "status": found,
            "last_hour": _came(db, now - timedelta(hours=1)),
            "last_day": _came(db, now - timedelta(days=1)),
            "queue": _queue(db),
            "turnaround": list(turnaround(db, since, now + timedelta(days=1))),
            "since": since,
            "destinations": [_destination(db, node.settings, one.name) for one in node.settings.destinations],
            "machines": _machines(db),
            "disk": _room(db, node.settings, since, now),
        }


def _attention(db: Session, node: WebNode, found: Status) -> list[Attention]:
    rows = [_shown(db, one) for one in amiss(node.settings, node.store)]
    if not found["serving"]:
        rows.append(
            _said("stopped", "the node does not run: nothing is received or analysed", "`xrv-node serve`")
        )
    models = node.settings.models
    missing = weights.missing(models.needed, node.settings.models_dir)
    if found["commissioning"]:
        says = f"COMMISSIONING: it was last started to answer for phantoms alone. {PHANTOM_WORDS}"
        get = "`xrv-node models pull`, then " if missing else ""
        remedy = f"{get}`xrv-node serve` without --commissioning answers for patients"
        rows.append(_said("commissioning", says, remedy))
    elif missing:
        rows.append(_said("weights", f"no weights of {', '.join(missing)}", "`xrv-node models pull`"))
    return rows


def _said(what: str, says: str, remedy: str) -> Attention:
    return {"what": what, "says": says, "remedy": remedy, "kind": "", "destination": "", "causes": []}


def _shown(db: Session, one: Amiss) -> Attention:
    causes: list[Cause] = [
        {"why": why, "number": number}
        for kind, to, why, number in waiting.why_parked(db)
        if one.what == "parked" and (kind, to or "") == (one.kind, one.destination)
    ]
    return {
        "what": one.what,
        "says": one.says,
        "remedy": one.remedy,
        "kind": one.kind,
        "destination": one.destination,
        "causes": causes,
    }


def _came(db: Session, since: datetime) -> int:
    return db.scalar(select(func.count()).select_from(Instance).where(Instance.received_at >= since)) or 0


def _queue(db: Session) -> list[Queued]:
    query = (
        select(Job.kind, Job.state, func.count(), func.min(Job.created_at))
        .where(Job.state.in_(_ACTIVE))
        .group_by(Job.kind, Job.state)
    )
    found = {(kind, state): (number, oldest) for kind, state, number, oldest in db.execute(query)}
    now = datetime.now(UTC)
    rows: list[Queued] = []
    for kind in POLICIES:
        of_it = [found.get((kind, state), (0, now)) for state in _ACTIVE]
        age = (now - min(oldest for _, oldest in of_it)).total_seconds()
        rows.append(
            {"kind": kind, "queued": of_it[0][0], "running": of_it[1][0], "oldest_seconds": max(age, 0.0)}
        )
    return rows


def _destination(db: Session, settings: Settings, name: str) -> DestinationShown:
    configured = settings.destination(name)
    own = Delivery.destination == name
    # jobs that are not ended are few; deliveries are as many as there ever were
    failed = (
        select(Delivery.updated_at, Delivery.error)
        .join(Job, Job.delivery_id == Delivery.id)
        .where(Job.state.in_((*_ACTIVE, JobState.PARKED)), own, Delivery.error.is_not(None))
        .order_by(Delivery.updated_at.desc())
        .limit(1)
    )
    at, error = next(iter(db.execute(failed)), (None, None))
    waits = select(func.count()).select_from(Job).join(Delivery, Delivery.id == Job.delivery_id)
    return {
        "name": name,
        "kind": configured.kind,
        "sends": not settings.keeps_back(configured),
        "waiting": db.scalar(waits.where(own, Job.state.in_(_ACTIVE))) or 0,
        "away_since": presence.away_since(db, name),
        "last_success": _took(db, name),
        "last_error": at,
        "error": error,
    }


def _took(db: Session, destination: str) -> datetime | None:
    """When a destination took something last, as the trail says."""
    named = AuditEvent.detail.contains(f'"destination":"{destination}"', autoescape=True)
    newest = select(AuditEvent.at).where(AuditEvent.event == "result.delivered", named)
    at = db.scalar(newest.order_by(AuditEvent.id.desc()).limit(1))
    return None if at is None else datetime.fromisoformat(at)


def _machines(db: Session) -> list[Machine]:
    return [
        {
            "owner": str(e["detail"].get("owner", "")),
            "since": e["at"],
            "facts": e["detail"].get("machine", {}),
        }
        for e in queries.events(db, event="machine.changed", limit=1)
    ]


def _room(db: Session, settings: Settings, since: datetime, now: datetime) -> Room:
    disk = shutil.disk_usage(settings.data_dir)
    came = db.scalar(select(func.sum(Instance.size)).where(Instance.received_at >= since)) or 0
    days = (now - since).total_seconds() / 86400
    left = disk.free / (came / days) if came else None
    return {
        "free_bytes": disk.free,
        "total_bytes": disk.total,
        "days_left": left if left is not None and left < 3653 else None,
    }

"""The statistics of a node, counted from its database and trail."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from xrv_node import reasons
from xrv_node.attributes import text
from xrv_node.db.tables import AnalysisRow, AuditEvent, Delivery, DeliveryState, Instance, ResultRow, Study
from xrv_node.errors import ImageError
from xrv_node.radiograph.header import read_header
from xrv_node.spool import Spool
from xrv_node.statistics.interval import wilson
from xrv_node.statistics.rows import (
    DayRow,
    FindingRow,
    KeptBackRow,
    ReasonRow,
    StageRow,
    StationRow,
    Statistics,
    VerdictRow,
)
from xrv_node.values import OPERATING_POINT, Verdict

REFUSALS = ("association.refused", "instance.refused")
SKIPPED = "instance.skipped"
_STATES = ("analysed", "skipped", "failed")


def collect(db: Session, spool: Spool, node: str, since: datetime, until: datetime) -> Statistics:
    """Count what came from `since` on and before `until`.

    Parameters
    ----------
    spool
        With the headers that name stations: the database has their digests.
    node
        The node's name.
    since, until
        Aware; days and weeks are of their time zone.
    """
    images = _images(db, since, until)
    return {
        "node": node,
        "since": since,
        "until": until,
        "studies": len({image.study_id for image in images}),
        "images": len(images),
        "days": days(images, since),
        "stations": stations(images, spool),
        "verdicts": verdicts(db, since, until),
        "turnaround": list(turnaround(db, since, until)),
        "findings": findings(db, since, until),
        "reasons": not_analysed(db, images, since, until),
        "kept_back": kept_back(db, since, until),
        "agreement": [],
        "labels_without_study": 0,
    }


def _came(since: datetime, until: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Instance.received_at >= since, Instance.received_at < until


def _images(db: Session, since: datetime, until: datetime) -> list[Instance]:
    wanted = select(Instance).where(*_came(since, until), Instance.verdict != Verdict.PHANTOM)
    return list(db.scalars(wanted.order_by(Instance.id)))


def _counted(images: Iterable[Instance]) -> dict[str, int]:
    found = list(images)
    states = Counter(image.state for image in found)
    return {
        "studies": len({image.study_id for image in found}),
        "images": len(found),
        **{state: states[state] for state in _STATES},
    }


def days(images: Iterable[Instance], zone: datetime) -> list[DayRow]:
    """By the day on which they came, in the time zone of `zone`."""
    found: defaultdict[str, list[Instance]] = defaultdict(list)
    for image in images:
        found[image.received_at.astimezone(zone.tzinfo).date().isoformat()].append(image)
    return [DayRow(day=day, **_counted(found[day])) for day in sorted(found)]  # type: ignore[typeddict-item]


def stations(images: Sequence[Instance], spool: Spool) -> list[StationRow]:
    """By station and sender, those with the most images first."""
    names = _names(images, spool)
    found: defaultdict[tuple[str, str], list[Instance]] = defaultdict(list)
    for image in images:
        found[names[image.station or ""], image.calling_ae].append(image)
    ordered = sorted(found, key=lambda key: (-len(found[key]), key))
    return [
        StationRow(station=station, sender=sender, **_counted(found[station, sender]))  # type: ignore[typeddict-item]
        for station, sender in ordered
    ]


def _names(images: Sequence[Instance], spool: Spool) -> dict[str, str]:
    """Station Name by its digest, from the newest image whose file is there; where none is, the digest's
    beginning."""
    found = {"": ""}
    for image in reversed(images):
        if image.station and image.station not in found and image.purged_at is None:
            with suppress(ImageError, OSError):
                found[image.station] = text(read_header(spool.absolute(image.path)), "StationName")
    return {digest: f"({digest[:8]})" for image in images if (digest := image.station)} | found


def verdicts(db: Session, since: datetime, until: datetime) -> list[VerdictRow]:
    """What images were taken for, phantoms too."""
    query = select(Instance.verdict, func.count()).where(*_came(since, until))
    found = {verdict: number for verdict, number in db.execute(query.group_by(Instance.verdict))}
    return [{"verdict": verdict.value, "images": found[verdict]} for verdict in Verdict if verdict in found]


# ---------------------------------------------------------------------------- turnaround


def turnaround(db: Session, since: datetime, until: datetime) -> Iterator[StageRow]:
    """How long the parts of the way took, of what is at their end.

    An image that came again, or was analysed again, is measured by its first analysis after it came last; a
    study by its newest image and its newest report.
    """
    stages: dict[str, Select[datetime, datetime | None]] = {
        "image received to analysed": _analysed(since, until),
        "study's last image to report": _reported(since, until),
    }
    for stage, query in stages.items():
        yield from _stage(stage, _seconds(db.execute(query)))
    for destination, spans in sorted(_delivered(db, since, until).items()):
        yield from _stage(f"report to {destination}", spans)


def _analysed(since: datetime, until: datetime) -> Select[datetime, datetime]:
    first = func.min(AnalysisRow.created_at, type_=AnalysisRow.created_at.type)
    return (
        select(Instance.received_at, first)
        .join(AnalysisRow, AnalysisRow.instance_id == Instance.id)
        .where(*_came(since, until), AnalysisRow.phantom.is_(False))
        .where(AnalysisRow.created_at >= Instance.received_at)
        .group_by(Instance.id)
    )


def _reported(since: datetime, until: datetime) -> Select[datetime, datetime | None]:
    phantoms = select(Instance.study_id).where(Instance.verdict == Verdict.PHANTOM)
    return select(Study.received_at, Study.reported_at).where(
        Study.received_at >= since, Study.received_at < until,
        Study.reported_at >= Study.received_at, Study.id.not_in(phantoms),
    )  # fmt: skip


def _delivered(db: Session, since: datetime, until: datetime) -> dict[str, list[float]]:
    """By destination: seconds from a result to the peer's first answer that it has it, as the trail says."""
    query = (
        select(AuditEvent.at, AuditEvent.detail, AuditEvent.sop_instance_uid, ResultRow.created_at)
        .join(ResultRow, ResultRow.sop_instance_uid == AuditEvent.sop_instance_uid)
        .where(AuditEvent.event == "result.delivered")
        .where(ResultRow.created_at >= since, ResultRow.created_at < until)
        .order_by(AuditEvent.id)
    )
    found: defaultdict[str, list[float]] = defaultdict(list)
    known: set[tuple[str, str | None]] = set()
    for at, detail, uid, made in db.execute(query):
        destination = json.loads(detail)["destination"]
        if (destination, uid) not in known:
            known.add((destination, uid))
            found[destination].append((datetime.fromisoformat(at) - made).total_seconds())
    return found


def _seconds(spans: Iterable[tuple[datetime, datetime | None]]) -> list[float]:
    return [(end - begin).total_seconds() for begin, end in spans if end is not None]


def _stage(stage: str, seconds: list[float]) -> Iterator[StageRow]:
    if seconds:
        half, most = (round(float(one), 3) for one in np.percentile(seconds, (50, 95)))
        yield {"stage": stage, "number": len(seconds), "p50_seconds": half, "p95_seconds": most}


# ---------------------------------------------------------------------------- findings and reasons


def present(db: Session, since: datetime, until: datetime) -> Iterator[tuple[Instance, dict[str, bool]]]:
    """Each image for which findings were reported, with whether they are present, by its newest analysis."""
    newest = select(func.max(AnalysisRow.id)).where(AnalysisRow.phantom.is_(False))
    query = (
        select(Instance, AnalysisRow.scores)
        .join(AnalysisRow, AnalysisRow.instance_id == Instance.id)
        .where(*_came(since, until), Instance.state == "analysed")
        .where(AnalysisRow.id.in_(newest.group_by(AnalysisRow.instance_id)))
        .order_by(Instance.id)
    )
    withheld = _withheld(db)
    for image, scores in db.execute(query):
        if image.sop_instance_uid not in withheld:
            yield image, {label: score >= OPERATING_POINT for label, score in scores.items()}


def _withheld(db: Session) -> set[str | None]:
    """SOP Instance UIDs of images unlike a radiograph, of which no finding is reported; the newest analysis
    says so, for a limit that was fitted anew may have let the image pass."""
    analysed = AuditEvent.event == "instance.analysed"
    refused = AuditEvent.detail.contains('"refused":true')
    once = select(AuditEvent.sop_instance_uid).where(analysed, refused)
    newest = (
        select(func.max(AuditEvent.id))
        .where(analysed, AuditEvent.sop_instance_uid.in_(once))
        .group_by(AuditEvent.sop_instance_uid)
    )
    return set(db.scalars(select(AuditEvent.sop_instance_uid).where(AuditEvent.id.in_(newest), refused)))


def findings(db: Session, since: datetime, until: datetime) -> list[FindingRow]:
    """How often each finding is present, by week."""
    images: Counter[tuple[str, str]] = Counter()
    positive: Counter[tuple[str, str]] = Counter()
    for image, found in present(db, since, until):
        year, week, _ = image.received_at.astimezone(since.tzinfo).isocalendar()
        for label, here in found.items():
            images[label, f"{year}-W{week:02}"] += 1
            positive[label, f"{year}-W{week:02}"] += here
    return [
        _finding(label, week, positive[label, week], images[label, week]) for label, week in sorted(images)
    ]


def _finding(label: str, week: str, positive: int, images: int) -> FindingRow:
    low, high = (round(end, 4) for end in wilson(positive, images))
    share = round(positive / images, 4)
    return {
        "finding": label, "week": week, "images": images, "present": positive,
        "share": share, "low": low, "high": high,
    }  # fmt: skip


def not_analysed(
    db: Session, images: Iterable[Instance], since: datetime, until: datetime
) -> list[ReasonRow]:
    """Why something was refused or skipped, the most frequent first."""
    found: Counter[tuple[str, str]] = Counter()
    for image in images:
        if image.state == "skipped":
            found[SKIPPED, str(image.reasons[0]) if image.reasons else "-"] += 1
    begin, end = (at.astimezone(UTC).isoformat(timespec="microseconds") for at in (since, until))
    query = select(AuditEvent.event, AuditEvent.detail).where(
        AuditEvent.event.in_(REFUSALS), AuditEvent.at >= begin, AuditEvent.at < end
    )
    for event, stored in db.execute(query):
        detail = json.loads(stored)
        why = detail.get("why") or detail.get("remedy")
        found[event, str(reasons.revive(why)) if why else "-"] += int(detail.get("repeated", 1))
    return [{"what": what, "why": why, "number": number} for (what, why), number in found.most_common()]


def kept_back(db: Session, since: datetime, until: datetime) -> list[KeptBackRow]:
    """What was made and not sent."""
    query = (
        select(Delivery.destination, ResultRow.kind, func.count(), func.count(ResultRow.study_id.distinct()))
        .join(ResultRow, ResultRow.id == Delivery.result_id)
        .where(Delivery.state == DeliveryState.SILENT)
        .where(ResultRow.created_at >= since, ResultRow.created_at < until)
        .group_by(Delivery.destination, ResultRow.kind)
        .order_by(Delivery.destination, ResultRow.kind)
    )
    return [
        {"destination": destination, "kind": kind, "results": results, "studies": studies}
        for destination, kind, results, studies in db.execute(query)
    ]

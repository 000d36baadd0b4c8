"""Studies: which there are, what came and was made of one, and what a person asks for once more."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, select
from typing_extensions import TypedDict

from xrv_node.db import queries
from xrv_node.db.rows import QueuedResult, StudyRow, StudyShown
from xrv_node.db.tables import AnalysisRow, Instance, ResultRow, Study, StudyState
from xrv_node.errors import XrvNodeError
from xrv_node.jobs import lookup, rerun
from xrv_node.report import codes
from xrv_node.values import OPERATING_POINT, Verdict
from xrv_node.web.node import WebNode


class Queued(TypedDict):
    """Results that are sent again."""

    queued: list[QueuedResult]
    """Each result to each destination."""


class Reanalysed(TypedDict):
    """A study that is analysed again."""

    study: str
    """Study Instance UID."""
    images: int
    """That are queued."""


def listed(
    node: WebNode,
    *,
    since: date | None = None,
    until: date | None = None,
    sender: str | None = None,
    state: StudyState | None = None,
    verdict: Verdict | None = None,
    finding: str | None = None,
    limit: int = 100,
    which: tuple[ColumnElement[bool], ...] = (),
) -> list[StudyRow]:
    """The studies that match all that is given, newest first, as ``xrv-node studies list`` has them."""
    first, end = (_midnight(day) for day in (since, until))
    with node.store.read() as db:
        wanted = [
            *which,
            *lookup.came(first, None if end is None else end + timedelta(days=1)),
            *lookup.with_image(calling_ae=sender or None, verdict=verdict),
            *_with_finding(finding),
        ]
        return queries.studies(db, *wanted, state=state, limit=limit)


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day).astimezone()


def _with_finding(label: str | None) -> list[ColumnElement[bool]]:
    """Of which an image's analysis has a finding at or over its operating point."""
    if not label:
        return []
    score = AnalysisRow.scores[label].as_float()
    present = (
        select(Instance.study_id)
        .join(AnalysisRow, AnalysisRow.instance_id == Instance.id)
        .where(score >= OPERATING_POINT)
    )
    return [Study.id.in_(present)]


def findings() -> list[str]:
    """What can be looked for, torchxrayvision's names in order."""
    return sorted(codes.findings())


def shown(node: WebNode, uid: str) -> StudyShown:
    """One study, as ``xrv-node studies show`` has it."""
    with node.store.read() as db:
        return queries.study(db, uid)


def resend(node: WebNode, uid: str, to: str | None = None, kind: str | None = None) -> Queued:
    """Send a study's newest results again."""
    destinations = rerun.receivers(node.settings, to or None)
    with node.store.begin() as db:
        queued = rerun.resend(db, node.spool, uid, destinations, kind=kind or None, anew=bool(to))
    return {"queued": queued}


def reprocess(node: WebNode, uid: str) -> Reanalysed:
    """Have a study analysed again."""
    with node.store.begin() as db:
        return {"study": uid, "images": rerun.reprocess(db, node.spool, uid)}


def result(node: WebNode, uid: str, instance: str) -> Path:
    """The file of a result.

    Raises
    ------
    XrvNodeError
        There is no such result, or its file is not here any more.
    """
    query = (
        select(ResultRow.path)
        .join(Study, Study.id == ResultRow.study_id)
        .where(Study.study_instance_uid == uid, ResultRow.sop_instance_uid == instance)
        .where(ResultRow.purged_at.is_(None))
    )
    with node.store.read() as db:
        path = db.scalars(query).one_or_none()
    if path is None or not node.spool.absolute(path).is_file():
        raise XrvNodeError(f"result {instance} of study {uid} is not here")
    return node.spool.absolute(path)

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
from xrv_node.index import search
from xrv_node.index.follow import catch_up
from xrv_node.index.search import StudyLine
from xrv_node.jobs import lookup, rerun
from xrv_node.report import codes
from xrv_node.values import OPERATING_POINT, Verdict
from xrv_node.web.node import WebNode

MOST_FOUND = 1000
"""Studies of the index that a search goes through; of more, the newest."""


INDEX_SECONDS = 1.0
"""That a list waits for an index that is far behind: it is shown with what is there then."""


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


class About(TypedDict):
    """Whose a study is and what of, as its first image says; of the index."""

    name: str
    """Patient's Name."""
    patient_id: str
    """Patient ID."""
    birth_date: str
    """``YYYYMMDD``."""
    accession: str
    """Accession Number."""
    study_date: str
    """``YYYYMMDD``."""
    description: str
    """Study Description."""


class StudyListed(StudyRow):
    """A study of a list, and whose it is."""

    about: About | None
    """Null where the index has nothing of it."""


class Person(TypedDict, total=False):
    """Whose studies are looked for; each may have wildcards."""

    name: str
    """Any part of Patient's Name."""
    patient_id: str
    """Patient ID."""
    accession: str
    """Accession Number."""


def listed(
    node: WebNode,
    person: Person | None = None,
    *,
    since: date | None = None,
    until: date | None = None,
    sender: str | None = None,
    state: StudyState | None = None,
    verdict: Verdict | None = None,
    finding: str | None = None,
    limit: int = 100,
) -> list[StudyListed]:
    """The studies that match all that is given, newest first, as ``xrv-node studies list`` has them, with
    whose they are."""
    catch_up(node.index, node.store, node.spool, seconds=INDEX_SECONDS)
    first, end = (_midnight(day) for day in (since, until))
    with node.store.read() as db:
        wanted = [
            *_of_person(node, person or {}),
            *lookup.came(first, None if end is None else end + timedelta(days=1)),
            *lookup.with_image(calling_ae=sender or None, verdict=verdict),
            *_with_finding(finding),
        ]
        rows = queries.studies(db, *wanted, state=state, limit=limit)
    known = search.lines(node.index, [row["study"] for row in rows])
    return [{**row, "about": _about(known.get(row["study"]))} for row in rows]


def _of_person(node: WebNode, person: Person) -> list[ColumnElement[bool]]:
    if not any(value.strip() for value in person.values()):  # type: ignore[attr-defined]
        return []
    found, _ = search.studies(node.index, **person, limit=MOST_FOUND)
    return [Study.study_instance_uid.in_([line.study_instance_uid for line in found])]


def _about(line: StudyLine | None) -> About | None:
    if line is None:
        return None
    return {
        "name": line.patient_name,
        "patient_id": line.patient_id,
        "birth_date": line.patient_birth_date,
        "accession": line.accession_number,
        "study_date": line.study_date,
        "description": line.study_description,
    }


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

"""Studies as a page shows them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from xrv_node.index import normal, query
from xrv_node.index.index import Index
from xrv_node.index.levels import key
from xrv_node.index.query import Query, Said
from xrv_node.index.searched import first, parts
from xrv_node.index.tables import StudyRow


@dataclass(frozen=True, slots=True)
class StudyLine:
    """A study as a page shows it."""

    study_instance_uid: str
    patient_name: str
    patient_id: str
    patient_birth_date: str
    accession_number: str
    study_date: str
    study_time: str
    study_description: str
    modalities: tuple[str, ...]
    instances: int


def studies(
    index: Index,
    *,
    name: str = "",
    patient_id: str = "",
    accession: str = "",
    dates: str = "",
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[StudyLine], int]:
    """Return studies as a page shows them, the newest first, and how many match in all.

    Parameters
    ----------
    name
        Of the patient, any part of it; with ``*`` or ``?`` in it as it stands.
    patient_id, accession
        With wildcards, too.
    dates
        ``YYYYMMDD``, or a range with a dash in it, also an open one.

    Raises
    ------
    QueryError
        When the dates are none, or something is too long.
    """
    part = name if not name.strip() or "*" in name or "?" in name else f"*{name.strip()}*"
    given = {"PatientName": part, "PatientID": patient_id, "AccessionNumber": accession, "StudyDate": dates}
    keys = {keyword: value for keyword, value in given.items() if value.strip()}
    found = query.page(index, Query("study", keys, limit, offset))
    return [_line(one.study) for one in found.found], found.total


def lines(index: Index, study_instance_uids: Sequence[str]) -> dict[str, StudyLine]:
    """Return those of these studies, at most some hundred, that are in the index."""
    wanted = select(StudyRow.id, StudyRow.answer, StudyRow.attributes)
    wanted = wanted.where(StudyRow.study_instance_uid.in_(study_instance_uids))
    with index.read() as db:
        found = [_line(Said(*row)) for row in db.execute(wanted)]
    return {line.study_instance_uid: line for line in found}


def _line(said: Said) -> StudyLine:
    answer, attributes = json.loads(said.answer), json.loads(said.attributes)
    return StudyLine(
        study_instance_uid=first(answer, "StudyInstanceUID"),
        patient_name=next(iter(parts(attributes, "PatientName")), ""),
        patient_id=first(attributes, "PatientID"),
        patient_birth_date=normal.date(first(attributes, "PatientBirthDate")) or "",
        accession_number=first(attributes, "AccessionNumber"),
        study_date=normal.date(first(attributes, "StudyDate")) or "",
        study_time=(normal.time(first(attributes, "StudyTime")) or "")[:6],
        study_description=first(attributes, "StudyDescription"),
        modalities=tuple(answer[key("ModalitiesInStudy")].get("Value", [])),
        instances=int(first(answer, "NumberOfStudyRelatedInstances")),
    )

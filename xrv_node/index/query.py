"""What matches a query, a page at a time, and how much there is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, exists, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from xrv_node.index import matching
from xrv_node.index.index import Index
from xrv_node.index.levels import LEVELS, Level
from xrv_node.index.matching import Condition, QueryError
from xrv_node.index.rows import unpacked
from xrv_node.index.tables import HeaderRow, InstanceRow, SeriesRow, StudyRow, TextRow


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute that can be searched by."""

    level: Level
    match: Callable[[Any, str], Condition]
    column: InstrumentedAttribute[Any] | None = None
    """None: it is in `TextRow`."""


KEYS: Mapping[str, Key] = {
    "StudyInstanceUID": Key("study", matching.uids, StudyRow.study_instance_uid),
    "StudyDate": Key("study", matching.date, StudyRow.study_date),
    "StudyTime": Key("study", matching.time, StudyRow.study_time),
    "AccessionNumber": Key("study", matching.text, StudyRow.accession_number),
    "ModalitiesInStudy": Key("study", matching.codes, SeriesRow.modality),
    "ReferringPhysicianName": Key("study", matching.name),
    "PatientName": Key("study", matching.name),
    "PatientID": Key("study", matching.text, StudyRow.patient_id),
    "PatientBirthDate": Key("study", matching.date, StudyRow.patient_birth_date),
    "StudyID": Key("study", matching.text, StudyRow.study_number),
    "StudyDescription": Key("study", matching.text, StudyRow.study_description),
    "Modality": Key("series", matching.codes, SeriesRow.modality),
    "SeriesInstanceUID": Key("series", matching.uids, SeriesRow.series_instance_uid),
    "SeriesNumber": Key("series", matching.number, SeriesRow.series_number),
    "SeriesDescription": Key("series", matching.text, SeriesRow.series_description),
    "PerformedProcedureStepStartDate": Key("series", matching.date, SeriesRow.performed_date),
    "PerformedProcedureStepStartTime": Key("series", matching.time, SeriesRow.performed_time),
    "ScheduledProcedureStepID": Key("series", matching.text),
    "RequestedProcedureID": Key("series", matching.text),
    "SOPClassUID": Key("instance", matching.uids, InstanceRow.sop_class_uid),
    "SOPInstanceUID": Key("instance", matching.uids, InstanceRow.sop_instance_uid),
    "InstanceNumber": Key("instance", matching.number, InstanceRow.instance_number),
}
"""PS3.18 table 10.6.1-5, and three that people search by. Those of Request Attributes Sequence stand here
without it."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for."""

    level: Level
    keys: Mapping[str, str] = field(default_factory=dict)
    """Value by keyword of `KEYS`; of any level: a study matches by what is in it."""
    limit: int = 101
    offset: int = 0


class Said(NamedTuple):
    """What the index says of a row."""

    id: int
    answer: str
    """DICOM JSON of what a search answers with."""
    attributes: str
    """DICOM JSON of all that is kept of its level; of an object that stands in its header."""


@dataclass(frozen=True, slots=True)
class Found:
    """One study, series or object that matches, with what it is in."""

    study: Said
    series: Said | None = None
    instance: Said | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What matches, in an order that stays: the newest study first, within one what came first."""

    found: Sequence[Found]
    total: int
    """How much matches in all."""


_TABLES: Mapping[Level, type[Any]] = {"study": StudyRow, "series": SeriesRow, "instance": InstanceRow}


def page(index: Index, query: Query) -> Page:
    """Return what matches a query, `limit` of it from `offset` on.

    Raises
    ------
    QueryError
        When a value cannot be understood; it names the attribute.
    """
    parts = _parts(query)
    with index.read() as db:
        often = bool(parts) and all(part.is_frequent(db) for part in parts)
        wanted = _matching(query.level, [part.walked if often else part.searched for part in parts])
        ids: list[int] = list(db.scalars(wanted.limit(query.limit + 1).offset(query.offset)))
        total = query.offset + len(ids)
        if len(ids) > query.limit or (query.offset and not ids):
            total = _count(db, query.level, parts)
        return Page(_rows(db, query.level, ids[: query.limit]), total)


def headers(index: Index, instances: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the headers of objects, by the ids of their rows."""
    rows = select(HeaderRow).where(HeaderRow.instance_id.in_(instances))
    with index.read() as db:
        return {row.instance_id: json.loads(unpacked(row.packed)) for row in db.scalars(rows)}


def series_of(index: Index, studies: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Return the attributes of the series of studies, by the studies' ids."""
    rows = select(SeriesRow.study_id, SeriesRow.attributes).where(SeriesRow.study_id.in_(studies))
    found: dict[int, list[dict[str, Any]]] = {}
    with index.read() as db:
        for study, attributes in db.execute(rows.order_by(SeriesRow.id)):
            found.setdefault(study, []).append(json.loads(attributes))
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """A condition: of the rows that are looked for, or of others, by which they are linked."""

    searched: ColumnElement[bool]
    """From its index to the rows: for what few rows meet."""
    walked: ColumnElement[bool]
    """From row to row in their order, whether it holds: for what many meet, of which a page is soon full."""
    source: Select[Any]
    """The ids of the rows, from its index alone; some may be there several times."""
    rare: bool = False
    """Whether it is known that few meet it."""

    def is_frequent(self, db: Session) -> bool:
        """Whether many rows meet it, which so many steps tell."""
        return not self.rare and db.scalar(self.source.limit(1).offset(_MANY)) is not None


_MANY = 1000
_GROUPS = 3


def _matching(level: Level, conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """The ids that match, in their order."""
    table = _TABLES[level]
    chosen = select(table.id).where(*conditions)
    if level == "study":
        return chosen.order_by(StudyRow.id.desc())
    if level == "instance":
        chosen = chosen.where(InstanceRow.listed.is_(True))
    return chosen.order_by(table.study_id.desc(), table.id)


def _count(db: Session, level: Level, parts: Sequence[_Part]) -> int:
    if len(parts) == 1 and level == "study":
        ids = parts[0].source.distinct()
    else:
        ids = _matching(level, [part.searched for part in parts]).order_by(None)
    return db.scalar(select(func.count()).select_from(ids.subquery())) or 0


def _parts(query: Query) -> list[_Part]:
    """The conditions; those on rows of one other level hold for one row of it."""
    own: list[_Part] = []
    others: dict[Level, list[ColumnElement[bool]]] = {}
    for keyword, value in query.keys.items():
        wanted = KEYS[keyword]
        try:
            if wanted.level == query.level:
                own += _of_key(keyword, wanted, value)
            else:
                found = others.setdefault(wanted.level, [])
                found += [part.searched for part in _of_key(keyword, wanted, value)]
        except QueryError as error:
            raise QueryError(f"{keyword}: {error}") from None
    return own + [
        _of_level(query.level, level, conditions) for level, conditions in others.items() if conditions
    ]


def _of_key(keyword: str, wanted: Key, value: str) -> list[_Part]:
    """What a key asks of rows of its level."""
    own = _TABLES[wanted.level].id
    if keyword == "ModalitiesInStudy":
        one = wanted.match(SeriesRow.modality, value)
        return [] if one is None else [_linked(own, SeriesRow.study_id, [one])]
    if wanted.column is not None:
        one = wanted.match(wanted.column, value)
        if one is None:
            return []
        if wanted.match in (matching.number, matching.uids):
            return [_Part(one, one, select(own).where(one), rare=keyword.endswith("InstanceUID"))]
        unaided = wanted.match(wanted.column.concat(""), value)  # no index knows this expression
        return [_Part(one, one if unaided is None else unaided, select(own).where(one))]
    of = TextRow.study_id if wanted.level == "study" else TextRow.series_id
    groups = value.split("=") if wanted.match is matching.name else [value]
    if len(groups) > _GROUPS:
        raise QueryError(f"a name has {_GROUPS} component groups at most (PS3.5 section 6.2.1)")
    matches = [wanted.match(TextRow.text, group) for group in groups]
    return [_linked(own, of, [TextRow.keyword == keyword, one]) for one in matches if one is not None]


def _linked(
    own: InstrumentedAttribute[Any], of: InstrumentedAttribute[Any], conditions: Sequence[ColumnElement[bool]]
) -> _Part:
    ids = select(of).where(*conditions)
    return _Part(own.in_(ids), exists().where(of == own, *conditions), ids)


def _of_level(of: Level, other: Level, conditions: Sequence[ColumnElement[bool]]) -> _Part:
    """What is in, or has in it, a row of another level that meets conditions."""
    table, own = _TABLES[other], _TABLES[of]
    listed = [InstanceRow.listed.is_(True)] if other == "instance" else []
    if "study" in (of, other):
        here = own.id if of == "study" else own.study_id
        there = table.id if other == "study" else table.study_id
    else:
        here = own.id if of == "series" else own.series_id
        there = table.id if other == "series" else table.series_id
    return _linked(here, there, [*conditions, *listed])


_SAID = {
    "study": (StudyRow.id, StudyRow.answer, StudyRow.attributes),
    "series": (SeriesRow.id, SeriesRow.answer, SeriesRow.attributes),
    "instance": (InstanceRow.id, InstanceRow.answer, literal("{}")),
}


def _rows(db: Session, level: Level, ids: Sequence[int]) -> list[Found]:
    depth = LEVELS.index(level) + 1
    columns = [column for one in LEVELS[:depth] for column in _SAID[one]]
    rows: Any = select(*columns).where(_TABLES[level].id.in_(ids))
    if depth > 1:
        rows = rows.join(SeriesRow, SeriesRow.study_id == StudyRow.id)
    if depth > 2:
        rows = rows.join(InstanceRow, InstanceRow.series_id == SeriesRow.id)
    said = ([Said(*row[n : n + 3]) for n in range(0, 3 * depth, 3)] for row in db.execute(rows))
    by_id = {found[-1].id: Found(*found) for found in said}
    return [by_id[one] for one in ids if one in by_id]

"""One study's rows, as the audit database has its objects now."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, ResultRow, Study
from xrv_node.index import header, levels, listing, searched
from xrv_node.index.header import written
from xrv_node.index.index import Index
from xrv_node.index.tables import HeaderRow, InstanceRow, SeriesRow, StudyRow, TextRow
from xrv_node.spool import Spool

MOST = 100
"""Headers that are read in one transaction, in about a second: others wait for it."""


@dataclass(frozen=True, slots=True)
class _Object:
    """One that the audit database has."""

    row: Instance | ResultRow
    listed: bool

    @property
    def result(self) -> bool:
        return isinstance(self.row, ResultRow)

    @property
    def purged(self) -> bool:
        return self.row.purged_at is not None


@dataclass(slots=True)
class _Study:
    """A study while its rows are settled."""

    db: Session
    id: int
    uid: str
    fresh: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Headers that were read just now, by instance."""

    def header(self, instance: int) -> dict[str, Any]:
        """The header of an object, as it was kept."""
        if instance in self.fresh:
            return self.fresh[instance]
        packed = self.db.scalars(select(HeaderRow.packed).where(HeaderRow.instance_id == instance)).one()
        found: dict[str, Any] = json.loads(unpacked(packed))
        return found


def settle(index: Index, store: Store, spool: Spool, study_id: int) -> bool:
    """Have a study's rows say what the audit database says, which is read under the index's lock: who comes
    later has seen no less.

    Returns
    -------
    bool
        False where more headers are left than are read at once: it has to be settled once more.
    """
    with index.begin() as db, store.read() as audit:
        uid = audit.scalar(select(Study.study_instance_uid).where(Study.id == study_id))
        if uid is None:
            return True
        study = _Study(db, study_id, uid)
        whole = _objects(study, spool, _wanted(audit, study_id, index))
        listed = db.scalars(
            select(InstanceRow)
            .where(InstanceRow.study_id == study_id, InstanceRow.listed)
            .order_by(InstanceRow.id)
        )
        _levels(study, listed.all())
        return whole


def unpacked(packed: bytes) -> str:
    """Return a header as `HeaderRow` has it as text."""
    return zlib.decompress(packed).decode()


def _wanted(audit: Session, study_id: int, index: Index) -> dict[str, _Object]:
    results = listing.made(audit, study_id)
    current = index.chosen.current(results)
    found = {row.sop_instance_uid: _Object(row, row.id in current) for row in results}
    for row in listing.received(audit, study_id):
        found.setdefault(row.sop_instance_uid, _Object(row, True))
    images_first = sorted(found.items(), key=lambda one: one[1].result)
    return dict(images_first)


def _objects(study: _Study, spool: Spool, wanted: Mapping[str, _Object]) -> bool:
    db = study.db
    rows = select(InstanceRow).where(InstanceRow.study_id == study.id)
    known = {row.sop_instance_uid: row for row in db.scalars(rows)}
    _drop(db, [row for uid, row in known.items() if uid not in wanted])
    left = MOST
    for uid, one in wanted.items():
        row = known.get(uid)
        if row is None or (row.purged and not one.purged) or row.sha256 != one.row.sha256:
            if left == 0:
                return False
            left -= 1
            row = _read(study, spool, one, row)
        if one.purged and not row.purged:
            row.answer, row.instance_number = "{}", None
            db.execute(delete(HeaderRow).where(HeaderRow.instance_id == row.id))
        row.purged, row.listed = one.purged, one.listed and not one.purged
        if not row.listed:
            row.series_id = None
    db.flush()
    return True


def _drop(db: Session, rows: Sequence[InstanceRow]) -> None:
    for row in rows:
        db.execute(delete(HeaderRow).where(HeaderRow.instance_id == row.id))
        db.delete(row)
    db.flush()


def _read(study: _Study, spool: Spool, one: _Object, row: InstanceRow | None) -> InstanceRow:
    """A new row, or one whose file is there again or another."""
    found = one.row
    uids = {
        "SOPClassUID": found.sop_class_uid,
        "SOPInstanceUID": found.sop_instance_uid,
        "StudyInstanceUID": study.uid,
        "SeriesInstanceUID": found.series_instance_uid,
    }
    syntax = "" if isinstance(found, ResultRow) else found.transfer_syntax_uid
    if row is None:
        elsewhere = select(InstanceRow).where(InstanceRow.sop_instance_uid == found.sop_instance_uid)
        _drop(study.db, study.db.scalars(elsewhere).all())
        row = InstanceRow(study_id=study.id)
        study.db.add(row)
    row.study_instance_uid, row.series_instance_uid = study.uid, found.series_instance_uid
    row.sop_instance_uid, row.sop_class_uid = found.sop_instance_uid, found.sop_class_uid
    row.path, row.size, row.sha256 = found.path, found.size, found.sha256
    row.result, row.purged, row.listed = one.result, one.purged, False
    row.received_at = found.created_at if isinstance(found, ResultRow) else found.received_at
    if one.purged:
        row.transfer_syntax_uid, row.frames, row.answer = syntax, 0, "{}"
        study.db.flush()
        return row
    modality = {} if isinstance(found, ResultRow) else {"Modality": found.modality}
    kept = header.read(spool.absolute(found.path), uids | modality)
    row.transfer_syntax_uid = syntax or kept.transfer_syntax_uid
    row.instance_number, row.frames = kept.instance_number, kept.frames
    row.pixel_offset, row.pixel_length = kept.pixel_offset, kept.pixel_length
    counted = levels.counted(InstanceAvailability=["ONLINE"])
    row.answer = written(levels.answer("instance", kept.attributes | counted, _path(study.uid, row)))
    study.db.flush()
    study.fresh[row.id] = kept.attributes
    study.db.execute(delete(HeaderRow).where(HeaderRow.instance_id == row.id))
    study.db.add(HeaderRow(instance_id=row.id, packed=kept.packed))
    return row


def _path(study: str, row: InstanceRow) -> str:
    return f"/studies/{study}/series/{row.series_instance_uid}/instances/{row.sop_instance_uid}"


def _levels(study: _Study, listed: Sequence[InstanceRow]) -> None:
    """The rows of the study and its series, of what is listed."""
    db = study.db
    db.execute(delete(TextRow).where(TextRow.study_id == study.id))
    by_series: dict[str, list[InstanceRow]] = {}
    for instance in listed:
        by_series.setdefault(instance.series_instance_uid, []).append(instance)
    known = db.scalars(select(SeriesRow).where(SeriesRow.study_id == study.id))
    there = {row.series_instance_uid: row for row in known}
    for uid, row in there.items():
        if uid not in by_series:
            db.delete(row)
    modalities = [_series(study, uid, there.get(uid), of) for uid, of in by_series.items()]
    _study(study, listed, sorted({m for m in modalities if m}), len(by_series))


def _series(study: _Study, uid: str, row: SeriesRow | None, instances: Sequence[InstanceRow]) -> str:
    """Returns its modality."""
    db, source = study.db, instances[0].id
    if row is None:
        row = SeriesRow(study_id=study.id, series_instance_uid=uid)
        db.add(row)
    if row.source != source:
        attributes = levels.of("series", study.header(source))
        row.source, row.attributes = source, written(attributes)
    attributes = json.loads(row.attributes)
    counted = levels.counted(NumberOfSeriesRelatedInstances=[len(instances)])
    counted |= {levels.key("StudyInstanceUID"): {"vr": "UI", "Value": [study.uid]}}
    row.instances, row.answer = (
        len(instances),
        written(levels.answer("series", attributes | counted, f"/studies/{study.uid}/series/{uid}")),
    )
    for column, value in searched.series(attributes).items():
        setattr(row, column, value)
    db.flush()
    for instance in instances:
        instance.series_id = row.id
    for keyword, text in searched.of_requests(attributes):
        db.add(TextRow(keyword=keyword, text=text, study_id=study.id, series_id=row.id))
    return searched.first(attributes, "Modality")


def _study(study: _Study, listed: Sequence[InstanceRow], modalities: list[str], series: int) -> None:
    db = study.db
    row = db.get(StudyRow, study.id)
    if not listed:
        if row is not None:
            db.delete(row)
        return
    source = listed[0].id
    if row is None:
        row = StudyRow(id=study.id, study_instance_uid=study.uid)
        db.add(row)
    if row.source != source:
        row.source, row.attributes = source, written(levels.of("study", study.header(source)))
    attributes = json.loads(row.attributes)
    counted = levels.counted(
        InstanceAvailability=["ONLINE"],
        ModalitiesInStudy=modalities,
        NumberOfStudyRelatedSeries=[series],
        NumberOfStudyRelatedInstances=[len(listed)],
    )
    row.instances, row.answer = (
        len(listed),
        written(levels.answer("study", attributes | counted, f"/studies/{study.uid}")),
    )
    for column, value in searched.study(attributes).items():
        setattr(row, column, value)
    for keyword, text in searched.names(attributes):
        db.add(TextRow(keyword=keyword, text=text, study_id=study.id))

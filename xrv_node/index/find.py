"""Objects by their UIDs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select

from xrv_node.index.entries import Entry
from xrv_node.index.index import Index
from xrv_node.index.rows import unpacked
from xrv_node.index.tables import HeaderRow, InstanceRow

_AS_THEY_ARE = (
    "study_instance_uid", "series_instance_uid", "sop_instance_uid", "sop_class_uid", "transfer_syntax_uid",
    "size", "sha256", "result", "purged", "listed", "instance_number", "frames", "pixel_offset",
    "pixel_length", "received_at",
)  # fmt: skip
_ROWS: Select[Any] = select(*(getattr(InstanceRow, name) for name in _AS_THEY_ARE), InstanceRow.path)
"""Without what searches answer with, and without an object for each."""


def instance(index: Index, study: str, series: str, sop: str) -> Entry | None:
    """Return an object, also one that is superseded or purged; None where there is none under these UIDs."""
    with index.read() as db:
        row = db.execute(_ROWS.where(InstanceRow.sop_instance_uid == sop)).one_or_none()
        if row is None or (row.study_instance_uid, row.series_instance_uid) != (study, series):
            return None
        return _entry(index, row)


def instances(index: Index, study: str, series: str | None = None, *, listed: bool = True) -> list[Entry]:
    """Return the objects of a study or series that are listed, or all that it ever had, in one order."""
    with index.read() as db:
        rows = _ROWS.where(*_within(study, series, listed=listed)).order_by(InstanceRow.id)
        return [_entry(index, row) for row in db.execute(rows)]


def metadata(index: Index, study: str, series: str | None = None, sop: str | None = None) -> Iterator[str]:
    """Yield the header of each object as DICOM JSON, in the order of `instances`; of one that is named also
    where it is superseded. BulkDataURIs begin with `entries.BULK`."""
    which = _within(study, series, listed=sop is None)
    if sop is not None:
        which = [*which, InstanceRow.sop_instance_uid == sop, ~InstanceRow.purged]
    headers = (
        select(HeaderRow.packed)
        .join(InstanceRow, InstanceRow.id == HeaderRow.instance_id)
        .where(*which)
        .order_by(InstanceRow.id)
    )
    with index.read() as db:
        for packed in db.scalars(headers.execution_options(yield_per=20)):
            yield unpacked(packed)


def _within(study: str, series: str | None, *, listed: bool) -> list[ColumnElement[bool]]:
    uids: list[ColumnElement[bool]] = [InstanceRow.study_instance_uid == study]
    if series is not None:
        uids.append(InstanceRow.series_instance_uid == series)
    return [*uids, InstanceRow.listed.is_(True)] if listed else uids


def _entry(index: Index, row: Row[Any]) -> Entry:
    return Entry(path=index.root / row.path, **dict(zip(_AS_THEY_ARE, row, strict=False)))

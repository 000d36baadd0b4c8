"""Which studies: by their time, their images, and accession, patient or station, of which there are digests.

Of images that came before there were such, the header is read, as long as the file is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from xrv_node import keyed
from xrv_node.attributes import text
from xrv_node.db.tables import Instance, Study
from xrv_node.errors import ImageError
from xrv_node.radiograph.header import read_header
from xrv_node.spool import Spool


def came(since: datetime | None = None, before: datetime | None = None) -> list[ColumnElement[bool]]:
    """Of which the newest object came then."""
    first = [] if since is None else [Study.received_at >= since]
    return first if before is None else [*first, Study.received_at < before]


def with_image(**columns: str | None) -> list[ColumnElement[bool]]:
    """Which have an image with this value in a column, of each column that is given; it need not be one
    image for all of them."""
    given = {name: value for name, value in columns.items() if value is not None}
    return [
        Study.id.in_(select(Instance.study_id).where(getattr(Instance, name) == value))
        for name, value in given.items()
    ]


def said(db: Session, spool: Spool, **values: str | None) -> list[ColumnElement[bool]]:
    """The studies of which an image has this accession, Patient ID or Station Name.

    Parameters
    ----------
    values
        By column of ``keyed.KNOWN_BY``; None: any.
    """
    found: list[ColumnElement[bool]] = []
    for column, value in values.items():
        if value is not None:
            digest = keyed.attribute(spool.root, column, value)
            (known,) = with_image(**{column: digest})
            found.append(or_(known, Study.id.in_(list(_of_before(db, spool, column, value)))))
    return found


def _of_before(db: Session, spool: Spool, column: str, value: str) -> Iterator[int]:
    unknown = getattr(Instance, column).is_(None), Instance.purged_at.is_(None)
    for study, path in db.execute(select(Instance.study_id, Instance.path).where(*unknown)):
        try:
            header = read_header(spool.absolute(path))
        except (ImageError, OSError):
            continue
        if text(header, keyed.KNOWN_BY[column]) == value:
            yield study

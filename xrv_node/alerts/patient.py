"""Whose study a note is of, for alerts that were asked to say so: read from the spool, kept nowhere else."""

from __future__ import annotations

from sqlalchemy import select

from xrv_node.attributes import text
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Study
from xrv_node.errors import ImageError
from xrv_node.radiograph.header import read_header
from xrv_node.spool import Spool

_OF = {"patient_id": "PatientID", "accession_number": "AccessionNumber"}


def of(store: Store, spool: Spool, study: str) -> dict[str, str]:
    """Read what identifies a study.

    Returns
    -------
    dict
        Study Instance UID, Patient ID and accession number; the last two empty where the images are gone.
    """
    found = {"study_instance_uid": study} | dict.fromkeys(_OF, "")
    with store.read() as db:
        paths = db.scalars(select(Instance.path).join(Study).where(Study.study_instance_uid == study)).all()
    for path in paths:
        try:
            header = read_header(spool.absolute(path))
        except (ImageError, OSError):
            continue
        return found | {name: text(header, keyword) for name, keyword in _OF.items()}
    return found

"""What a new result of a study stands beside, in place of, or is the same as."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pydicom import Dataset

from xrv_node.db.tables import ResultRow
from xrv_node.errors import ImageError
from xrv_node.jobs.outcomes import same_patient
from xrv_node.radiograph.header import read_header
from xrv_node.report.uids import again_uid
from xrv_node.spool import Spool
from xrv_node.values import Predecessor


def current(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return a study's results that no newer one has superseded: those of the newest revision that has any
    of their kind and variant."""
    newest: dict[tuple[str, str], int] = {}
    for row in rows:
        form = (row.kind, row.variant)
        newest[form] = max(row.revision, newest.get(form, 0))
    return [row for row in rows if row.revision == newest[row.kind, row.variant]]


def of_patient(rows: Sequence[ResultRow], header: Dataset, spool: Spool) -> list[ResultRow]:
    """Return the results that are of the patient of a header, in a study that has several: a report must
    not name another patient's as its predecessor. One whose file is gone is nobody's."""
    found = []
    for row in rows:
        try:
            if same_patient(read_header(spool.absolute(row.path)), header):
                found.append(row)
        except ImageError:
            continue
    return found


def predecessors(rows: Sequence[ResultRow], study_instance_uid: str) -> dict[str, Predecessor]:
    """Return the newest of the results by kind, as the document that supersedes it names it."""
    return {
        r.kind: Predecessor(r.sop_class_uid, r.sop_instance_uid, r.series_instance_uid, study_instance_uid)
        for r in sorted(rows, key=lambda r: r.id)
    }


def settle(dataset: Dataset, known: Collection[str], now: Collection[str]) -> str:
    """Give an object that says what a superseded one said UIDs of its own; in place.

    Under the old UIDs it would not be sent, and readers would go on seeing what came between as the newest.

    Parameters
    ----------
    dataset : Dataset
        With file meta information.
    known : collection of str
        SOP Instance UIDs of all results that the study has had.
    now : collection of str
        Those of its `current` ones.

    Returns
    -------
    str
        Its SOP Instance UID: one of ``now`` where nothing changed, else one that is not known. The same
        history gives the same, so that a report that was made and not recorded is made again.
    """
    while str(dataset.SOPInstanceUID) in known and str(dataset.SOPInstanceUID) not in now:
        dataset.SOPInstanceUID = again_uid(str(dataset.SOPInstanceUID))
        dataset.SeriesInstanceUID = again_uid(str(dataset.SeriesInstanceUID))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return str(dataset.SOPInstanceUID)

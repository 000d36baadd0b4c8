"""Earlier studies that this node analysed itself."""

from __future__ import annotations

from pathlib import Path

import structlog
from pydicom import Dataset
from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node.analyse.analysis_file import load
from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Instance, InstanceState, Study
from xrv_node.errors import XrvNodeError
from xrv_node.priors.subject import Basis, Earlier, Subject, basis_of, highest, precedes, subject_of
from xrv_node.spool import Spool
from xrv_node.values import Analysis, Prior

log = structlog.get_logger("priors")


def remember(study: Study, header: Dataset, data_dir: Path) -> None:
    """Note on a study's row, in the caller's transaction, whose it is and when it was made.

    Called for each analysed image. One that names no patient, or another than the images before it, makes
    the study nobody's.
    """
    subject = subject_of([header])
    digest = subject.patient.digest(data_dir) if subject else ""
    date, time = (subject.date, subject.time) if subject else (None, None)
    if study.patient is None:
        study.patient, study.study_date, study.study_time = digest, date, time
    elif (study.patient, study.study_date) != (digest, date):
        study.patient = ""
    elif study.study_time != time:
        study.study_time = None


def find(
    store: Store, spool: Spool, study_instance_uid: str, subject: Subject, basis: Basis, limit: int
) -> list[Earlier]:
    """Find the patient's earlier studies in the database.

    Parameters
    ----------
    study_instance_uid
        The present study.
    subject, basis
        Whose it is and when it was made, and how it was analysed.
    limit
        The most studies to find.

    Returns
    -------
    list of Earlier
        The newest first.
    """
    of_patient = select(Study).where(
        Study.patient == subject.patient.digest(spool.root), Study.study_instance_uid != study_instance_uid
    )
    found: list[Earlier] = []
    with store.read() as db:
        studies = [s for s in db.scalars(of_patient) if precedes(s.study_date, s.study_time, subject)]
        studies.sort(key=lambda s: (s.study_date, s.study_time or "", s.study_instance_uid), reverse=True)
        for study in studies:
            if len(found) == limit:
                break
            scores = highest(
                (f.label, f.score) for a in _analyses(db, spool, study, basis) for f in a.findings
            )
            if scores:
                prior = Prior(study.study_instance_uid, study.study_date or "", scores)
                found.append(Earlier(prior, study.study_time, "spool"))
    return found


def _analyses(db: Session, spool: Spool, study: Study, basis: Basis) -> list[Analysis]:
    """The study's reported analyses that were made the same way, one an image; none where one is damaged."""
    rows = db.scalars(
        select(AnalysisRow)
        .join(Instance, Instance.id == AnalysisRow.instance_id)
        .where(Instance.study_id == study.id, Instance.state == InstanceState.ANALYSED)
        .where(AnalysisRow.purged_at.is_(None), AnalysisRow.phantom.is_(False))
        .order_by(AnalysisRow.id)
    )
    wanted = (basis.classifier, [list(point) for point in basis.site_thresholds])
    made_by = {
        r.instance_id: r
        for r in rows
        for by in [r.models["classifier"]]
        if (by["sha256"], by.get("site_thresholds", [])) == wanted
    }
    try:
        analyses = [load(spool.absolute(row.path)) for row in made_by.values()]
    except XrvNodeError as error:
        log.warning("an earlier study is left out", study=study.study_instance_uid, why=str(error))
        return []
    return [a for a in analyses if a.refused is None and basis_of([a]) == basis]

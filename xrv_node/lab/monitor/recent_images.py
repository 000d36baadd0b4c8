"""The node's own images of a time, as a sample."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import select

from xrv_node.analyse.analysis_file import load
from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Instance, Study
from xrv_node.errors import XrvNodeError
from xrv_node.lab.baseline.header_fields import Facts, columns, facts
from xrv_node.lab.baseline.sample import MOST, Sample
from xrv_node.radiograph.header import read_header
from xrv_node.spool import Spool

log = structlog.get_logger("monitor")


def recent(
    store: Store, spool: Spool, since: datetime, until: datetime, model_set: str | None = None
) -> Sample:
    """Collect the analysed images of a time whose files are still in the spool, the newest of each patient;
    phantoms are none.

    A few patients with daily images would look like a shift: `drift` takes images as independent. Where it is
    not known whose a study is, it is a patient of its own.

    Parameters
    ----------
    since, until
        When they were received, with time zone.
    model_set
        Digest of the networks; None: those of the newest analysis in that time.

    Raises
    ------
    XrvNodeError
        There are none.
    """
    query = (
        select(
            AnalysisRow.model_set,
            AnalysisRow.path,
            Instance.path.label("input"),
            Study.patient,
            Study.id,
        )
        .join(Instance, Instance.id == AnalysisRow.instance_id)
        .join(Study, Study.id == Instance.study_id)
        .where(Instance.received_at >= since, Instance.received_at < until)
        .where(AnalysisRow.purged_at.is_(None), AnalysisRow.phantom.is_(False))
    )
    newest: dict[str | int, tuple[str, str]] = {}
    with store.read() as db:
        if model_set is None:
            model_set = db.execute(query.order_by(AnalysisRow.created_at.desc()).limit(1)).scalar()
        for row in db.execute(
            query.where(AnalysisRow.model_set == model_set).order_by(Instance.received_at.desc())
        ):
            newest.setdefault(row.patient or row.id, (row.path, row.input))
            if len(newest) == MOST:
                break
    found = [one for paths in newest.values() if (one := _read(spool, *paths)) is not None]
    what = f"received {since:%Y-%m-%d} to {until:%Y-%m-%d}"
    if not found:
        raise XrvNodeError(f"no analysed images {what} are in the spool: choose a longer time with --days")
    labels = list(dict.fromkeys(label for scores, *_ in found for label in scores))
    numbers, words = columns([read for *_, read in found])
    return Sample(
        what=what,
        model_set=model_set or "",
        scores={
            label: np.array([scores.get(label, np.nan) for scores, *_ in found], np.float32)
            for label in labels
        },
        reconstruction_error=np.array([error for _, error, *_ in found], np.float32),
        embedding=np.stack([embedding for _, _, embedding, _ in found]).astype(np.float32),
        numbers=numbers,
        words=words,
    )


def _read(
    spool: Spool, path: str, image: str
) -> tuple[dict[str, float], float, NDArray[np.float32], Facts] | None:
    """One image; None where a file of it is gone or damaged, which is not this program part's to repair."""
    try:
        analysis = load(spool.absolute(path))
        read = facts(read_header(spool.absolute(image)))
    except (XrvNodeError, OSError) as error:
        log.debug("left out of the comparison", error=str(error))
        return None
    scores = {finding.label: finding.score for finding in analysis.findings}
    return scores, analysis.reconstruction_error, analysis.embedding, read

"""The node's own images of a time, as a sample."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import structlog
from pydicom import Dataset
from sqlalchemy import select

from xrv_node.analyse.store import load
from xrv_node.audit.store import Store
from xrv_node.audit.tables import AnalysisRow, Instance
from xrv_node.errors import XrvNodeError
from xrv_node.monitor.headers import columns
from xrv_node.monitor.sample import Sample
from xrv_node.radiograph.header import read_header
from xrv_node.receive.spool import Spool

MOST = 5000
"""Images of a sample, the newest ones: enough for every figure, and 20 s to read."""

log = structlog.get_logger("monitor")


def recent(
    store: Store, spool: Spool, since: datetime, until: datetime, model_set: str | None = None
) -> Sample:
    """Collect the analysed images of a time whose files are still in the spool.

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
        select(AnalysisRow.model_set, AnalysisRow.path, Instance.path.label("input"))
        .join(Instance, Instance.id == AnalysisRow.instance_id)
        .where(Instance.received_at >= since, Instance.received_at < until)
        .order_by(AnalysisRow.created_at.desc())
    )
    with store.read() as db:
        if model_set is None:
            model_set = db.execute(query.limit(1)).scalar()
        rows = db.execute(query.where(AnalysisRow.model_set == model_set).limit(MOST)).all()
    found = [one for row in rows if (one := _read(spool, row.path, row.input)) is not None]
    what = f"received {since:%Y-%m-%d} to {until:%Y-%m-%d}"
    if not found:
        raise XrvNodeError(f"no analysed images {what} are in the spool: choose a longer time with --days")
    labels = list(dict.fromkeys(label for scores, *_ in found for label in scores))
    numbers, words = columns([header for *_, header in found])
    return Sample(
        what,
        model_set or "",
        {
            label: np.array([scores.get(label, np.nan) for scores, *_ in found], np.float32)
            for label in labels
        },
        np.array([error for _, error, *_ in found], np.float32),
        np.stack([embedding for _, _, embedding, _ in found]).astype(np.float32),
        numbers,
        words,
    )


def _read(spool: Spool, path: str, image: str) -> tuple[dict[str, float], float, Any, Dataset] | None:
    """One image; None where a file of it is gone or damaged, which is not this program part's to repair."""
    try:
        analysis = load(spool.absolute(path))
        header = read_header(spool.absolute(image))
    except (XrvNodeError, OSError) as error:
        log.debug("left out of the comparison", error=str(error))
        return None
    scores = {finding.label: finding.score for finding in analysis.findings}
    return scores, analysis.reconstruction_error, analysis.embedding, header

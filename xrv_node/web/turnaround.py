"""How long things took, as histograms for Prometheus: from the trail's events."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import HistogramMetricFamily
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from xrv_node.db.tables import AuditEvent, Instance, ResultRow, Study

NAME = "xrv_node_turnaround_seconds"
BOUNDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)
"""Upper ends of the buckets in seconds, from one image on a GPU to a PACS that was away for a day."""

_STAGES: dict[str, tuple[str, InstrumentedAttribute[datetime], ColumnElement[bool]]] = {
    "analysis": (
        "instance.analysed",
        Instance.received_at,
        Instance.sop_instance_uid == AuditEvent.sop_instance_uid,
    ),
    "report": (
        "study.reported",
        Study.received_at,
        Study.study_instance_uid == AuditEvent.study_instance_uid,
    ),
    "delivery": (
        "result.delivered",
        ResultRow.created_at,
        ResultRow.sop_instance_uid == AuditEvent.sop_instance_uid,
    ),
}
"""By stage: the event at its end, and when it began."""


class Histograms:
    """Counts at each scrape from where the last one ended: the trail only grows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = 0
        self._counts = {stage: [0] * (len(BOUNDS) + 1) for stage in _STAGES}
        self._sums = dict.fromkeys(_STAGES, 0.0)

    def collect(self, db: Session) -> HistogramMetricFamily:
        """Return the metric as it is now; what it means is for its table to say."""
        family = HistogramMetricFamily(NAME, "", labels=("stage",))
        with self._lock:
            newest = db.scalar(select(func.max(AuditEvent.id))) or 0
            for stage in _STAGES:
                for seconds in _new(db, stage, self._seen, newest):
                    self._counts[stage][bisect_left(BOUNDS, seconds)] += 1
                    self._sums[stage] += seconds
                family.add_metric((stage,), list(self._buckets(stage)), self._sums[stage])
            self._seen = max(newest, self._seen)
        return family

    def _buckets(self, stage: str) -> Iterator[tuple[str, float]]:
        total = 0
        for bound, count in zip((*map(str, map(float, BOUNDS)), "+Inf"), self._counts[stage], strict=True):
            total += count
            yield bound, total


def _new(db: Session, stage: str, seen: int, newest: int) -> Iterator[float]:
    """Seconds of each event since; of what began again since then, by a late image, nothing can be said."""
    event, begin, same = _STAGES[stage]
    query = select(AuditEvent.at, begin).where(
        AuditEvent.event == event, AuditEvent.id > seen, AuditEvent.id <= newest, same
    )
    for at, began in db.execute(query):
        seconds = (datetime.fromisoformat(at) - began).total_seconds()
        if seconds >= 0:
            yield seconds

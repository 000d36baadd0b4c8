"""The numbers of a node for Prometheus, read from the database so that they cover all its processes.

Labels are states, kinds, event names and the names of destinations: no UID, no AE title, nothing of a
patient.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from xrv_node import role_locks
from xrv_node.audit import forwarder
from xrv_node.constancy import record
from xrv_node.db.queries import commissioning, events, grouped
from xrv_node.db.queue import POLICIES
from xrv_node.db.store import Store
from xrv_node.db.tables import (
    AuditEvent,
    Delivery,
    DeliveryState,
    Instance,
    InstanceState,
    Job,
    JobState,
    Study,
    StudyState,
)
from xrv_node.disk import is_paused
from xrv_node.jobs import presence
from xrv_node.product import VERSION
from xrv_node.settings import Settings
from xrv_node.values import PHANTOM_WORDS
from xrv_node.web import turnaround

Sample = tuple[tuple[str, ...], float]
"""Values of the labels, and the number."""


@dataclass(frozen=True, slots=True)
class DocumentedMetric:
    """One metric as it is documented."""

    name: str
    labels: tuple[str, ...]
    meaning: str
    kind: Literal["gauge", "counter", "histogram"] = "gauge"


METRICS: tuple[DocumentedMetric, ...] = (
    DocumentedMetric(
        "xrv_node_info",
        ("commissioning", "notice", "version"),
        "1; commissioning: whether it answers for phantoms alone; notice: what all that it says then bears",
    ),
    DocumentedMetric("xrv_node_up", ("role",), "Processes of the role that run on this data directory"),
    DocumentedMetric("xrv_node_studies", ("state",), "Studies by state"),
    DocumentedMetric("xrv_node_instances", ("state",), "Received objects by state"),
    DocumentedMetric(
        "xrv_node_jobs", ("kind", "state"), "Jobs by kind and state; queued: the depth of the queue"
    ),
    DocumentedMetric("xrv_node_deliveries", ("destination", "state"), "Results by destination and state"),
    DocumentedMetric(
        "xrv_node_events_total", ("event",), "Events of the audit trail since its first row", "counter"
    ),
    DocumentedMetric(
        "xrv_node_audit_lag_seconds",
        (),
        "Age of the oldest event that the audit repository does not have; 0 without one",
    ),
    DocumentedMetric(
        "xrv_node_oldest_job_seconds", ("kind",), "Age of the oldest job that is not ended, or 0"
    ),
    DocumentedMetric(
        "xrv_node_last_analysis_seconds", (), "How long the newest analysis took; absent before it"
    ),
    DocumentedMetric(
        "xrv_node_disk_free_bytes", (), "Room on the file system of node.data_dir for this user"
    ),
    DocumentedMetric("xrv_node_disk_bytes", (), "Size of that file system"),
    DocumentedMetric("xrv_node_receiving", (), "1; 0 while objects are refused for lack of room"),
    DocumentedMetric(
        "xrv_node_constancy_ok",
        (),
        "1 where the newest phantom was answered as before, else 0; absent before one",
    ),
    DocumentedMetric(
        "xrv_node_destination_away", ("destination",), "1 while a destination does not answer, else 0"
    ),
    DocumentedMetric("xrv_node_constancy_age_seconds", (), "Since that phantom; absent before one"),
    DocumentedMetric(
        turnaround.NAME,
        ("stage",),
        "How long it took: analysis, from the image; report, from the study's newest image; delivery, from "
        "the result",
        "histogram",
    ),
)

TOTALS = (
    *("instance.received", "instance.refused", "instance.analysed"),
    *("study.reported", "result.delivered", "job.parked"),
    *("instance.not_a_phantom", "instance.marked_otherwise"),
)
"""Events that are counted from 0 on, so that a rate over them is right from the first one."""

_REPEATED = '"repeated":'
"""In the detail of a row that stands for several events (``db.repeats``)."""

_TICKING = (JobState.QUEUED, JobState.RUNNING)


class NodeCollector(Collector):
    """Collects at each scrape. Events are counted from where the last scrape ended: the trail only grows."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._lock = threading.Lock()
        self._events: Counter[str] = Counter(dict.fromkeys(TOTALS, 0))
        self._counted = 0
        self._turnaround = turnaround.Histograms()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of :data:`METRICS`."""
        with self._store.read() as db:
            samples = self._samples(db)
            took = self._turnaround.collect(db)
        for described in METRICS:
            if described.kind == "histogram":
                took.documentation = described.meaning
                yield took
                continue
            family = CounterMetricFamily if described.kind == "counter" else GaugeMetricFamily
            metric = family(described.name, described.meaning, labels=described.labels)
            for labels, value in samples[described.name]:
                metric.add_metric(labels, value)
            yield metric

    def _samples(self, db: Session) -> dict[str, Iterable[Sample]]:
        disk = shutil.disk_usage(self._settings.data_dir)
        outbox = [(d.name, s) for d in self._settings.destinations for s in DeliveryState]
        samples: dict[str, Iterable[Sample]] = {
            "xrv_node_info": [((*_commissioning(db), VERSION), 1)],
            "xrv_node_up": [
                ((role,), role_locks.holders(self._settings.data_dir, role)) for role in role_locks.ROLES
            ],
            "xrv_node_studies": _by(db, (Study.state,), [(s,) for s in StudyState]),
            "xrv_node_instances": _by(db, (Instance.state,), [(s,) for s in InstanceState]),
            "xrv_node_jobs": _by(db, (Job.kind, Job.state), [(k, s) for k in POLICIES for s in JobState]),
            "xrv_node_deliveries": _by(db, (Delivery.destination, Delivery.state), outbox),
            "xrv_node_events_total": [((event,), n) for event, n in self._count(db).items()],
            "xrv_node_audit_lag_seconds": self._lag(db),
            "xrv_node_oldest_job_seconds": _ages(db),
            "xrv_node_last_analysis_seconds": _last_analysis(db),
            "xrv_node_disk_free_bytes": [((), disk.free)],
            "xrv_node_disk_bytes": [((), disk.total)],
            "xrv_node_receiving": [((), not is_paused(db))],
        }
        away = [((d.name,), presence.away_since(db, d.name) is not None) for d in self._settings.destinations]
        return samples | {"xrv_node_destination_away": away} | _constancy(db)

    def _lag(self, db: Session) -> list[Sample]:
        audit = self._settings.audit
        return [((), forwarder.lag_seconds(db, audit.repository) if audit.host else 0.0)]

    def _count(self, db: Session) -> dict[str, int]:
        with self._lock:
            newest = db.scalar(select(func.max(AuditEvent.id))) or 0
            new = select(AuditEvent.event, func.count()).where(
                AuditEvent.id > self._counted, AuditEvent.id <= newest
            )
            for event, number in db.execute(new.group_by(AuditEvent.event)):
                self._events[event] += number
            counts = select(AuditEvent.event, AuditEvent.detail).where(
                AuditEvent.id > self._counted, AuditEvent.id <= newest, AuditEvent.detail.contains(_REPEATED)
            )
            for event, detail in db.execute(counts):
                self._events[event] += int(json.loads(detail).get("repeated", 1)) - 1
            self._counted = max(newest, self._counted)
            return dict(self._events)


def _commissioning(db: Session) -> tuple[str, str]:
    """Whether the node was last started to answer for phantoms alone, and what it then says."""
    return ("true", PHANTOM_WORDS) if commissioning(db) else ("false", "")


def _last_analysis(db: Session) -> list[Sample]:
    return [((), e["detail"]["seconds"]) for e in events(db, event="instance.analysed", limit=1)]


def _constancy(db: Session) -> dict[str, Iterable[Sample]]:
    event = record.newest(db, record.CHECKED)
    good = [] if event is None else [((), float(event["detail"]["good"]))]
    age = (
        []
        if event is None
        else [((), (datetime.now(UTC) - datetime.fromisoformat(event["at"])).total_seconds())]
    )
    return {"xrv_node_constancy_ok": good, "xrv_node_constancy_age_seconds": age}


def _by(db: Session, columns: tuple[Any, ...], known: Iterable[tuple[str, ...]]) -> list[Sample]:
    """Rows by the values of `columns`; those that are known and have none count 0."""
    found = {tuple(map(str, row[:-1])): float(row[-1]) for row in grouped(db, *columns)}
    return list(({tuple(map(str, labels)): 0.0 for labels in known} | found).items())


def _ages(db: Session) -> list[Sample]:
    oldest = select(Job.kind, func.min(Job.created_at)).where(Job.state.in_(_TICKING)).group_by(Job.kind)
    now = datetime.now(UTC)
    ages = {kind: max((now - since).total_seconds(), 0.0) for kind, since in db.execute(oldest)}
    return [((kind,), ages.get(kind, 0.0)) for kind in POLICIES]

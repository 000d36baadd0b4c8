"""A node's rooms in this process, from intake to outbox, for faults that are put in between them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from analysed import Networks
from fault_archive import Archive
from invariants import Scene, broken
from made import encoded, incoming, radiograph
from pydicom import Dataset
from sqlalchemy import select

from xrv_node.db import progress, queue
from xrv_node.db.queue import Claim
from xrv_node.db.store import Store
from xrv_node.db.tables import Job, Study
from xrv_node.deliver.dimse import DimseSender
from xrv_node.jobs import analyse, outbox, report, schedule, worker
from xrv_node.reasons import as_is
from xrv_node.receive import intake
from xrv_node.settings import Settings
from xrv_node.settings.destinations import DimseDestination
from xrv_node.spool import Spool

KINDS = ("report", "sr-image")
"""What needs no regions or masks: the analyser of these tests draws none."""


@dataclass
class Rooms:
    """One database, one spool, one archive; a call does what a process of the node would do then."""

    store: Store
    spool: Spool
    archive: Archive
    networks: Any = field(default_factory=Networks)
    acknowledged: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        destination = DimseDestination(
            name="pacs",
            ae_title="ARCHIVE",
            host="127.0.0.1",
            port=self.archive.port,
            send=KINDS,
        )
        self.settings = Settings(destinations=[destination.model_dump()])
        self.sender = DimseSender(destination, "XRVNODE")
        self.handlers = {
            "analyse": worker.Handler("analyse", self._analyse, limit=4),
            "report": worker.Handler("report", self._report),
            "deliver": worker.Handler("deliver", self._deliver, limit=20, destination="pacs"),
        }

    def receive(self, *studies: int) -> None:
        """Take an image of each study, as an association does."""
        for number in studies:
            dataset: Dataset = radiograph(1, study=number)
            intake.accept(self.store, self.spool, self.settings.frontal, incoming(dataset))
            self.acknowledged[str(dataset.SOPInstanceUID)] = hashlib.sha256(encoded(dataset)).hexdigest()

    def work(self, *kinds: str) -> None:
        """Do jobs of these kinds, or of all, until none is due."""
        stop = Event()
        handlers = [self.handlers[kind] for kind in kinds or self.handlers]
        worker.work(self.store, handlers, owner="t", stop=stop, idle=stop.set)

    def close_studies(self) -> None:
        """What the clock does when they fell quiet."""
        with self.store.begin() as db:
            for study in db.scalars(select(Study)):
                progress.close_study(db, study, as_is("test"))

    def retry_parked(self) -> None:
        """What a person does with ``xrv-node jobs retry``."""
        with self.store.begin() as db:
            for job in db.scalars(select(Job.id).where(Job.state == "parked")).all():
                progress.retry(db, job)

    def recover(self) -> None:
        """What a process does that takes the role lock of one that died."""
        queue.recover(self.store, "t")

    def tidy(self) -> None:
        """What the clock does with jobs that outlived every worker."""
        schedule.park_abandoned(self.store)

    def broken(self, *, killed: bool = False) -> list[str]:
        """The invariants that do not hold."""
        self.sender.close()
        return broken(
            Scene(self.store, self.spool, self.acknowledged, {"pacs": self.archive.held}, killed=killed)
        )

    def _analyse(self, claims: Sequence[Claim]) -> None:
        analyse.run(self.store, self.spool, self.networks, claims)

    def _report(self, claims: Sequence[Claim]) -> None:
        report.run(self.settings, self.store, self.spool, self.networks.model_set, claims)

    def _deliver(self, claims: Sequence[Claim]) -> None:
        outbox.deliver(self.store, self.spool, "pacs", self.sender, claims)

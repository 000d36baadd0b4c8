"""Studies that went through intake, analysis and report, with scores that the test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from made import incoming, radiograph
from pydicom import Dataset, dcmread
from sqlalchemy import select

from xrv_node.db import progress, queries, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import ResultRow, Study
from xrv_node.errors import ImageError
from xrv_node.jobs import analyse, report
from xrv_node.jobs.outcomes import images_of
from xrv_node.priors import search
from xrv_node.reasons import Reason, as_is
from xrv_node.receive import intake
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.values import Analysis, AnalysisInput, Finding, Frame, ModelIdentity, ModelSet, Prior

CLASSIFIER = "1a" * 32
BEFORE, NOW = "20250301", "20260101"
RULES = Settings().frontal


def settings(language: str = "en", **section: Any) -> Settings:
    """A node with one destination that takes readable reports, and this ``[priors]`` section."""
    out = {"name": "out", "kind": "folder", "path": "/nowhere", "send": ["report"], "language": language}
    return Settings(destinations=[out], priors=section)


@dataclass
class Networks:
    """An analyser with the answers that the test gives it, the same for every image unless told otherwise."""

    scores: dict[str, float] = field(default_factory=lambda: {"Effusion": 0.25, "Mass": 0.75})
    classifier: str = CLASSIFIER
    phantom: bool = False
    resampler: str = "linear"
    refused: Reason | None = None
    of_image: dict[str, dict[str, float]] = field(default_factory=dict)
    site_thresholds: tuple[tuple[str, float], ...] = ()

    @property
    def model_set(self) -> ModelSet:
        other = [ModelIdentity(role, role, "2b" * 32) for role in ("segmenter", "autoencoder")]
        return ModelSet(
            ModelIdentity("classifier", "densenet121-res224-all", self.classifier, self.site_thresholds),
            *other,
            phantom=self.phantom,
        )

    def analyse(self, batch: Sequence[AnalysisInput]) -> list[Analysis | ImageError]:
        return [
            Analysis(
                sop_instance_uid=item.sop_instance_uid,
                model_set=self.model_set,
                findings=tuple(
                    Finding(label, score, score)
                    for label, score in self.of_image.get(item.sop_instance_uid, self.scores).items()
                ),
                structures=("Heart",),
                masks=np.zeros((1, 8, 8), bool),
                frame=Frame(300, 260, 20, 0, 260),
                reconstruction_error=1.0,
                embedding=np.zeros(512, np.float32),
                resampler=self.resampler,
                ssim=0.5,
                refused=self.refused,
            )
            for item in batch
        ]


@dataclass(frozen=True)
class Site:
    """A node's database and spool."""

    store: Store
    spool: Spool

    def analyse(self, *images: Dataset, networks: Networks | None = None) -> None:
        """Receive images of one study and analyse them."""
        for image in images:
            intake.accept(self.store, self.spool, RULES, incoming(image))
        claims = queue.claim(self.store, "analyse", owner="t", limit=9)
        analyse.run(self.store, self.spool, networks or Networks(), claims)

    def report(self, study: int, networks: Networks | None = None, **wanted: Any) -> list[Dataset]:
        """Close a study, or say that it must be reported once more; returns all reports that it has."""
        with self.store.begin() as db:
            row = db.scalars(select(Study).where(Study.study_instance_uid == f"1.2.3.{study}")).one()
            progress.close_study(db, row, as_is("test"))
            if row.state == "reported":
                row.state = "closed"
                progress.report_when_ready(db, row)
        claims = queue.claim(self.store, "report", owner="t")
        report.run(settings(**wanted), self.store, self.spool, (networks or Networks()).model_set, claims)
        with self.store.read() as db:
            rows = db.scalars(select(ResultRow).where(ResultRow.study_id == row.id).order_by(ResultRow.id))
            return [dcmread(self.spool.absolute(r.path)) for r in rows]

    def priors(self, study: int, **section: Any) -> list[Prior]:
        """What is found for a study that was analysed."""
        with self.store.read() as db:
            row = db.scalars(select(Study).where(Study.study_instance_uid == f"1.2.3.{study}")).one()
            images = images_of(db, self.spool, row, Networks().model_set)
        found = search.find(settings(**section), self.store, self.spool, row.study_instance_uid, images)
        return [e.prior for e in found.earlier]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Details of the trail's events of a kind."""
        with self.store.read() as db:
            return [e["detail"] for e in queries.events(db, event=name)]


def image(study: int, date: str = NOW, number: int = 1, **attributes: Any) -> Dataset:
    """A frontal radiograph of the patient."""
    return radiograph(number, study, **({"StudyDate": date} | attributes))

"""The analyse job: received images in, stored analyses out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from time import perf_counter

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node.analyse.analyser import Analyser, AnalysisInput
from xrv_node.analyse.store import save
from xrv_node.audit import trail
from xrv_node.audit.store import Store
from xrv_node.audit.tables import AnalysisRow, Instance, InstanceState, JobState
from xrv_node.errors import ImageError
from xrv_node.jobs import progress, queue
from xrv_node.jobs.queue import Claim, LeaseLostError
from xrv_node.receive.spool import Spool
from xrv_node.values import Analysis

log = structlog.get_logger("analyse")


def run(store: Store, spool: Spool, analyser: Analyser, claims: Sequence[Claim]) -> None:
    """Analyse a batch of images; each ends its own job, so one that cannot be read harms no other."""
    with store.read() as db:
        instances = [db.get_one(Instance, c.instance_id) for c in claims]
    began = perf_counter()
    outcomes = analyser.analyse(
        [AnalysisInput(i.sop_instance_uid, spool.absolute(i.path)) for i in instances]
    )
    seconds = round((perf_counter() - began) / len(claims), 3)
    for claim, outcome in zip(claims, outcomes, strict=True):
        try:
            if isinstance(outcome, ImageError):
                with store.begin() as db:
                    progress.failed(db, claim, str(outcome), final=True)
                log.error("not analysed", instance=claim.instance_id, why=str(outcome))
            else:
                _keep(store, spool, claim, outcome, seconds)
        except LeaseLostError:
            log.warning("analysed late, another process has the job now", job=claim.job_id)


def _keep(store: Store, spool: Spool, claim: Claim, analysis: Analysis, seconds: float) -> None:
    with store.read() as db:
        study_uid = progress.study_of(db, claim.study_id).study_instance_uid
    digest = analysis.model_set.digest
    path = spool.analysis(study_uid, analysis.sop_instance_uid, digest)
    save(analysis, path)
    with store.begin() as db:
        job = queue.hold(db, claim)
        instance = db.get_one(Instance, claim.instance_id)
        if not _known(db, instance, digest):
            db.add(_row(analysis, instance, spool.relative(path)))
        instance.state, instance.error = InstanceState.ANALYSED, None
        queue.close(job, JobState.DONE)
        trail.record(
            db,
            "instance.analysed",
            study=study_uid,
            instance=instance.sop_instance_uid,
            models={m.role: m.name for m in analysis.model_set.models},
            model_set=digest,
            commissioning=analysis.model_set.commissioning,
            resampler=analysis.resampler,
            present=[f.label for f in analysis.findings if f.present],
            seconds=seconds,
        )
        progress.report_when_ready(db, progress.study_of(db, claim.study_id))
    log.info("analysed", study=study_uid, instance=analysis.sop_instance_uid, seconds=seconds)


def _known(db: Session, instance: Instance, digest: str) -> bool:
    same = select(AnalysisRow.id).where(
        AnalysisRow.instance_id == instance.id, AnalysisRow.model_set == digest
    )
    return db.scalar(same) is not None


def _row(analysis: Analysis, instance: Instance, path: str) -> AnalysisRow:
    return AnalysisRow(
        instance_id=instance.id,
        model_set=analysis.model_set.digest,
        models={m.role: asdict(m) for m in analysis.model_set.models},
        commissioning=analysis.model_set.commissioning,
        scores={f.label: round(f.score, 6) for f in analysis.findings},
        reconstruction_error=analysis.reconstruction_error,
        path=path,
        created_at=datetime.now(UTC),
    )

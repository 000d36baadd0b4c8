"""The report job: a closed study in, its result objects and their deliveries out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from pydicom import Dataset
from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import durable, report
from xrv_node.analyse.store import load
from xrv_node.attributes import integer, text
from xrv_node.audit import trail
from xrv_node.audit.store import Store
from xrv_node.audit.tables import (
    AnalysisRow,
    Delivery,
    DeliveryState,
    Instance,
    InstanceState,
    JobState,
    ResultRow,
    Study,
)
from xrv_node.jobs import progress, queue
from xrv_node.jobs.queue import Claim, LeaseLostError
from xrv_node.radiograph.header import read_header
from xrv_node.receive.spool import Spool
from xrv_node.report.kinds import variant
from xrv_node.settings import Settings
from xrv_node.values import (
    Evidence,
    FrontalDecision,
    ImageOutcome,
    ModelSet,
    Predecessor,
    StudyOutcome,
    Style,
    Verdict,
)

log = structlog.get_logger("report")


def run(settings: Settings, store: Store, spool: Spool, model_set: ModelSet, claims: Sequence[Claim]) -> None:
    """Report each study: make its objects, keep them, and put them into the outbox."""
    for claim in claims:
        with store.read() as db:
            study = db.get_one(Study, claim.study_id)
            revision = study.revision
            images = _images(db, spool, study, model_set)
            earlier = db.scalars(
                select(ResultRow).where(ResultRow.study_id == study.id).order_by(ResultRow.id)
            ).all()
        # In the site's own time zone, as the dates of the images are.
        closed_at = (study.closed_at or datetime.now(UTC)).astimezone()
        outcome = StudyOutcome(study.study_instance_uid, images, model_set, closed_at)
        # The same content has the same UID, and was sent already: a PACS never shows a finding twice.
        known = {row.sop_instance_uid for row in earlier}
        made = []
        for (kind, form), style in wanted(settings, images).items():
            whole = replace(outcome, predecessors=_predecessors(study, earlier, kind, form))
            for result in report.build(whole, [kind], style):
                if result.dataset.SOPInstanceUID not in known:
                    made.append(_keep(spool, study.study_instance_uid, result, form))
        try:
            _record(settings, store, claim, revision, model_set, made)
        except LeaseLostError:
            log.warning("reported late, another process has the job now", job=claim.job_id)
            continue
        log.info("reported", study=study.study_instance_uid, results=[row.kind for row in made])


def wanted(settings: Settings, images: Sequence[ImageOutcome]) -> dict[tuple[str, str], Style]:
    """The kinds that some destination takes, each in every variant (`kinds.variant`) that is asked for; none
    for a study in which nothing was to be analysed.

    A failed analysis is always reported: the radiologist who waits for a result must learn that none comes.
    """
    if not settings.study.report_skipped and not any(i.analysis or i.error for i in images):
        return {}
    return {
        (kind, variant(kind, destination.style)): destination.style
        for destination in settings.destinations
        for kind in destination.send
    }


def _images(db: Session, spool: Spool, study: Study, model_set: ModelSet) -> tuple[ImageOutcome, ...]:
    rows = db.scalars(select(Instance).where(Instance.study_id == study.id)).all()
    images = [_image(db, spool, row, model_set) for row in rows]
    return tuple(sorted(images, key=lambda i: _order(i.header)))


def _image(db: Session, spool: Spool, row: Instance, model_set: ModelSet) -> ImageOutcome:
    decision = FrontalDecision(
        Verdict(row.verdict), row.view, tuple(row.reasons), tuple(Evidence(**e) for e in row.evidence)
    )
    header = read_header(spool.absolute(row.path))
    if row.state != InstanceState.ANALYSED:
        return ImageOutcome(header, decision, error=row.error if row.state == InstanceState.FAILED else None)
    analysis = db.scalars(
        select(AnalysisRow)
        .where(AnalysisRow.instance_id == row.id)
        .order_by(AnalysisRow.model_set != model_set.digest, AnalysisRow.id.desc())
    ).first()
    if analysis is None:
        return ImageOutcome(header, decision, error="its analysis is missing; reprocess the study")
    kept = load(spool.absolute(analysis.path))
    return ImageOutcome(header, decision, kept, error=kept.refused)


def _order(header: Dataset) -> tuple[int, str, int, str]:
    return (
        integer(header, "SeriesNumber"),
        text(header, "SeriesInstanceUID"),
        integer(header, "InstanceNumber"),
        text(header, "SOPInstanceUID"),
    )


def _predecessors(
    study: Study, earlier: Sequence[ResultRow], kind: str, variant: str
) -> dict[str, Predecessor]:
    """The newest document of a kind and variant, which a new one supersedes; only reports supersede."""
    return {
        r.kind: Predecessor(
            r.sop_class_uid, r.sop_instance_uid, r.series_instance_uid, study.study_instance_uid
        )
        for r in earlier
        if (r.kind, r.variant) == (kind, variant)
    }


def _keep(spool: Spool, study_uid: str, result: report.Result, variant: str) -> ResultRow:
    """Write one object to the spool; its row is added with the others, in one transaction."""
    data = report.to_bytes(result.dataset)
    uid = str(result.dataset.SOPInstanceUID)
    path = spool.result(study_uid, uid)
    durable.write(path, [data])
    return ResultRow(
        kind=result.kind,
        variant=variant,
        sop_class_uid=str(result.dataset.SOPClassUID),
        sop_instance_uid=uid,
        series_instance_uid=str(result.dataset.SeriesInstanceUID),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        path=spool.relative(path),
        created_at=datetime.now(UTC),
    )


def _record(
    settings: Settings,
    store: Store,
    claim: Claim,
    revision: int,
    model_set: ModelSet,
    made: Sequence[ResultRow],
) -> None:
    with store.begin() as db:
        job = queue.hold(db, claim)
        study = progress.study_of(db, claim.study_id)
        for row in made:
            row.study_id, row.revision, row.model_set = study.id, revision, model_set.digest
            db.add(row)
            db.flush()
            _put_out(db, settings, study, row)
        queue.close(job, JobState.DONE)
        trail.record(
            db,
            "study.reported",
            study=study.study_instance_uid,
            revision=revision,
            results={row.sop_instance_uid: row.kind for row in made},
            model_set=model_set.digest,
            commissioning=model_set.commissioning,
        )
        progress.reported(db, study, revision)


def _put_out(db: Session, settings: Settings, study: Study, row: ResultRow) -> None:
    for destination in settings.destinations:
        if row.kind in destination.send and row.variant == variant(row.kind, destination.style):
            delivery = Delivery(
                result_id=row.id,
                destination=destination.name,
                state=DeliveryState.WAITING,
                updated_at=datetime.now(UTC),
            )
            db.add(delivery)
            db.flush()
            queue.enqueue(db, "deliver", study=study.id, delivery=delivery.id)

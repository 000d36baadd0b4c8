"""The report job: a closed study in, its result objects and their deliveries out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
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
from xrv_node.deliver import routing
from xrv_node.deliver.settings import DestinationSection
from xrv_node.jobs import progress, queue
from xrv_node.jobs.queue import Claim, LeaseLostError
from xrv_node.priors import search
from xrv_node.radiograph.header import read_header
from xrv_node.receive.spool import Spool
from xrv_node.report.kinds import KINDS, variant
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
            callers = set(db.scalars(select(Instance.calling_ae).where(Instance.study_id == study.id)))
            informed = _informed(db, study)
        destinations = takers(settings, images, callers, informed)
        styles = wanted(destinations)
        uid = study.study_instance_uid
        found = search.find(settings, store, spool, uid, images) if styles else search.Found()
        # In the site's own time zone, as the dates of the images are.
        closed_at = (study.closed_at or datetime.now(UTC)).astimezone()
        priors = tuple(e.prior for e in found.earlier)
        outcome = StudyOutcome(uid, images, model_set, closed_at, priors=priors)
        # The same content has the same UID, and was sent already: a PACS never shows a finding twice.
        known = {row.sop_instance_uid for row in earlier}
        made: list[ResultRow] = []
        current: set[str] = set()
        for (kind, form), style in styles.items():
            whole = replace(outcome, predecessors=_predecessors(study, earlier, kind, form))
            for result in report.build(whole, [kind], style):
                current.add(str(result.dataset.SOPInstanceUID))
                if result.dataset.SOPInstanceUID not in known:
                    made.append(_keep(spool, uid, result, form))
        same = [row for row in earlier if row.sop_instance_uid in current]
        try:
            _record(destinations, store, claim, revision, model_set, found, made, same)
        except LeaseLostError:
            log.warning("reported late, another process has the job now", job=claim.job_id)
            continue
        log.info("reported", study=uid, results=[row.kind for row in made])


def takers(
    settings: Settings,
    images: Sequence[ImageOutcome],
    callers: Collection[str] = (),
    informed: Collection[str] = (),
) -> list[DestinationSection]:
    """The destinations that get a study's results: those whose ``when`` it matches, and of a study in which
    nothing was to be analysed only those that want to hear of it.

    A failed analysis is always reported: the radiologist who waits for a result must learn that none comes.

    Parameters
    ----------
    callers
        AE titles that the images came from.
    informed
        Names of destinations that got earlier results of the study; they get what supersedes them, though
        the finding that led there be gone.
    """
    due = any(i.analysis or i.error for i in images)
    otherwise = settings.study.report_skipped
    return [
        d
        for d in settings.destinations
        if (due or (otherwise if d.report_skipped is None else d.report_skipped))
        and (d.name in informed or routing.matches(d.when, images, callers))
    ]


def _informed(db: Session, study: Study) -> set[str]:
    sent = select(Delivery.destination).join(ResultRow, ResultRow.id == Delivery.result_id)
    return set(db.scalars(sent.where(ResultRow.study_id == study.id)))


def wanted(destinations: Sequence[DestinationSection]) -> dict[tuple[str, str], Style]:
    """The kinds that some destination takes, each in every variant (`kinds.variant`) that is asked for."""
    return {
        (kind, variant(kind, destination.style)): destination.style
        for destination in destinations
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
    data = report.to_bytes(result.dataset, deflated=KINDS[result.kind].deflates)
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
    destinations: Sequence[DestinationSection],
    store: Store,
    claim: Claim,
    revision: int,
    model_set: ModelSet,
    found: search.Found,
    made: Sequence[ResultRow],
    same: Sequence[ResultRow],
) -> None:
    with store.begin() as db:
        job = queue.hold(db, claim)
        study = progress.study_of(db, claim.study_id)
        for row in made:
            row.study_id, row.revision, row.model_set = study.id, revision, model_set.digest
            db.add(row)
            db.flush()
            _put_out(db, destinations, study, row)
        for row in same:  # for a destination that had no part in the study before
            _put_out(db, destinations, study, row)
        queue.close(job, JobState.DONE)
        if found.unavailable is not None:
            trail.record(db, "priors.unavailable", study=study.study_instance_uid, why=found.unavailable)
        trail.record(
            db,
            "study.reported",
            study=study.study_instance_uid,
            revision=revision,
            results={row.sop_instance_uid: row.kind for row in made},
            model_set=model_set.digest,
            commissioning=model_set.commissioning,
            destinations=[d.name for d in destinations],
            priors=[
                {"study": e.prior.study_instance_uid, "date": e.prior.study_date, "from": e.source}
                for e in found.earlier
            ],
        )
        progress.reported(db, study, revision)


def _put_out(db: Session, destinations: Sequence[DestinationSection], study: Study, row: ResultRow) -> None:
    had = set(db.scalars(select(Delivery.destination).where(Delivery.result_id == row.id)))
    for destination in destinations:
        if destination.name in had:
            continue
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

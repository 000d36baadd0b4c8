"""The report job: a closed study in, its result objects and their deliveries out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from xrv_node.attributes import text
from xrv_node.constancy import record as constancy
from xrv_node.db import progress, queue, trail
from xrv_node.db.queue import Claim, LeaseLostError
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, DeliveryState, JobState, ResultRow, Study
from xrv_node.deliver import routing
from xrv_node.jobs import outcomes, results
from xrv_node.jobs.outcomes import ClosedStudy
from xrv_node.jobs.results import PatientReport, Results
from xrv_node.priors import search
from xrv_node.reasons import Reason
from xrv_node.result_kinds import variant
from xrv_node.settings import Settings
from xrv_node.settings.destinations import DestinationSection
from xrv_node.spool import Spool
from xrv_node.values import ImageOutcome, ModelSet, Style

log = structlog.get_logger("report")


@dataclass(frozen=True, slots=True, eq=False)
class _Report:
    """A whole report, before it is on record."""

    revision: int
    model_set: ModelSet
    destinations: Sequence[DestinationSection]
    silent: Collection[str]
    """Names of those of them to which nothing leaves."""
    priors: search.Found
    patients: Sequence[PatientReport]
    made: Results


def run(
    settings: Settings,
    store: Store,
    spool: Spool,
    model_set: ModelSet,
    claims: Sequence[Claim],
    phantoms: ModelSet | None = None,
) -> None:
    """Report each study: make its objects, keep them, and put them into the outbox.

    Parameters
    ----------
    model_set
        That answers for patients; of a node without such networks the one for phantoms.
    phantoms
        That answers for phantoms; None where there is none. A study of phantoms alone is its report's; of one
        with a patient's image in it, the phantoms are images that were not analysed.
    """
    for claim in claims:
        with store.read() as db:
            alone = phantoms is not None and outcomes.of_phantoms(db, claim.study_id)
        by = phantoms if alone and phantoms is not None else model_set
        if not _analysed_anew(store, by, claim):
            _report_study(settings, store, spool, by, claim)


def _report_study(settings: Settings, store: Store, spool: Spool, model_set: ModelSet, claim: Claim) -> None:
    closed = outcomes.read(store, spool, claim.study_id, model_set)
    destinations = takers(settings, closed.images, closed.callers, closed.informed)
    fetched = [settings.web_taker] if _due(settings, closed.images, settings.web_taker) else []
    with store.read() as db:
        if constancy.is_test(db, closed.uid):
            destinations = [d for d in settings.destinations if d.name in settings.constancy.destinations]
            fetched = []
    styles = wanted([*destinations, *fetched])
    compared = bool(styles) and not model_set.phantom
    priors = _priors(settings, store, spool, closed) if compared else search.Found()
    patients = results.by_patient(spool, model_set, closed, priors, measured(settings, model_set))
    made = results.make(spool, closed, patients, styles)
    try:
        silent = [d.name for d in destinations if settings.keeps_back(d)]
        report = _Report(closed.revision, model_set, destinations, silent, priors, patients, made)
        _record(store, claim, report)
    except LeaseLostError:
        log.warning("reported late, another process has the job now", job=claim.job_id)
        return
    log.info("reported", study=closed.uid, results=[row.kind for row in made.new])


def _analysed_anew(store: Store, model_set: ModelSet, claim: Claim) -> bool:
    """Put a report off whose images were analysed by other models, and have them analysed by these."""
    with store.read() as db:
        if not outcomes.outdated(db, db.get_one(Study, claim.study_id), model_set):
            return False
    with store.begin() as db:
        study = progress.study_of(db, claim.study_id)
        images = outcomes.outdated(db, study, model_set)
        queue.close(queue.hold(db, claim), JobState.CANCELLED, Reason("analysed-first"))
        for image in images:
            progress.analyse_again(db, image)
        trail.record(
            db,
            "study.reprocessed",
            study=study.study_instance_uid,
            revision=study.revision,
            images=[image.sop_instance_uid for image in images],
            why=Reason("other-models"),
        )
    return True


def takers(
    settings: Settings,
    images: Sequence[ImageOutcome],
    callers: Collection[str] = (),
    informed: Collection[str] = (),
) -> list[DestinationSection]:
    """The destinations that get a study's results: those whose ``when`` it matches, and of a study in which
    nothing was to be analysed only those that want to hear of it.

    A failed analysis is always reported, and an image that is not analysed for its SOP Instance UID: the
    radiologist who waits for a result must learn that none comes.

    Parameters
    ----------
    callers
        AE titles that the images came from.
    informed
        Names of destinations that got earlier results of the study; they get what supersedes them, though
        the finding that led there be gone.
    """
    return [
        d
        for d in settings.destinations
        if _due(settings, images, d) and (d.name in informed or routing.matches(d.when, images, callers))
    ]


def _due(settings: Settings, images: Sequence[ImageOutcome], taker: DestinationSection) -> bool:
    """Whether there is something to say of a study to one who takes results."""
    if any(i.analysis or i.error or outcomes.withheld(i) for i in images):
        return True
    rule = settings.study.report_skipped if taker.report_skipped is None else taker.report_skipped
    return _told_of(images, rule)


def _told_of(images: Sequence[ImageOutcome], rule: bool | int) -> bool:
    """Whether a study in which nothing was to be analysed is one of those that are reported: all, none, or
    one in so many, which its Study Instance UID decides, so that it is the same one each time."""
    if isinstance(rule, bool) or not images:
        return bool(rule)
    uid = text(images[0].header, "StudyInstanceUID")
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8]) % rule == 0


def wanted(destinations: Sequence[DestinationSection]) -> dict[tuple[str, str], Style]:
    """The kinds that some destination takes, in every variant (`result_kinds.variant`) that is asked for."""
    return {
        (kind, variant(kind, destination.style)): destination.style
        for destination in destinations
        for kind in destination.send
    }


def _priors(settings: Settings, store: Store, spool: Spool, closed: ClosedStudy) -> search.Found:
    """Earlier studies of the patient; of a study that names several patients there are none."""
    if len(closed.patients) > 1:
        return search.Found(told=search.NOT_COMPARABLE)
    return search.find(settings, store, spool, closed.uid, closed.images)


def measured(settings: Settings, model_set: ModelSet) -> dict[str, tuple[float, float]]:
    """What the site has measured, of the networks for patients."""
    measured = {} if model_set.phantom else settings.models.measured
    return {label: (rate.sensitivity, rate.specificity) for label, rate in measured.items()}


def _record(store: Store, claim: Claim, report: _Report) -> None:
    with store.begin() as db:
        job = queue.hold(db, claim)
        study = progress.study_of(db, claim.study_id)
        for row in report.made.new:
            row.study_id, row.revision, row.model_set = study.id, report.revision, report.model_set.digest
            db.add(row)
            db.flush()
            _put_out(db, report, study, row)
        for row in report.made.unchanged:  # for a destination that had no part in the study before
            _put_out(db, report, study, row)
        for row in report.made.kept_again:
            there = {"purged_at": None, "sha256": row.sha256, "size": row.size}
            db.execute(update(ResultRow).where(ResultRow.id == row.id).values(there))
        still = ResultRow.id.in_([row.id for row in report.made.unchanged])
        db.execute(update(ResultRow).where(still).values(revision=report.revision))
        queue.close(job, JobState.DONE)
        _tell(db, study, report)
        progress.reported(db, study, report.revision)


def _tell(db: Session, study: Study, report: _Report) -> None:
    """The report's audit events."""
    uid = study.study_instance_uid
    if report.priors.unavailable is not None:
        trail.record(db, "priors.unavailable", study=uid, why=report.priors.unavailable)
    for patient in report.patients:
        for image in patient.set_aside:
            trail.record(db, "instance.set_aside", study=uid, **image)
    trail.record(
        db,
        "study.reported",
        study=uid,
        revision=report.revision,
        results={row.sop_instance_uid: row.kind for row in report.made.new},
        model_set=report.model_set.digest,
        phantom=report.model_set.phantom,
        destinations=[d.name for d in report.destinations],
        silent=list(report.silent),
        patients=len(report.patients),
        priors=[
            {"study": e.prior.study_instance_uid, "date": e.prior.study_date, "from": e.source}
            for e in report.priors.earlier
        ],
    )


def _put_out(db: Session, report: _Report, study: Study, row: ResultRow) -> None:
    had = set(db.scalars(select(Delivery.destination).where(Delivery.result_id == row.id)))
    for destination in report.destinations:
        if destination.name in had:
            continue
        if row.kind in destination.send and row.variant == variant(row.kind, destination.style):
            silent = destination.name in report.silent
            delivery = Delivery(
                result_id=row.id,
                destination=destination.name,
                state=DeliveryState.SILENT if silent else DeliveryState.WAITING,
                updated_at=datetime.now(UTC),
            )
            db.add(delivery)
            db.flush()
            if not silent:
                queue.enqueue(db, "deliver", study=study.id, delivery=delivery.id)

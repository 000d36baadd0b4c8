"""The report job: a closed study in, its result objects and their deliveries out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from xrv_node import durable, report
from xrv_node.attributes import text
from xrv_node.db import progress, queue, trail
from xrv_node.db.queue import Claim, LeaseLostError
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, DeliveryState, Instance, JobState, ResultRow, Study
from xrv_node.deliver import routing
from xrv_node.frontal.repeats import Repeat
from xrv_node.jobs import outcomes, supersede
from xrv_node.priors import search
from xrv_node.report.kinds import KINDS, variant
from xrv_node.settings import Settings
from xrv_node.settings.destinations import DestinationSection
from xrv_node.spool import Spool
from xrv_node.values import ImageOutcome, ModelSet, StudyOutcome, Style

log = structlog.get_logger("report")


@dataclass(frozen=True, slots=True)
class _Report:
    """What was made of a study, before it is on record."""

    revision: int
    model_set: ModelSet
    made: Sequence[ResultRow]
    same: Sequence[ResultRow]
    """Those of before that say what would have been made."""
    found: search.Found
    patients: int
    aside: Sequence[dict[str, Any]]
    """The images that are not reported because another of their exposure is."""


def run(settings: Settings, store: Store, spool: Spool, model_set: ModelSet, claims: Sequence[Claim]) -> None:
    """Report each study: make its objects, keep them, and put them into the outbox."""
    for claim in claims:
        if _analysed_anew(store, model_set, claim):
            continue
        with store.read() as db:
            study = db.get_one(Study, claim.study_id)
            images = outcomes.images_of(db, spool, study, model_set)
            earlier = db.scalars(
                select(ResultRow).where(ResultRow.study_id == study.id).order_by(ResultRow.id)
            ).all()
            callers = set(db.scalars(select(Instance.calling_ae).where(Instance.study_id == study.id)))
            informed, gone = _informed(db, study), outcomes.purged(db, study)
        destinations = takers(settings, images, callers, informed)
        styles = wanted(destinations)
        uid = study.study_instance_uid
        patients = outcomes.by_patient(images)
        alone = len(patients) == 1
        found = search.find(settings, store, spool, uid, images) if styles and alone else search.Found()
        # In the site's own time zone, as the dates of the images are.
        closed_at = (study.closed_at or datetime.now(UTC)).astimezone()
        priors = tuple(e.prior for e in found.earlier)
        remarks = outcomes.remarks(images, len(patients), gone)
        # The same content has the same UID, and was sent already: a PACS never shows a finding twice.
        known = {row.sop_instance_uid: row for row in earlier}
        current = supersede.current(earlier)
        now = {row.sop_instance_uid for row in current}
        made: list[ResultRow] = []
        same: list[ResultRow] = []
        aside: list[dict[str, Any]] = []
        for group in patients:
            reported, repeats = outcomes.once_each(group)
            aside += [_aside(reported, repeat) for repeat in repeats]
            before = current if alone else supersede.of_patient(current, group[0].header, spool)
            if gone:  # the earlier report speaks of images that this one knows nothing of
                before = []
            outcome = StudyOutcome(uid, reported, model_set, closed_at, priors=priors, remarks=remarks)
            for (kind, form), style in styles.items():
                superseded = supersede.predecessors([r for r in before if r.variant == form], uid)
                for result in report.build(replace(outcome, predecessors=superseded), [kind], style):
                    own = supersede.settle(result.dataset, known, now)
                    if own not in known:
                        made.append(_keep(spool, uid, result, form))
                        continue
                    same.append(known[own])
                    if known[own].purged_at is not None:
                        again = _keep(spool, uid, result, form)
                        known[own].sha256, known[own].size = again.sha256, again.size
        work = _Report(study.revision, model_set, made, same, found, len(patients), aside)
        try:
            _record(destinations, store, claim, work)
        except LeaseLostError:
            log.warning("reported late, another process has the job now", job=claim.job_id)
            continue
        log.info("reported", study=uid, results=[row.kind for row in made])


def _analysed_anew(store: Store, model_set: ModelSet, claim: Claim) -> bool:
    """Put a report off whose images were analysed by other models, and have them analysed by these."""
    with store.read() as db:
        if not outcomes.outdated(db, db.get_one(Study, claim.study_id), model_set):
            return False
    with store.begin() as db:
        study = progress.study_of(db, claim.study_id)
        images = outcomes.outdated(db, study, model_set)
        queue.close(
            queue.hold(db, claim), JobState.CANCELLED, "its images are analysed by the present models first"
        )
        for image in images:
            progress.analyse_again(db, image)
        trail.record(
            db,
            "study.reprocessed",
            study=study.study_instance_uid,
            revision=study.revision,
            images=[image.sop_instance_uid for image in images],
            why="other models analysed them",
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


def _aside(images: Sequence[ImageOutcome], repeat: Repeat) -> dict[str, Any]:
    return {
        "instance": text(images[repeat.number - 1].header, "SOPInstanceUID"),
        "reported": text(images[repeat.chosen - 1].header, "SOPInstanceUID"),
        "why": repeat.reason,
        "evidence": asdict(repeat.evidence),
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


def _record(destinations: Sequence[DestinationSection], store: Store, claim: Claim, work: _Report) -> None:
    with store.begin() as db:
        job = queue.hold(db, claim)
        study = progress.study_of(db, claim.study_id)
        for row in work.made:
            row.study_id, row.revision, row.model_set = study.id, work.revision, work.model_set.digest
            db.add(row)
            db.flush()
            _put_out(db, destinations, study, row)
        for row in work.same:  # for a destination that had no part in the study before
            _put_out(db, destinations, study, row)
            if row.purged_at is not None:
                there = {"purged_at": None, "sha256": row.sha256, "size": row.size}
                db.execute(update(ResultRow).where(ResultRow.id == row.id).values(there))
        still = ResultRow.id.in_([row.id for row in work.same])
        db.execute(update(ResultRow).where(still).values(revision=work.revision))
        queue.close(job, JobState.DONE)
        uid = study.study_instance_uid
        if work.found.unavailable is not None:
            trail.record(db, "priors.unavailable", study=uid, why=work.found.unavailable)
        for image in work.aside:
            trail.record(db, "instance.set_aside", study=uid, **image)
        trail.record(
            db,
            "study.reported",
            study=uid,
            revision=work.revision,
            results={row.sop_instance_uid: row.kind for row in work.made},
            model_set=work.model_set.digest,
            commissioning=work.model_set.commissioning,
            destinations=[d.name for d in destinations],
            patients=work.patients,
            priors=[
                {"study": e.prior.study_instance_uid, "date": e.prior.study_date, "from": e.source}
                for e in work.found.earlier
            ],
        )
        progress.reported(db, study, work.revision)


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

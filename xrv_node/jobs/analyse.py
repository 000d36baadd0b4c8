"""The analyse job: received images in, stored analyses out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import structlog
from pydicom import Dataset
from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import disk, intact, priority, reasons
from xrv_node.analyse.analysis_file import save
from xrv_node.attributes import text
from xrv_node.db import progress, queue, trail
from xrv_node.db.queue import Claim, LeaseLostError
from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Instance, InstanceState, JobState
from xrv_node.errors import ImageError, WithheldError
from xrv_node.jobs.worker import on_device
from xrv_node.phantom.recognition import MARKED, NOT_A_PHANTOM
from xrv_node.priority import Known
from xrv_node.priors.local import remember
from xrv_node.radiograph.header import read_header
from xrv_node.reasons import Reason
from xrv_node.settings.priority import PrioritySection
from xrv_node.spool import Spool
from xrv_node.values import Analysis, AnalysisInput, Evidence, FrontalDecision, Verdict

if TYPE_CHECKING:
    from xrv_node.analyse.analyser import Analyser
    from xrv_node.analyse.view import Reader

log = structlog.get_logger("analyse")

_MARK = "mark of phantoms, z"
EVENTS = {NOT_A_PHANTOM.key: "instance.not_a_phantom", MARKED.key: "instance.marked_otherwise"}
"""By the reason for which no network answers an image: what the trail says of it."""


def run(
    store: Store,
    spool: Spool,
    analyser: Analyser | None,
    claims: Sequence[Claim],
    views: Reader | None = None,
    unknown: Literal["skip", "analyse"] = "analyse",
    phantoms: Analyser | None = None,
    priorities: Sequence[PrioritySection] = (),
) -> None:
    """Analyse a batch of images; each ends its own job, so one that cannot be read harms no other.

    Parameters
    ----------
    analyser
        With networks for patients; None where their weights are not installed: then no image gets
        findings but a phantom's.
    views
        Tells the view of an image from its pixels, where the header left it open.
    unknown
        What becomes of such an image where there is no such reader.
    phantoms
        With the networks for phantoms; None: none is analysed.
    priorities
        The rules by which a study goes before its turn: what was found may meet one.

    Raises
    ------
    ProcessSpoiledError
        The device failed under the networks.
    """
    patients: list[Claim] = []
    marked: list[Claim] = []
    with on_device():
        for claim in claims:
            with _own_job(store, claim):
                _see_that_it_is_whole(store, spool, claim)
                if _says_phantom(store, claim):
                    marked.append(claim)
                elif analyser is None:
                    _withhold(store, claim, WithheldError(NOT_A_PHANTOM))
                elif _frontal(store, spool, claim, views, unknown):
                    patients.append(claim)
        for wanted, by in ((patients, analyser), (marked, phantoms)):
            if wanted and by is not None:
                _analyse(store, spool, by, wanted, priorities)
            else:
                for claim in wanted:
                    with _own_job(store, claim):
                        _withhold(store, claim, WithheldError(NOT_A_PHANTOM))


def _analyse(
    store: Store,
    spool: Spool,
    analyser: Analyser,
    claims: Sequence[Claim],
    priorities: Sequence[PrioritySection],
) -> None:
    with store.read() as db:
        instances = [db.get_one(Instance, c.instance_id) for c in claims]
    began = perf_counter()
    outcomes = analyser.analyse(
        [AnalysisInput(i.sop_instance_uid, spool.absolute(i.path)) for i in instances]
    )
    seconds = round((perf_counter() - began) / len(claims), 3)
    for claim, outcome in zip(claims, outcomes, strict=True):
        with _own_job(store, claim):
            if isinstance(outcome, WithheldError):
                _withhold(store, claim, outcome)
                continue
            if isinstance(outcome, ImageError):
                raise outcome
            _keep(store, spool, claim, outcome, seconds, priorities)


@contextmanager
def _own_job(store: Store, claim: Claim) -> Iterator[None]:
    """End the job of an image that can never be analysed, and no other job."""
    try:
        try:
            yield
        except ImageError as error:
            with store.begin() as db:
                progress.failed(db, claim, reasons.of(error), final=True)
            log.error("not analysed", instance=claim.instance_id, why=str(error))
    except LeaseLostError:
        log.warning("analysed late, another process has the job now", job=claim.job_id)


def _see_that_it_is_whole(store: Store, spool: Spool, claim: Claim) -> None:
    """See that an image is as it came: of what the disk has changed nothing is said."""
    with store.read() as db:
        image = db.get_one(Instance, claim.instance_id)
    with suppress(OSError):  # whoever reads it says so
        if not intact.is_input(spool.absolute(image.path), image.sha256, image.transfer_syntax_uid):
            raise ImageError(Reason("input-changed", file=image.path))


def _frontal(
    store: Store, spool: Spool, claim: Claim, views: Reader | None, unknown: Literal["skip", "analyse"]
) -> bool:
    """Tell whether an image is to be analysed: decide what its header left open, end the job if it is not."""
    with store.read() as db:
        instance = db.get_one(Instance, claim.instance_id)
    if instance.verdict != Verdict.UNKNOWN or (views is None and unknown == "analyse"):
        return True
    decision = FrontalDecision(
        Verdict.UNKNOWN,
        instance.view,
        instance.reasons,
        tuple(Evidence(**e) for e in instance.evidence),
    )
    if views is not None:
        decision = views(spool.absolute(instance.path), decision)
    _decided(store, claim, decision)
    return decision.verdict == Verdict.FRONTAL


def _says_phantom(store: Store, claim: Claim) -> bool:
    with store.read() as db:
        return db.get_one(Instance, claim.instance_id).verdict == Verdict.PHANTOM


def _withhold(store: Store, claim: Claim, error: WithheldError) -> None:
    """End the job of an image that no network may answer: it is skipped, and why is on record.

    Of a phantom that is none, the reason remains what its header says, as where no mark is looked for. A
    patient's image remains what it is, for the day on which there are weights.
    """
    with store.read() as db:
        instance = db.get_one(Instance, claim.instance_id)
    why, verdict, told = reasons.of(error), Verdict(instance.verdict), instance.reasons
    if verdict is not Verdict.PHANTOM:
        told = (why, *(reason for reason in told if reason.key != why.key))
    if verdict is Verdict.PHANTOM or why.key == MARKED.key:
        verdict = Verdict.NOT_SUITABLE
    evidence = (*_mark(error.mark, verdict), *_others(instance))
    _decided(store, claim, FrontalDecision(verdict, instance.view, told, evidence), EVENTS[why.key])
    log.warning("no findings", instance=claim.instance_id, why=str(error))


def _mark(z: float, indicates: Verdict) -> tuple[Evidence, ...]:
    return (Evidence("pixels", f"{_MARK} {z:.1f}", indicates.value),) if z else ()


def _others(instance: Instance) -> Iterator[Evidence]:
    """What spoke for a verdict beside the mark, which is looked for each time."""
    return (Evidence(**e) for e in instance.evidence if not e["value"].startswith(_MARK))


def _decided(
    store: Store, claim: Claim, decision: FrontalDecision, event: str = "instance.view_decided"
) -> None:
    analyse = event not in EVENTS.values() and decision.verdict == Verdict.FRONTAL
    with store.begin() as db:
        job = queue.hold(db, claim)
        study = progress.study_of(db, claim.study_id)
        instance = db.get_one(Instance, claim.instance_id)
        instance.verdict, instance.reasons = decision.verdict, decision.reasons
        instance.evidence = [asdict(e) for e in decision.evidence]
        trail.record(
            db,
            event,
            study=study.study_instance_uid,
            instance=instance.sop_instance_uid,
            verdict=decision.verdict,
            reasons=instance.reasons,
            evidence=instance.evidence,
            analyse=analyse,
        )
        if not analyse:
            instance.state = InstanceState.SKIPPED
            queue.close(job, JobState.DONE)
            progress.report_when_ready(db, study)


def _keep(
    store: Store,
    spool: Spool,
    claim: Claim,
    analysis: Analysis,
    seconds: float,
    priorities: Sequence[PrioritySection],
) -> None:
    with store.read() as db:
        study_uid = progress.study_of(db, claim.study_id).study_instance_uid
        header = read_header(spool.absolute(db.get_one(Instance, claim.instance_id).path))
    digest = analysis.model_set.digest
    path = spool.analysis(study_uid, analysis.sop_instance_uid, digest)
    disk.leave_room(spool.root)
    save(analysis, path)
    with store.begin() as db:
        job = queue.hold(db, claim)
        study = progress.study_of(db, claim.study_id)
        instance = db.get_one(Instance, claim.instance_id)
        if analysis.mark is None:
            remember(study, header, spool.root)
            instance.reasons = tuple(r for r in instance.reasons if r.key != NOT_A_PHANTOM.key)
        else:  # nobody's study: it is no patient's prior
            found = (*_mark(analysis.mark, Verdict.PHANTOM), *_others(instance))
            instance.evidence = [asdict(e) for e in found]
        known = _known(db, instance, digest)
        if known is None:
            db.add(_row(analysis, instance, spool.relative(path)))
        else:
            known.purged_at = None
            known.scores = _scores(analysis)  # the site may have fitted another engine or gate since
            known.reconstruction_error = analysis.reconstruction_error
        instance.state, instance.error = InstanceState.ANALYSED, None
        queue.close(job, JobState.DONE)
        trail.record(db, "instance.analysed", study=study_uid, **_told(analysis), seconds=seconds)
        progress.prioritise(db, study.id, _level(priorities, instance, header, analysis))
        progress.report_when_ready(db, study)
    log.info("analysed", study=study_uid, instance=analysis.sop_instance_uid, seconds=seconds)


def _level(
    priorities: Sequence[PrioritySection], instance: Instance, header: Dataset, analysis: Analysis
) -> int:
    """How urgent a study is for what was found; not for what is not reported, and not for a phantom."""
    told = analysis.refused is None and not analysis.model_set.phantom
    found = [f.label for f in analysis.findings if f.present] if told else []
    asked = priority.of_header(header)
    at = instance.received_at
    return priority.level(
        priorities, Known(instance.calling_ae, text(header, "StationName"), asked, at, findings=found)
    )


def _told(analysis: Analysis) -> dict[str, Any]:
    models = analysis.model_set
    return {
        "instance": analysis.sop_instance_uid,
        "models": {m.role: m.name for m in models.models},
        "model_set": models.digest,
        "site_thresholds": dict(models.classifier.site_thresholds),
        "phantom": models.phantom,
        **({} if analysis.mark is None else {"mark": round(analysis.mark, 1)}),
        "resampler": analysis.resampler,
        "reconstruction_error": round(analysis.reconstruction_error, 4),
        "ssim": round(analysis.ssim, 5),
        "quality": list(analysis.quality),
        "refused": analysis.refused is not None,
        "present": [f.label for f in analysis.findings if f.present],
    }


def _known(db: Session, instance: Instance, digest: str) -> AnalysisRow | None:
    same = select(AnalysisRow).where(AnalysisRow.instance_id == instance.id, AnalysisRow.model_set == digest)
    return db.scalars(same).one_or_none()


def _scores(analysis: Analysis) -> dict[str, float]:
    return {f.label: round(f.score, 6) for f in analysis.findings}


def _row(analysis: Analysis, instance: Instance, path: str) -> AnalysisRow:
    return AnalysisRow(
        instance_id=instance.id,
        model_set=analysis.model_set.digest,
        models={m.role: asdict(m) for m in analysis.model_set.models},
        phantom=analysis.model_set.phantom,
        scores=_scores(analysis),
        reconstruction_error=analysis.reconstruction_error,
        path=path,
        created_at=datetime.now(UTC),
    )

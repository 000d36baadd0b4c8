"""Purging studies: the files go, the rows stay and say when.

The rows go first: they say in one transaction that the files are gone, then the files are removed. Killed in
between, a purge leaves files that no row claims, which `orphans.sweep` removes; the other way round it would
leave rows that claim files that are not there. Rows hold no patient data, answer for what was done, and let
an object that comes again, or a result that is routed back, be known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import structlog
from sqlalchemy import and_, delete, or_, select
from sqlalchemy.orm import Session

from xrv_node.db import progress, queue, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import (
    AnalysisRow,
    Delivery,
    DeliveryState,
    Instance,
    Job,
    JobState,
    ResultRow,
    ShadowRow,
    Study,
    StudyState,
)
from xrv_node.errors import XrvNodeError
from xrv_node.index import follow
from xrv_node.reasons import Reason
from xrv_node.retention import orphans
from xrv_node.settings import Settings
from xrv_node.spool import Spool

log = structlog.get_logger("retention")

What = Literal["inputs", "results"]
"""What is purged together: the received objects, or all that was made of them, analyses too."""

WHATS: tuple[What, What] = ("inputs", "results")

_NEEDS: dict[What, tuple[str, ...]] = {"inputs": ("analyse", "report"), "results": ("report", "deliver")}
"""Kinds of jobs that would find nothing any more."""

_FINAL = (StudyState.REPORTED, StudyState.FAILED)
_UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.PARKED)
_ARRIVED = (DeliveryState.DELIVERED, DeliveryState.WARNING, DeliveryState.CONFIRMED)
_OWED_NOTHING = (*_ARRIVED, DeliveryState.SILENT)


@dataclass(frozen=True, slots=True)
class Purged:
    """What became of one study."""

    study: str
    what: What
    files: int = 0
    size: int = 0
    """Bytes of the files."""
    held: Reason | None = None
    """Why it is kept."""


def chosen(
    db: Session, uids: Collection[str] | None, days: float, whats: Iterable[What]
) -> list[tuple[int, What]]:
    """Find what a person means: these studies, or all, as far as they are so old and still have files.

    Raises
    ------
    XrvNodeError
        When one of them never came.
    """
    before = datetime.now(UTC) - timedelta(days=days)
    named = select(Study.study_instance_uid, Study.id).where(Study.study_instance_uid.in_(uids or ()))
    known = {uid: study for uid, study in db.execute(named)}
    if uids and (strange := [uid for uid in uids if uid not in known]):
        raise XrvNodeError(f"no study {strange[0]} came here; `xrv-node studies list` shows them")
    wanted = {known[uid] for uid in uids or ()}
    return [
        (study, what)
        for what in whats
        for study in candidates(db, what, before)
        if not uids or study in wanted
    ]


def candidates(db: Session, what: What, before: datetime) -> list[int]:
    """Find the studies that still have files and to which nothing came, and which were not reported, since
    `before`; their ids, the oldest first."""
    query = (
        select(Study.id)
        .where(Study.received_at <= before, or_(Study.reported_at.is_(None), Study.reported_at <= before))
        .where(or_(*(select(table.id).where(there).exists() for table, there in _kept(what))))
        .order_by(Study.received_at)
    )
    return list(db.scalars(query))


def look(
    store: Store, spool: Spool, study_id: int, what: What, *, committing: Collection[str], force: bool = False
) -> Purged:
    """Tell what :func:`purge` would do."""
    with store.read() as db:
        study = db.get_one(Study, study_id)
        return _outcome(db, spool, study, what, _held(db, study, committing, force=force))


def purge(
    store: Store,
    spool: Spool,
    study_id: int,
    what: What,
    *,
    committing: Collection[str],
    force: bool = False,
    **why: Any,
) -> Purged:
    """Purge one study, unless it is held.

    Parameters
    ----------
    committing
        Names of the destinations that are asked for storage commitment: they must have confirmed.
    force
        Purge it though a job is parked or a result not delivered; such jobs are cancelled. What is being
        received, analysed or reported is held all the same.
    why
        For the trail.
    """
    # An expired study may be held for long: it is looked at without the write lock first.
    outcome = look(store, spool, study_id, what, committing=committing, force=force)
    if outcome.held:
        return outcome
    with store.begin() as db:
        study = progress.study_of(db, study_id)
        outcome = _outcome(db, spool, study, what, _held(db, study, committing, force=force))
        if outcome.held:
            return outcome
        paths = _mark(db, study, what)
        if not paths:
            return outcome
        trail.record(
            db,
            "study.purged",
            study=study.study_instance_uid,
            what=what,
            files=outcome.files,
            bytes=outcome.size,
            cancelled=_cancel(db, study, what) if force else [],
            **why,
        )
    orphans.remove(store, spool, paths)
    return outcome


def expire(settings: Settings, store: Store, spool: Spool, *, whats: Iterable[What] = WHATS) -> int:
    """Purge what is older than ``[retention]`` keeps it; returns how many purges that were."""
    purged = size = 0
    for what in whats:
        if not (days := getattr(settings.retention, f"{what}_days")):
            continue
        with store.read() as db:
            due = candidates(db, what, datetime.now(UTC) - timedelta(days=days))
        for done, study_id in enumerate(due, 1):
            outcome = purge(store, spool, study_id, what, committing=committing(settings), days=days)
            purged, size = purged + (outcome.held is None), size + outcome.size * (outcome.held is None)
            if done % 100 == 0 or done == len(due):
                log.info("purging", what=what, looked_at=done, of=len(due), purged=purged, bytes=size)
    if purged:
        follow.forget(settings, store, spool)
    return purged


def committing(settings: Settings) -> frozenset[str]:
    """Names of the destinations that are asked for storage commitment."""
    return frozenset(d.name for d in settings.committing)


def _kept(what: What) -> Iterator[tuple[Any, Any]]:
    """The tables that know the files, each with the condition for those of a study that are there."""
    if what == "inputs":
        yield Instance, and_(Instance.study_id == Study.id, Instance.purged_at.is_(None))
    else:
        received = select(Instance.id).where(Instance.study_id == Study.id)
        yield AnalysisRow, and_(AnalysisRow.instance_id.in_(received), AnalysisRow.purged_at.is_(None))
        yield ResultRow, and_(ResultRow.study_id == Study.id, ResultRow.purged_at.is_(None))


def _rows(db: Session, study: Study, what: What) -> list[Any]:
    """They are locked, for an object that comes again makes its row live."""
    return [
        row
        for table, there in _kept(what)
        for row in db.scalars(
            select(table).join(Study, Study.id == study.id).where(there).with_for_update(of=table)
        )
    ]


def _mark(db: Session, study: Study, what: What) -> list[str]:
    now = datetime.now(UTC)
    rows = _rows(db, study, what)
    for row in rows:
        row.purged_at = now
    if what == "results":  # a shadow's answers have no files, and are kept as long as what they compare with
        received = select(Instance.id).where(Instance.study_id == study.id)
        db.execute(delete(ShadowRow).where(ShadowRow.instance_id.in_(received)))
    return [row.path for row in rows]


def _outcome(db: Session, spool: Spool, study: Study, what: What, held: Reason | None) -> Purged:
    sizes = []
    for row in _rows(db, study, what):
        path = spool.absolute(row.path)
        if path.is_file():
            sizes.append(path.stat().st_size)
    return Purged(study.study_instance_uid, what, len(sizes), sum(sizes), held)


def _held(db: Session, study: Study, committing: Collection[str], *, force: bool) -> Reason | None:
    """Why a study must be kept, if it must."""
    jobs = select(Job).where(Job.study_id == study.id, Job.state.in_(_UNFINISHED)).order_by(Job.id)
    unfinished = db.scalars(jobs).all()
    if study.state not in _FINAL:
        return Reason("held-unreported", state=study.state)
    for job in unfinished:
        if job.state == JobState.RUNNING or not force:
            return Reason("held-by-job", job=job.id, kind=job.kind, state=job.state)
    if force:
        return None
    if study.state == StudyState.FAILED:
        return Reason("held-failed")
    return _undelivered(db, study, committing)


def _undelivered(db: Session, study: Study, committing: Collection[str]) -> Reason | None:
    sent = (
        select(ResultRow.kind, Delivery.destination, Delivery.state)
        .join(Delivery, Delivery.result_id == ResultRow.id)
        .where(ResultRow.study_id == study.id, ResultRow.purged_at.is_(None))
        .order_by(Delivery.id)
    )
    for kind, destination, state in db.execute(sent):
        if state not in _OWED_NOTHING:
            return Reason("held-undelivered", kind=kind, destination=destination, state=state)
        if destination in committing and state in _ARRIVED and state != DeliveryState.CONFIRMED:
            return Reason("held-unconfirmed", destination=destination, kind=kind)
    return None


def _cancel(db: Session, study: Study, what: What) -> list[int]:
    """Cancel the jobs that would find nothing; returns their ids."""
    jobs = select(Job).where(Job.study_id == study.id, Job.state.in_(_UNFINISHED), Job.kind.in_(_NEEDS[what]))
    cancelled = []
    for job in db.scalars(jobs.with_for_update()):
        queue.close(job, JobState.CANCELLED, Reason(f"{what}-purged-by-hand"))
        cancelled.append(job.id)
    return cancelled

"""The outbox: takes deliver jobs of one destination, sends their objects, records what the peer said."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

import structlog
from sqlalchemy.orm import Session

from xrv_node import intact, reasons
from xrv_node.db import progress, queue, trail, waiting
from xrv_node.db.queue import Claim, LeaseLostError
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, DeliveryState, JobState, ResultRow
from xrv_node.deliver.attempt import Attempt, Outcome
from xrv_node.deliver.senders import Sender, sender
from xrv_node.errors import ConfigError
from xrv_node.jobs import commitment, presence
from xrv_node.jobs.worker import Handler, work
from xrv_node.reasons import Reason
from xrv_node.settings import Settings
from xrv_node.settings.destinations import Destination
from xrv_node.spool import Spool
from xrv_node.values import StoredResult

log = structlog.get_logger("deliver")

BATCH = 20
"""Objects claimed at once: few enough that a lease outlasts them on a slow line."""


HOLD_SECONDS = 5.0
"""How long an association is held with nothing to send, for the next results. Peers end idle ones
later: Orthanc after 30 s unless configured otherwise (``DicomScpTimeout``)."""

FILES_SECONDS = 10.0
"""How long until missing files of a destination are looked for again."""

RECORD_SECONDS = 0.5
"""How long outcomes may wait to be recorded together. What a kill loses of them is sent again, under the same
UIDs, which an archive has then already."""


def run(
    settings: Settings,
    store: Store,
    spool: Spool,
    *,
    owner: str,
    stop: threading.Event,
    patient: bool = False,
) -> None:
    """Deliver until `stop` is set: one thread a destination, so that a slow peer delays no other. What
    nothing is to leave for has none.

    Parameters
    ----------
    patient
        A destination whose files are missing or wrong waits for them, and the others get their results: so it
        is where the node has run before.

    Raises
    ------
    ConfigError
        Before anything is sent, when such a file is missing or wrong; not if `patient`.
    """
    calling_ae = settings.receive.ae_title
    _tell_strange(settings, store)
    served = [destination for destination in settings.destinations if not settings.keeps_back(destination)]
    if not patient:
        for destination in served:
            sender(destination, calling_ae)
    threads = [
        threading.Thread(target=_deliver, args=(d, calling_ae, store, spool, owner, stop), name=d.name)
        for d in served
    ]
    threads += [
        threading.Thread(
            target=commitment.run, args=(d, calling_ae, store, stop), name=f"{d.name} commitment"
        )
        for d in settings.committing
        if not settings.keeps_back(d)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _tell_strange(settings: Settings, store: Store) -> None:
    """Log the destinations that jobs wait for and that are no longer configured."""
    with store.read() as db:
        found = waiting.strange(db, [destination.name for destination in settings.destinations])
    for name, number in found.items():
        remedy = f"configure it again, or `xrv-node jobs cancel --destination {name}`"
        log.warning("jobs wait for what is not configured", destination=name, jobs=number, remedy=remedy)


def _deliver(
    destination: Destination,
    calling_ae: str,
    store: Store,
    spool: Spool,
    owner: str,
    stop: threading.Event,
) -> None:
    peer = _made(destination, calling_ae, store, stop)
    if peer is None:
        return
    watch = presence.Watch(store, destination.name, peer.answers)
    used = monotonic()

    def run(claims: Sequence[Claim]) -> None:
        nonlocal used
        if not deliver(store, spool, destination.name, peer, claims):
            watch.lost()
        used = monotonic()

    def idle() -> None:
        if monotonic() > used + HOLD_SECONDS:
            peer.close()

    handler = Handler("deliver", run, limit=BATCH, destination=destination.name, ready=watch.ready)
    try:
        work(store, [handler], owner=owner, stop=stop, idle=idle)
    finally:
        peer.close()


def _made(destination: Destination, calling_ae: str, store: Store, stop: threading.Event) -> Sender | None:
    """The sender, as soon as the files that the destination names are there; None if told to stop first."""
    while not stop.is_set():
        try:
            return sender(destination, calling_ae)
        except ConfigError as error:
            why = reasons.of(error)
        with suppress(Exception), store.begin() as db:  # one that is locked, full or away: the next time
            waits = presence.gone(db, destination.name, why)
            presence.say_gone(destination.name, waits, why)
        stop.wait(FILES_SECONDS)
    return None


def deliver(store: Store, spool: Spool, destination: str, peer: Sender, claims: Sequence[Claim]) -> bool:
    """Send what the claims are about, and record the outcomes, those of half a second in one transaction.

    Returns
    -------
    bool
        Whether the destination is there; when it is not, what was left is postponed without a try.
    """
    with store.read() as db:
        rows = [db.get_one(ResultRow, _delivery(db, c).result_id) for c in claims]
    changed = [_changed(spool, row) for row in rows]
    for claim, attempt in zip(claims, changed, strict=True):
        if attempt is not None:
            _record(store, destination, [(claim, attempt)], there=True)
    sound = [(claim, row) for claim, row, other in zip(claims, rows, changed, strict=True) if other is None]
    results = [_result(spool, row) for _, row in sound]
    known: list[tuple[Claim, Attempt]] = []
    recorded, there = monotonic(), True
    try:
        for (claim, _), (attempt, there) in zip(sound, _tried(peer, results), strict=True):
            known.append((claim, attempt))
            if there and monotonic() > recorded + RECORD_SECONDS:
                _record(store, destination, known, there=True)
                known, recorded = [], monotonic()
    finally:
        if known:
            _record(store, destination, known, there=there)
    return there


def _tried(peer: Sender, results: Sequence[StoredResult]) -> Iterator[tuple[Attempt, bool]]:
    """What came of each, and whether the destination is there; once it is not, nothing else is tried."""
    for number, attempt in enumerate(peer.send(results), 1):
        there = attempt.outcome != Outcome.TRANSIENT or attempt.status is not None or peer.answers()
        yield attempt, there
        if not there:
            yield from ((replace(attempt, result=result), False) for result in results[number:])
            return


def _changed(spool: Spool, row: ResultRow) -> Attempt | None:
    """How an object that is not as it was made is not sent; one that cannot be read is for the sender."""
    with suppress(OSError):
        if not intact.is_result(spool.absolute(row.path), row.sha256):
            return Attempt(_result(spool, row), Outcome.REJECTED, Reason("result-changed", file=row.path))
    return None


_STATES = {Outcome.DELIVERED: DeliveryState.DELIVERED, Outcome.WARNING: DeliveryState.WARNING}


def _record(store: Store, destination: str, known: Sequence[tuple[Claim, Attempt]], *, there: bool) -> None:
    told: list[Attempt] = []
    waits, why = None, known[-1][1].reason or Reason("peer-silent")
    with store.begin() as db:
        for claim, attempt in known:
            try:
                if _record_one(db, destination, claim, attempt):
                    told.append(attempt)
            except LeaseLostError:
                log.warning("delivered late, another process has the job now", job=claim.job_id)
        if not there:
            waits = presence.gone(db, destination, why)
    presence.say_gone(destination, waits, why)
    for attempt in told:
        if not there and attempt.reason == known[-1][1].reason:
            continue  # that it is away is said
        log.info(
            "sent" if attempt.outcome in _STATES else "not sent",
            destination=destination,
            kind=attempt.result.kind,
            instance=attempt.result.sop_instance_uid,
            outcome=attempt.outcome.value,
            why=None if attempt.reason is None else str(attempt.reason),
        )


def _record_one(db: Session, destination: str, claim: Claim, attempt: Attempt) -> bool:
    """Record one outcome; tells whether the log does not have it yet, of the try before."""
    job = queue.hold(db, claim)  # before anything is changed: a lost lease leaves no trace
    status = None if attempt.status is None else f"0x{attempt.status:04X}"
    delivery = _delivery(db, claim)
    new = delivery.error != attempt.reason
    delivery.status, delivery.error = status, attempt.reason
    delivery.updated_at = datetime.now(UTC)
    if attempt.outcome not in _STATES:
        reason = attempt.reason or Reason("peer-silent")
        progress.failed(db, claim, reason, final=attempt.outcome == Outcome.REJECTED)
        return new
    queue.close(job, JobState.DONE)
    delivery.state = _STATES[attempt.outcome]
    study = progress.study_of(db, claim.study_id)
    trail.record(
        db,
        "result.delivered",
        study=study.study_instance_uid,
        instance=attempt.result.sop_instance_uid,
        kind=attempt.result.kind,
        destination=destination,
        status=status,
        remark=attempt.reason or "",
    )
    return True


def _delivery(db: Session, claim: Claim) -> Delivery:
    return db.get_one(Delivery, claim.delivery_id)


def _result(spool: Spool, row: ResultRow) -> StoredResult:
    return StoredResult(row.kind, row.sop_class_uid, row.sop_instance_uid, spool.absolute(row.path))

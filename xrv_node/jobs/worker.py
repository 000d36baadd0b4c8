"""The loop that every working process runs: claim, keep the lease alive, hand the jobs to their room."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import structlog

from xrv_node import reasons
from xrv_node.db import progress, queue
from xrv_node.db.queue import Claim, Kind, LeaseLostError
from xrv_node.db.store import Store, no_room
from xrv_node.errors import XrvNodeError
from xrv_node.reasons import Reason

log = structlog.get_logger("worker")

IDLE_SECONDS = 0.2
"""Between two looks at an empty queue."""
QUEUE_SECONDS = 5.0
"""Before a queue that did not answer is asked again."""
NO_ROOM_SECONDS = 30.0
"""Before anything is tried again on a disk that was full."""


class ProcessSpoiledError(Exception):
    """This process can do no job any more, whichever it takes: it must end, for its successor can."""


@contextmanager
def on_device() -> Iterator[None]:
    """Tell a lost device from everything else: after an error of CUDA's own, not the allocator's, every
    further call of the process fails, whatever image it is for (CUDA Runtime API, "sticky" errors).

    Raises
    ------
    ProcessSpoiledError
        The device failed within the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("CUDA error"):
            raise
        raise ProcessSpoiledError(Reason("gpu-failed", why=str(error).splitlines()[0])) from error


@dataclass(frozen=True, slots=True)
class Handler:
    """How one kind of job is done."""

    kind: Kind
    run: Callable[[Sequence[Claim]], None]
    """Ends every job it is given, one way or the other; raising fails those that are left."""
    limit: int = 1
    """How many at once."""
    destination: str | None = None
    """Only deliveries to this one."""
    ready: Callable[[], bool] = lambda: True
    """Whether any can be done now."""


def work(
    store: Store,
    handlers: Sequence[Handler],
    *,
    owner: str,
    stop: threading.Event,
    idle: Callable[[], None] = lambda: None,
) -> None:
    """Do jobs until `stop` is set; the one in hand is finished first.

    Parameters
    ----------
    handlers
        In order of priority.
    idle
        Called when there is nothing to do.

    Raises
    ------
    ProcessSpoiledError
        When a handler did; its jobs wait for the process that comes next, with all their attempts.
    """
    while not stop.is_set():
        try:
            claims = _next(store, handlers, owner)
        except Exception:
            # The database is locked, full or away: nothing is lost by asking again.
            log.exception("the queue does not answer")
            stop.wait(QUEUE_SECONDS)
            continue
        if claims is None:
            idle()
            stop.wait(IDLE_SECONDS)
            continue
        if _run(store, *claims, stop):
            stop.wait(NO_ROOM_SECONDS)  # the next job would want to write too


def _next(store: Store, handlers: Sequence[Handler], owner: str) -> tuple[Handler, list[Claim]] | None:
    for handler in filter(lambda one: one.ready(), handlers):
        claims = queue.claim(
            store, handler.kind, owner=owner, limit=handler.limit, destination=handler.destination
        )
        if claims:
            return handler, claims
    return None


def _run(store: Store, handler: Handler, claims: Sequence[Claim], stop: threading.Event) -> bool:
    """Run the jobs; tells whether a disk was full."""
    with _heartbeat(store, claims):
        try:
            handler.run(claims)
        except ProcessSpoiledError as error:
            log.error("this process ends, another one is needed", kind=handler.kind, why=str(error))
            _fail(store, claims, reasons.of(error), blameless=True)
            raise
        except XrvNodeError as error:
            log.error("jobs failed", kind=handler.kind, why=str(error))
            _fail(store, claims, reasons.of(error))
        except Exception as error:
            if full := no_room(error):
                log.error("jobs wait for room", kind=handler.kind, why=str(full))
                while not _fail(store, claims, full, blameless=True):  # the database may be on that disk
                    if stop.wait(NO_ROOM_SECONDS):
                        break
                return True
            log.exception("jobs failed", kind=handler.kind)
            _fail(store, claims, Reason("unexpected-error", error=type(error).__name__))
    return False


def _fail(store: Store, claims: Sequence[Claim], error: Reason, *, blameless: bool = False) -> bool:
    """Fail what the handler left unfinished; tells whether all of it is on record."""
    recorded = True
    for claim in claims:
        try:
            with store.begin() as db:
                progress.failed(db, claim, error, final=False, blameless=blameless)
        except LeaseLostError:
            continue  # finished before the exception
        except Exception:
            log.exception("a failed job could not be recorded; its lease will run out", job=claim.job_id)
            recorded = False
    return recorded


@contextmanager
def _heartbeat(store: Store, claims: Sequence[Claim]) -> Iterator[None]:
    """Renew the leases from a thread while the jobs run, and end the process when they never end.

    A thread that hangs in a driver or on a dead network disk cannot be ended alone. The attempt counts: the
    jobs go to the next process, one by one, and one that hangs each time is parked.
    """
    done, began = threading.Event(), monotonic()
    longest = queue.POLICIES[claims[0].kind].longest_run

    def beat() -> None:
        while not done.wait(queue.LEASE_SECONDS / 5):
            if monotonic() - began > longest:
                log.error("jobs hang; this process ends, another one is needed", seconds=longest)
                os._exit(1)
            try:
                queue.renew(store, claims)
            except Exception:
                log.exception("a lease could not be renewed; trying again")

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

"""The loop that every working process runs: claim, keep the lease alive, hand the jobs to their room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from xrv_node.audit.store import Store
from xrv_node.errors import XrvNodeError
from xrv_node.jobs import progress, queue
from xrv_node.jobs.queue import Claim, Kind, LeaseLostError

log = structlog.get_logger("worker")

IDLE_SECONDS = 0.2
"""Between two looks at an empty queue."""


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
    """
    while not stop.is_set():
        try:
            claims = _next(store, handlers, owner)
        except Exception:
            # The database is locked, full or away: nothing is lost by asking again.
            log.exception("the queue does not answer")
            stop.wait(5)
            continue
        if claims is None:
            idle()
            stop.wait(IDLE_SECONDS)
            continue
        _run(store, *claims)


def _next(store: Store, handlers: Sequence[Handler], owner: str) -> tuple[Handler, list[Claim]] | None:
    for handler in handlers:
        claims = queue.claim(
            store, handler.kind, owner=owner, limit=handler.limit, destination=handler.destination
        )
        if claims:
            return handler, claims
    return None


def _run(store: Store, handler: Handler, claims: Sequence[Claim]) -> None:
    with _heartbeat(store, claims):
        try:
            handler.run(claims)
        except XrvNodeError as error:
            log.error("jobs failed", kind=handler.kind, why=str(error))
            _fail(store, claims, str(error))
        except Exception as error:
            log.exception("jobs failed", kind=handler.kind)
            _fail(store, claims, f"{type(error).__name__} while running the job; see the log")


def _fail(store: Store, claims: Sequence[Claim], error: str) -> None:
    """Fail what the handler left unfinished."""
    for claim in claims:
        try:
            with store.begin() as db:
                progress.failed(db, claim, error, final=False)
        except LeaseLostError:
            continue  # finished before the exception
        except Exception:
            log.exception("a failed job could not be recorded; its lease will run out", job=claim.job_id)


@contextmanager
def _heartbeat(store: Store, claims: Sequence[Claim]) -> Iterator[None]:
    """Renew the leases from a thread while the jobs run."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(queue.LEASE_SECONDS / 5):
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

"""Jobs: what a person asks for once more, or gives up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from xrv_node.db import progress, queries, waiting
from xrv_node.db.queue import Kind
from xrv_node.db.rows import JobHistory, JobRow
from xrv_node.db.tables import JobState
from xrv_node.web.node import WebNode

Number = Annotated[int, Field(ge=0, lt=2**53)]
"""Of a job; more the database has no place for."""


class Retried(TypedDict):
    """Jobs that are queued again."""

    retried: list[int]
    """Their numbers."""


class Cancelled(TypedDict):
    """Jobs that were given up."""

    cancelled: list[int]
    """Their numbers."""


def listed(
    node: WebNode, state: JobState | None = None, kind: Kind | None = None, limit: int = 100
) -> list[JobRow]:
    """The jobs, newest first, as ``xrv-node jobs list`` has them."""
    with node.store.read() as db:
        return queries.jobs(db, state=state, kind=kind, limit=limit)


def shown(node: WebNode, job_id: int) -> JobHistory:
    """One job, with all that happened to it."""
    with node.store.read() as db:
        return queries.job(db, job_id)


def retry(node: WebNode, job_ids: Sequence[int]) -> Retried:
    """Queue jobs now, with all their attempts."""
    for job_id in job_ids:
        with node.store.begin() as db:
            progress.retry(db, job_id)
    return {"retried": list(job_ids)}


def retry_parked(node: WebNode, destination: str | None = None) -> Retried:
    """Queue all that are parked, or those of one destination and what waits for its next attempt there."""
    with node.store.read() as db:
        found = waiting.parked_jobs(db, destination)
        if destination is not None:
            found += waiting.paused_jobs(db, destination)
    return retry(node, list(dict.fromkeys(found)))


def retry_alike(node: WebNode, job_id: int) -> Retried:
    """Queue all that are parked for the same reason as one."""
    with node.store.read() as db:
        found = waiting.alike(db, job_id)
    return retry(node, found)


def cancel(node: WebNode, job_ids: Sequence[int], destination: str | None = None) -> Cancelled:
    """Give jobs up that are queued or parked: these, or all for a destination."""
    with node.store.begin() as db:
        chosen = list(job_ids) if destination is None else waiting.to(db, destination)
        for job_id in chosen:
            progress.cancel(db, job_id)
    return {"cancelled": chosen}

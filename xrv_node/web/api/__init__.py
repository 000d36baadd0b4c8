"""What there is to know of a node, and what a person may ask of it, for programs: the same as the pages say,
from the same functions. The web has it at ``/api/v1``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from xrv_node.audit.verify import Verified
from xrv_node.db.queue import Kind
from xrv_node.db.rows import Checked, EventRow, JobHistory, JobRow, StudyShown, TimelineRow
from xrv_node.db.tables import JobState, StudyState
from xrv_node.doctor.status import Status, status
from xrv_node.settings import whence
from xrv_node.statistics.rows import Statistics
from xrv_node.values import Verdict
from xrv_node.web.api import (
    connection,
    fetches,
    images,
    jobs,
    networks,
    overview,
    people,
    report,
    span,
    studies,
    trail,
)
from xrv_node.web.api.answer import Answer, ApiRoute, Items
from xrv_node.web.api.jobs import Number as JobNumber
from xrv_node.web.api.live import Live
from xrv_node.web.node import of

router = APIRouter(route_class=ApiRoute, tags=["node"])
router.include_router(fetches.router)

MOST = 1000
"""Rows of one answer."""
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many, newest first")]
Text = Annotated[str | None, Query(max_length=64)]
Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
Named = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
"""As a destination's name may be (`settings.destinations`)."""


class Resend(BaseModel):
    """What is sent again, and where to."""

    model_config = ConfigDict(extra="forbid")

    to: str | None = Field(default=None, max_length=64)
    """Only this destination."""
    kind: str | None = Field(default=None, max_length=16)
    """Only this kind of result."""


class Jobs(BaseModel):
    """Which jobs."""

    model_config = ConfigDict(extra="forbid")

    jobs: list[JobNumber] = Field(default_factory=list, max_length=MOST)
    """By number."""
    destination: str | None = Field(default=None, max_length=64)
    """All for this destination that are parked or wait."""


def reader(request: Request) -> Live:
    """What reads the trail for all who listen; one an application."""
    state = request.app.state
    if not hasattr(state, "live"):
        state.live = Live(of(request).store)
    found: Live = state.live
    return found


@router.get("/status", response_model=Status, summary="What the node is doing")
def get_status(request: Request) -> Any:
    node = of(request)
    return Answer(status(node.settings, node.store))


@router.get("/overview", response_model=overview.Overview, summary="The node at a glance")
def get_overview(request: Request) -> Any:
    return Answer(overview.overview(of(request)))


@router.get("/studies", response_model=Items[studies.StudyListed], summary="The studies, newest first")
def get_studies(
    request: Request,
    name: Text = None,
    patient_id: Text = None,
    accession: Text = None,
    since: span.Day | None = None,
    until: span.Day | None = None,
    sender: Text = None,
    state: StudyState | None = None,
    verdict: Verdict | None = None,
    finding: Text = None,
    limit: Limit = 100,
) -> Any:
    found = studies.listed(
        of(request),
        {"name": name or "", "patient_id": patient_id or "", "accession": accession or ""},
        since=since,
        until=until,
        sender=sender,
        state=state,
        verdict=verdict,
        finding=finding,
        limit=limit,
    )
    return Answer(found)


@router.get("/studies/{study}", response_model=StudyShown, summary="All that came and was made of a study")
def get_study(request: Request, study: Uid) -> Any:
    return Answer(studies.shown(of(request), study))


@router.get(
    "/studies/{study}/report", response_model=report.StudyRead, summary="A study as a person reads it"
)
def get_report(request: Request, study: Uid) -> Any:
    return Answer(report.told(of(request), study))


@router.get(
    "/studies/{study}/trail", response_model=Items[TimelineRow], summary="All that happened to a study"
)
def get_story(request: Request, study: Uid) -> Any:
    return Answer(trail.story(of(request), study))


@router.post("/studies/{study}/resend", response_model=studies.Queued, summary="Send its results again")
def post_resend(request: Request, study: Uid, what: Resend) -> Any:
    return Answer(studies.resend(of(request), study, what.to, what.kind))


@router.post(
    "/studies/{study}/reprocess", response_model=studies.Reanalysed, summary="Have it analysed again"
)
def post_reprocess(request: Request, study: Uid) -> Any:
    return Answer(studies.reprocess(of(request), study))


@router.get(
    "/studies/{study}/images/{instance}/anatomy",
    response_model=Items[images.Structure],
    summary="Outlines of what the anatomy network found in an image",
)
def get_anatomy(request: Request, study: Uid, instance: Uid) -> Any:
    return Answer(images.anatomy(of(request), study, instance))


@router.get("/jobs", response_model=Items[JobRow], summary="The jobs, newest first")
def get_jobs(
    request: Request, state: JobState | None = None, kind: Kind | None = None, limit: Limit = 100
) -> Any:
    return Answer(jobs.listed(of(request), state, kind, limit))


@router.get("/jobs/{job}", response_model=JobHistory, summary="A job, with all that happened to it")
def get_job(request: Request, job: JobNumber) -> Any:
    return Answer(jobs.shown(of(request), job))


@router.post(
    "/jobs/retry", response_model=jobs.Retried, summary="Queue jobs again; without any: all parked ones"
)
def post_retry(request: Request, which: Jobs) -> Any:
    node = of(request)
    if which.jobs:
        return Answer(jobs.retry(node, which.jobs))
    return Answer(jobs.retry_parked(node, which.destination))


@router.post("/jobs/cancel", response_model=jobs.Cancelled, summary="Give jobs up")
def post_cancel(request: Request, which: Jobs) -> Any:
    return Answer(jobs.cancel(of(request), which.jobs, which.destination))


@router.get("/trail", response_model=Items[EventRow], summary="The newest events, oldest of them first")
def get_trail(request: Request, study: Text = None, event: Text = None, limit: Limit = 100) -> Any:
    return Answer(trail.events(of(request), study=study, event=event, limit=limit))


@router.get("/trail/verify", response_model=Verified, summary="Whether the trail is whole")
def get_verified(request: Request) -> Any:
    return Answer(trail.verified(of(request)))


@router.get(
    "/trail/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}, "application/x-ndjson": {}}}},
    summary="The whole trail for a file",
)
def get_export(
    request: Request, form: Annotated[str, Query(pattern="^(csv|jsonl)$")] = "jsonl", study: Text = None
) -> Response:
    node = of(request)
    made, kind = (trail.as_csv, "text/csv") if form == "csv" else (trail.as_lines, "application/x-ndjson")
    named = {"Content-Disposition": f'attachment; filename="trail.{form}"'}
    return StreamingResponse(made(node, study), media_type=f"{kind}; charset=utf-8", headers=named)


@router.get("/models", response_model=Items[networks.Network], summary="The networks; those in use first")
def get_models(request: Request) -> Any:
    return Answer(networks.networks(of(request)))


@router.get("/settings", response_model=Items[whence.SettingRow], summary="Each key in force, and whence")
def get_settings(request: Request) -> Any:
    return Answer(whence.rows(of(request).settings))


@router.get("/statistics", response_model=Statistics, summary="What the node has done")
def get_statistics(request: Request, since: span.Day | None = None, until: span.Day | None = None) -> Any:
    return Answer(span.statistics(of(request), since, until))


@router.get("/connection", response_model=connection.Connection, summary="How the node is reached")
def get_connection(request: Request) -> Any:
    return Answer(connection.connection(of(request), str(request.base_url)))


@router.post("/destinations/{name}/check", response_model=Checked, summary="Whether a destination is there")
def post_check(request: Request, name: Named) -> Any:
    return Answer(connection.check(of(request), name))


@router.get("/access", response_model=people.Access, summary="Who may come over HTTP")
def get_access(request: Request) -> Any:
    return Answer(people.access(of(request)))


@router.get("/events", response_class=EventSourceResponse, summary="The trail as it grows")
async def get_events(
    request: Request, last_event_id: Annotated[int | None, Header(ge=0, lt=2**53)] = None
) -> AsyncIterator[ServerSentEvent]:
    async for event in reader(request).listen(last_event_id):
        yield event

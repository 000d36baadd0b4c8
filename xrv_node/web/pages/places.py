"""What is looked at, a page each. What is on it comes from the interface for programs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Annotated, TypeVar, get_args

from fastapi import APIRouter, Query, Request, Response

from xrv_node import documents
from xrv_node.audit import verify
from xrv_node.db.queue import Kind
from xrv_node.db.tables import JobState, StudyState
from xrv_node.errors import XrvNodeError
from xrv_node.report.phrases import named
from xrv_node.settings import whence
from xrv_node.statistics.rows import TITLES
from xrv_node.values import Verdict
from xrv_node.web.api import (
    connection,
    jobs,
    networks,
    overview,
    report,
    span,
    studies,
    trail,
)
from xrv_node.web.node import of
from xrv_node.web.pages import charts
from xrv_node.web.pages.frame import PageRoute, day, page
from xrv_node.web.problem import Problem

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Text = Annotated[str, Query(max_length=200)]
T = TypeVar("T", bound=str)

KINDS: tuple[Kind, ...] = get_args(Kind)

SHOWN = 100
"""Rows of a page."""


def _one_of(name: str, given: str, words: Iterable[T]) -> T | None:
    there = {str(word): word for word in words}
    if given and given not in there:
        raise Problem(400, f"{name}: there is no such; use one of {', '.join(there)}")
    return there.get(given)


@router.get("/")
def get_overview(request: Request) -> Response:
    return page(request, "overview", "Overview", **overview.overview(of(request)))


@router.get("/studies")
def get_studies(
    request: Request,
    name: Text = "",
    patient_id: Text = "",
    accession: Text = "",
    since: Text = "",
    until: Text = "",
    sender: Text = "",
    state: Text = "",
    verdict: Text = "",
    finding: Text = "",
) -> Response:
    rows = studies.listed(
        of(request),
        {"name": name, "patient_id": patient_id, "accession": accession},
        since=day("since", since),
        until=day("until", until),
        sender=sender or None,
        state=_one_of("state", state, StudyState),
        verdict=_one_of("verdict", verdict, Verdict),
        finding=_one_of("finding", finding, studies.findings()),
        limit=SHOWN,
    )
    asked = {
        "name": name,
        "patient_id": patient_id,
        "accession": accession,
        "since": since,
        "until": until,
        "sender": sender,
        "state": state,
        "verdict": verdict,
        "finding": finding,
    }
    return page(
        request,
        "studies",
        "Studies",
        rows=rows,
        asked=asked,
        shown=SHOWN,
        states=list(StudyState),
        verdicts=list(Verdict),
        findings=[(label, named("finding", label, report.LANGUAGE)) for label in studies.findings()],
    )


@router.get("/studies/{study}")
def get_study(request: Request, study: str) -> Response:
    node = of(request)
    found = studies.shown(node, study)
    read, why = None, ""
    try:
        read = report.told(node, study)
    except XrvNodeError as error:  # images or analyses that are not here any more: the record stays
        why = str(error)
    viewer = node.settings.web.viewer_url
    return page(
        request,
        "study",
        "Study",
        record=found,
        read=read,
        why=why,
        story=trail.story(node, study),
        destinations=[one.name for one in node.settings.destinations],
        viewer=f"{viewer}{'&' if '?' in viewer else '?'}StudyInstanceUIDs={study}" if viewer else "",
    )


@router.get("/jobs")
def get_jobs(request: Request, state: Text = "", kind: Text = "") -> Response:
    rows = jobs.listed(
        of(request),
        _one_of("state", state, JobState),
        _one_of("kind", kind, KINDS),
        SHOWN,
    )
    return page(
        request,
        "jobs",
        "Jobs",
        rows=rows,
        shown=SHOWN,
        asked={"state": state, "kind": kind},
        states=list(JobState),
        kinds=KINDS,
    )


@router.get("/jobs/{job}")
def get_job(request: Request, job: jobs.Number) -> Response:
    return page(request, "job", f"Job {job}", job=jobs.shown(of(request), job))


@router.get("/trail")
def get_trail(request: Request, study: Text = "", event: Text = "", whole: Text = "") -> Response:
    node = of(request)
    return page(
        request,
        "trail",
        "Trail",
        rows=list(reversed(trail.events(node, study=study, event=event, limit=SHOWN))),
        shown=SHOWN,
        asked={"study": study, "event": event},
        names=trail.names(),
        verified=verify.in_words(trail.verified(node)) if whole else "",
    )


@router.get("/models")
def get_models(request: Request) -> Response:
    return page(request, "models", "Models", rows=networks.networks(of(request)))


@router.get("/settings")
def get_settings(request: Request) -> Response:
    rows = whence.rows(of(request).settings)
    grouped = {table: list(those) for table, those in groupby(rows, lambda row: row["key"].partition(".")[0])}
    return page(request, "settings", "Settings", tables=grouped)


@router.get("/statistics")
def get_statistics(request: Request, since: Text = "", until: Text = "") -> Response:
    found = span.statistics(of(request), day("since", since), day("until", until))
    return page(
        request,
        "statistics",
        "Statistics",
        found=found,
        tables=charts.tables(found),
        charts=charts.charts(found),
        titles=TITLES,
        asked={"since": since, "until": until},
    )


@router.get("/connect")
def get_connect(request: Request) -> Response:
    found = connection.connection(of(request), str(request.base_url))
    return page(request, "connect", "Connect", ohif_text=documents.dumps(found["ohif"], indent=2), **found)

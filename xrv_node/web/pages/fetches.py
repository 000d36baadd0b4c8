"""The pages of what is fetched from archives, and their buttons."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from xrv_node.fetch import ask
from xrv_node.fetch.keys import Key, days
from xrv_node.web.node import of
from xrv_node.web.pages.frame import PageRoute, day, done, page
from xrv_node.web.problem import Problem

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PAGE = "/fetches"
SHOWN = 100
Line = Annotated[str, Form(max_length=64)]
Lines = Annotated[str, Form(max_length=100_000)]
KINDS = {
    "study": "Study Instance UID",
    "accession": "Accession Number",
    "patient": "Patient ID",
}
"""What a study can be named by, and what people call that."""


@router.get(PAGE)
def get_fetches(request: Request) -> Response:
    node = of(request)
    with node.store.read() as db:
        rows = ask.fetches(db, limit=SHOWN)
    archives = [one.name for one in node.settings.all_archives]
    return page(request, "fetches", "Fetches", rows=rows, shown=SHOWN, archives=archives, kinds=KINDS)


@router.get(PAGE + "/{fetch}")
def get_fetch(request: Request, fetch: str) -> Response:
    with of(request).store.read() as db:
        return page(request, "fetch", "Fetch", fetch=ask.show(db, fetch))


@router.post(PAGE)
def post_fetch(
    request: Request,
    archive: Line,
    by: Line,
    what: Lines,
    since: Line = "",
    until: Line = "",
    all_series: Line = "",
) -> Response:
    """Ask for studies, one a line."""
    if by not in KINDS:
        raise Problem(400, f"by: use one of {', '.join(KINDS)}")
    node, lines = of(request), [line.strip() for line in what.splitlines() if line.strip()]
    within = days(day("since", since), day("until", until)) if by == "patient" else ""
    keys = tuple(Key(**{by: line}, date=within) for line in lines)
    identifier = ask.request(
        node.settings, node.store, node.spool, ask.Wanted(keys, archive, bool(all_series))
    )
    return done(request, f"fetch {identifier} is queued", PAGE)


@router.post(PAGE + "/{fetch}/cancel")
def post_cancel(request: Request, fetch: str) -> Response:
    """Give it up."""
    node = of(request)
    ask.cancel(node.store, node.spool, fetch)
    return done(request, f"cancelled: {fetch}", PAGE)


@router.post(PAGE + "/{fetch}/retry")
def post_retry(request: Request, fetch: str) -> Response:
    """Queue it again, now."""
    ask.retry(of(request).store, fetch)
    return done(request, f"queued again: {fetch}", PAGE)

"""Fetches: studies that an archive is asked for, for programs, as ``xrv-node fetch`` has them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from xrv_node.db.fetch_rows import FetchHistory, FetchRow
from xrv_node.db.tables import JobState
from xrv_node.errors import XrvNodeError
from xrv_node.fetch import ask
from xrv_node.fetch.keys import Key, days
from xrv_node.web.api.answer import Answer, ApiRoute, Items
from xrv_node.web.api.span import Day, Moment
from xrv_node.web.node import WebNode, of

router = APIRouter(route_class=ApiRoute)

MOST = 10_000
"""Things that one request asks for; the command takes longer lists."""
Identifier = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]
Said = Annotated[str, Field(min_length=1, max_length=64)]


class Asked(BaseModel):
    """What is wanted: studies, those of accessions, those of a patient."""

    model_config = ConfigDict(extra="forbid")

    studies: list[Said] = Field(default_factory=list, max_length=MOST)
    """Study Instance UIDs."""
    accessions: list[Said] = Field(default_factory=list, max_length=MOST)
    """Accession Numbers."""
    patient: Said | None = None
    """Patient ID."""
    since: Day | None = None
    """Of the patient's: the first Study Date."""
    until: Day | None = None
    """The last."""
    archive: Said | None = None
    """Its name; the only one, where none is given."""
    all_series: bool = False
    """Also what is never analysed."""
    not_before: Moment | None = None
    """When it may begin."""


class ArchiveShown(TypedDict):
    """An archive that studies are fetched from."""

    name: str
    """By which it is asked for."""
    kind: str
    """``dimse`` or ``web``."""


@router.get("/archives", response_model=Items[ArchiveShown], summary="The archives that can be asked")
def get_archives(request: Request) -> Any:
    return Answer([{"name": one.name, "kind": one.kind} for one in of(request).settings.all_archives])


@router.get("/fetches", response_model=Items[FetchRow], summary="The fetches, newest first")
def get_fetches(
    request: Request, state: JobState | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> Any:
    with of(request).store.read() as db:
        return Answer(ask.fetches(db, state=state, limit=limit))


@router.get("/fetches/{fetch}", response_model=FetchHistory, summary="One fetch, with its studies")
def get_fetch(request: Request, fetch: Identifier) -> Any:
    with of(request).store.read() as db:
        return Answer(ask.show(db, fetch))


@router.post("/fetches", response_model=FetchRow, summary="Fetch studies from an archive")
def post_fetch(request: Request, what: Asked) -> Any:
    node = of(request)
    return _progress(node, ask.request(node.settings, node.store, node.spool, _wanted(node, what)))


@router.post("/fetches/{fetch}/cancel", response_model=FetchRow, summary="Give a fetch up")
def post_cancel(request: Request, fetch: Identifier) -> Any:
    node = of(request)
    ask.cancel(node.store, node.spool, fetch)
    return _progress(node, fetch)


@router.post("/fetches/{fetch}/retry", response_model=FetchRow, summary="Go on with a fetch now")
def post_retry(request: Request, fetch: Identifier) -> Any:
    node = of(request)
    ask.retry(node.store, fetch)
    return _progress(node, fetch)


def _wanted(node: WebNode, what: Asked) -> ask.Wanted:
    if (what.since or what.until) and what.patient is None:
        raise XrvNodeError("since and until go with patient")
    keys = [Key(study=uid) for uid in what.studies] + [Key(accession=one) for one in what.accessions]
    if what.patient is not None:
        keys.append(Key(patient=what.patient, date=days(what.since, what.until)))
    archive = what.archive or ask.only_archive(node.settings)
    return ask.Wanted(tuple(keys), archive, what.all_series, what.not_before)


def _progress(node: WebNode, fetch: str) -> Answer:
    with node.store.read() as db:
        return Answer(ask.progress(db, fetch))

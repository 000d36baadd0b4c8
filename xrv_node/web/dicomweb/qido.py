"""QIDO-RS (PS3.18 10.6): what there is, by attributes, as DICOM JSON."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from xrv_node.index import follow, query
from xrv_node.index.header import written
from xrv_node.index.index import Index
from xrv_node.index.levels import RETRIEVE_URL, Level
from xrv_node.index.matching import QueryError
from xrv_node.index.query import Found, Page, Query
from xrv_node.spool import is_uid
from xrv_node.web import node
from xrv_node.web.dicomweb import address, parameters
from xrv_node.web.dicomweb.accept import Offer, negotiate
from xrv_node.web.dicomweb.extra import MOST_READ, Extra, reads_headers
from xrv_node.web.dicomweb.lookup import unlocked
from xrv_node.web.dicomweb.parameters import Parameters
from xrv_node.web.problem import Problem

router = APIRouter()

_OFFERS = (Offer("application/dicom+json"), Offer("application/json"))

_RETRIEVE = f'"{RETRIEVE_URL}":{{"vr":"UR","Value":["'
"""What stands before each Retrieve URL; no text of an object can hold its quotes."""
BEHIND = "The index is behind what has come: not all of it is in this answer yet"
Answer = dict[str, Any]


@router.api_route("/studies", methods=["GET", "HEAD"], tags=["QIDO-RS"])
def studies(request: Request) -> Response:
    """Studies."""
    return _answer(request, "study", {})


@router.api_route("/series", methods=["GET", "HEAD"], tags=["QIDO-RS"])
def all_series(request: Request) -> Response:
    """Series of all studies."""
    return _answer(request, "series", {})


@router.api_route("/instances", methods=["GET", "HEAD"], tags=["QIDO-RS"])
def all_instances(request: Request) -> Response:
    """Objects of all studies."""
    return _answer(request, "instance", {})


@router.api_route("/studies/{study}/series", methods=["GET", "HEAD"], tags=["QIDO-RS"])
def series(request: Request, study: str) -> Response:
    """Series of a study."""
    return _answer(request, "series", {"StudyInstanceUID": study})


@router.api_route("/studies/{study}/instances", methods=["GET", "HEAD"], tags=["QIDO-RS"])
def instances(request: Request, study: str) -> Response:
    """Objects of a study."""
    return _answer(request, "instance", {"StudyInstanceUID": study})


@router.api_route("/studies/{study}/series/{series}/instances", methods=["GET", "HEAD"], tags=["QIDO-RS"])
def instances_of_series(request: Request, study: str, series: str) -> Response:
    """Objects of a series."""
    return _answer(request, "instance", {"StudyInstanceUID": study, "SeriesInstanceUID": series})


def _answer(request: Request, level: Level, within: dict[str, str]) -> Response:
    if not all(map(is_uid, within.values())):
        raise Problem(HTTPStatus.BAD_REQUEST, "the address holds what is no UID (PS3.5 section 9.1)")
    media_type = negotiate(request, _OFFERS).media_type
    asked = parameters.read(request.query_params.multi_items())
    if any(keyword in asked.keys for keyword in within):
        raise Problem(HTTPStatus.BAD_REQUEST, "the address names the study or series already")
    most = MOST_READ if reads_headers(level, asked) else asked.limit
    here, wanted = node.of(request), Query(level, asked.keys | within, min(asked.limit, most), asked.offset)
    try:
        with unlocked():
            if not follow.catch_up(here.index, here.store, here.spool):
                asked.warnings.append(BEHIND)
            page = query.page(here.index, wanted)
            text = _written(here.index, page, level, within, asked)
    except QueryError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from None
    service = address.service(request)
    return _response(text.replace(_RETRIEVE, _RETRIEVE + _quoted(service)), media_type, page, asked, service)


def _response(text: str, media_type: str, page: Page, asked: Parameters, service: str) -> Response:
    response = Response(text.encode(), media_type=media_type)
    warnings = asked.all_warnings
    if (left := page.total - asked.offset - len(page.found)) > 0:
        warnings = [*warnings, f"There are {left} additional results that can be requested"]
    for warning in warnings:
        response.headers.append("Warning", f'299 {service}: "{warning}"')
    return response


def _written(index: Index, page: Page, level: Level, within: dict[str, str], asked: Parameters) -> str:
    extra = Extra(index, page, level, asked)
    if level == "study" and not extra:
        return f"[{','.join(one.study.answer for one in page.found)}]"
    return written([_composed(one, within, extra.of(one)) for one in page.found])


def _composed(found: Found, within: dict[str, str], extra: Answer) -> Answer:
    """A match with what is asked for of it, and of its study and series where the address does not name
    them."""
    answer: Answer = {}
    if "StudyInstanceUID" not in within:
        answer |= json.loads(found.study.answer)
    if found.series is not None and "SeriesInstanceUID" not in within:
        answer |= json.loads(found.series.answer)
    answer |= json.loads((found.instance or found.series or found.study).answer)
    return dict(sorted({**extra, **answer}.items()))


def _quoted(service: str) -> str:
    return json.dumps(service)[1:-1]

"""WADO-RS: the headers of a study, series or instance as DICOM JSON (PS3.18 10.4.1.1.5, annex F)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from fastapi import APIRouter, Request, Response

from xrv_node.index import find
from xrv_node.index.entries import BULK, Entry
from xrv_node.web import node as nodes
from xrv_node.web.dicomweb import accept, lookup
from xrv_node.web.dicomweb.accept import Offer
from xrv_node.web.dicomweb.address import service
from xrv_node.web.dicomweb.body import CHUNK, Body
from xrv_node.web.dicomweb.respond import etag, respond
from xrv_node.web.dicomweb.wado_objects import METHODS

router = APIRouter()
_OFFERS = (Offer("application/dicom+json"), Offer("application/json"))
_MARK = f'"BulkDataURI":"{BULK}'


@router.api_route("/studies/{study}/metadata", methods=METHODS)
def of_study(request: Request, study: str) -> Response:
    """The headers of a study."""
    return _headers(request, lookup.entries(request, study), (study,))


@router.api_route("/studies/{study}/series/{series}/metadata", methods=METHODS)
def of_series(request: Request, study: str, series: str) -> Response:
    """The headers of a series."""
    return _headers(request, lookup.entries(request, study, series), (study, series))


@router.api_route("/studies/{study}/series/{series}/instances/{instance}/metadata", methods=METHODS)
def of_instance(request: Request, study: str, series: str, instance: str) -> Response:
    """The header of one object."""
    found = lookup.entry(request, study, series, instance)
    return _headers(request, [found], (study, series, instance))


def _headers(request: Request, found: Sequence[Entry], uids: Sequence[str]) -> Response:
    chosen = accept.negotiate(request, _OFFERS)
    base = service(request)
    tag = etag((chosen.media_type, base, *(entry.sha256 for entry in found)))
    headers = find.metadata(nodes.of(request).index, *uids)
    body = Body(chosen.media_type, lambda: _array(headers, found, base))
    return respond(request, body, tag, zipped=True)


def _array(headers: Iterator[str], found: Sequence[Entry], base: str) -> Iterator[bytes]:
    """A JSON array of all, some hundred kilobytes at a time: each step costs a change of threads."""
    pieces: list[str] = ["["]
    size = 0
    # in one order, but for what came or went in between
    for number, (header, entry) in enumerate(zip_longest(headers, found)):
        if header is None:
            break
        pieces += ("," if number else "", _addressed(header, entry, base))
        size += len(header)
        if size > CHUNK:
            yield "".join(pieces).encode()
            pieces, size = [], 0
    yield "".join([*pieces, "]"]).encode()


def _addressed(header: str, entry: Entry | None, base: str) -> str:
    """A header with absolute addresses of what is fetched apart."""
    if _MARK not in header:
        return header
    if entry is not None and f'"00080018":{{"vr":"UI","Value":["{entry.sop_instance_uid}"]}}' in header:
        uids = entry.study_instance_uid, entry.series_instance_uid, entry.sop_instance_uid
    else:
        said = json.loads(header)
        uids = tuple(said[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    address = "{}/studies/{}/series/{}/instances/{}/bulkdata/".format(base, *uids)
    return header.replace(_MARK, f'"BulkDataURI":"{json.dumps(address)[1:-1]}')

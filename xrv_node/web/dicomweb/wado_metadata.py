"""WADO-RS: the headers of a study, series or instance (PS3.18 10.4.1.1.5) as DICOM JSON, or as XML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

from fastapi import APIRouter, Request, Response

from xrv_node.index import find
from xrv_node.index.entries import BULK, Entry
from xrv_node.index.levels import LEVELS
from xrv_node.web import node as nodes
from xrv_node.web.dicomweb import accept, lookup
from xrv_node.web.dicomweb.accept import Offer
from xrv_node.web.dicomweb.address import service
from xrv_node.web.dicomweb.body import Body, of_bytes
from xrv_node.web.dicomweb.multipart_out import related
from xrv_node.web.dicomweb.native_model import MEDIA_TYPE, document
from xrv_node.web.dicomweb.respond import etag, respond
from xrv_node.web.dicomweb.wado_objects import METHODS

router = APIRouter()
_XML = Offer(MEDIA_TYPE, multipart=True)
_OFFERS = (Offer("application/dicom+json"), Offer("application/json"), _XML)
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
    offers = (*_OFFERS, replace(_XML, multipart=False)) if len(uids) == len(LEVELS) else _OFFERS
    chosen = accept.negotiate(request, offers)
    base = service(request)
    tag = etag((str(chosen), base, *(entry.sha256 for entry in found)))
    # in one order, but for what came or went in between
    both = zip_longest(find.metadata(nodes.of(request).index, *uids), found)
    headers = (_addressed(header, entry, base) for header, entry in both if header is not None)
    if chosen.media_type != MEDIA_TYPE:
        body = Body(chosen.media_type, lambda: _array(headers))
    elif chosen.multipart:
        body = related(map(_document, headers), MEDIA_TYPE)
    else:
        body = Body(MEDIA_TYPE, lambda: chain.from_iterable(_document(one).chunks() for one in headers))
    return respond(request, body, tag, zipped=True)


def _array(headers: Iterable[str]) -> Iterator[bytes]:
    before = "["
    for header in headers:
        yield f"{before}{header}".encode()
        before = ","
    yield b"[]" if before == "[" else b"]"


def _document(header: str) -> Body:
    return of_bytes(MEDIA_TYPE, document(json.loads(header)).encode())


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

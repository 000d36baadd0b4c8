"""WADO-RS: studies, series and instances as DICOM objects (PS3.18 10.4.1.1.1 to .3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import structlog
from fastapi import APIRouter, Request, Response
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from xrv_node.errors import ImageError
from xrv_node.index.entries import Entry
from xrv_node.radiograph.syntaxes import LOSSY, decodes
from xrv_node.web.dicomweb import accept, lookup, recode
from xrv_node.web.dicomweb.accept import Offer
from xrv_node.web.dicomweb.body import Body, BrokenOffError, of_file
from xrv_node.web.dicomweb.multipart_out import related
from xrv_node.web.dicomweb.respond import etag, respond
from xrv_node.web.problem import Problem

log = structlog.get_logger("web")

router = APIRouter()
METHODS = ["GET", "HEAD"]
DICOM = "application/dicom"
_NEVER_SENT = (ImplicitVRLittleEndian, ExplicitVRBigEndian)
"""PS3.18 8.7.3.4 forbids them."""


@router.api_route("/studies/{study}", methods=METHODS)
def study(request: Request, study: str) -> Response:
    """All objects of a study."""
    return _several(request, lookup.entries(request, study))


@router.api_route("/studies/{study}/series/{series}", methods=METHODS)
def series(request: Request, study: str, series: str) -> Response:
    """All objects of a series."""
    return _several(request, lookup.entries(request, study, series))


@router.api_route("/studies/{study}/series/{series}/instances/{instance}", methods=METHODS)
def instance(request: Request, study: str, series: str, instance: str) -> Response:
    """One object, as a message of one part or by itself."""
    found = lookup.entry(request, study, series, instance)
    there = offers(found.transfer_syntax_uid)
    chosen = accept.negotiate(request, [*there, *(replace(offer, multipart=False) for offer in there)])
    try:
        body = _body(found, chosen)
    except ImageError as error:
        says = f"it cannot be decoded, only be sent as it is stored: {error}"
        raise lookup.unreadable(found, 406, says) from error
    if chosen.multipart:
        body = related((body,), DICOM)
    return respond(request, body, etag((found.sha256, str(chosen))))


def offers(syntax: str) -> list[Offer]:
    """Return in which transfer syntaxes an object can be sent, as parts of a message.

    Parameters
    ----------
    syntax
        The one that it is stored in, which comes first where it may be sent. What has lost something already
        (PS3.18 8.7.3.1), or cannot be decoded here, is meant as it is where none is named.
    """
    explicit = Offer(DICOM, True, ExplicitVRLittleEndian)
    if syntax in (*_NEVER_SENT, ExplicitVRLittleEndian):
        return [explicit]
    if not decodes(syntax):
        return [Offer(DICOM, True, syntax)]
    as_is = syntax in LOSSY
    return [Offer(DICOM, True, syntax, as_is), replace(explicit, default=not as_is)]


def _several(request: Request, found: Sequence[Entry]) -> Response:
    """All that can be sent as it was asked for: 206 where that is not all, 406 where it is nothing."""
    chosen: list[tuple[Entry, Offer]] = []
    refused: list[Problem] = []
    for entry in found:
        try:
            chosen.append((entry, accept.negotiate(request, offers(entry.transfer_syntax_uid))))
        except Problem as problem:
            refused.append(problem)
    if not chosen:
        raise refused[0]
    tag = etag(piece for entry, offer in chosen for piece in (entry.sha256, str(offer)))
    stored = all(offer.transfer_syntax == entry.transfer_syntax_uid for entry, offer in chosen)
    bodies = [_stored(entry) for entry, _ in chosen] if stored else _each(chosen)
    return respond(request, related(bodies, DICOM), tag, 206 if refused else 200)


def _each(chosen: Sequence[tuple[Entry, Offer]]) -> Iterator[Body]:
    """Each when its turn comes: what is decoded is in memory until it is sent."""
    for entry, offer in chosen:
        try:
            yield _body(entry, offer)
        except ImageError as error:
            if entry.transfer_syntax_uid in _NEVER_SENT:
                raise BrokenOffError(str(error)) from error
            log.warning("sent as it is stored", instance=entry.sop_instance_uid, why=str(error))
            yield _stored(entry)


def _body(entry: Entry, offer: Offer) -> Body:
    if offer.transfer_syntax == entry.transfer_syntax_uid:
        return _stored(entry)
    return recode.recoded(entry.path, entry.sha256, entry.transfer_syntax_uid)


def _stored(entry: Entry) -> Body:
    media_type = f"{DICOM}; transfer-syntax={entry.transfer_syntax_uid}"
    return of_file(media_type, entry.path, entry.size)

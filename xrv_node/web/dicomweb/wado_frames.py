"""WADO-RS: frames and bulk data (PS3.18 10.4.1.1.4 and .6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from fastapi import APIRouter, Request, Response
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from xrv_node.errors import ImageError
from xrv_node.index.entries import Entry
from xrv_node.radiograph.syntaxes import LOSSY, decodes
from xrv_node.web.dicomweb import accept, bulk, lookup
from xrv_node.web.dicomweb import frames as located
from xrv_node.web.dicomweb.accept import Offer
from xrv_node.web.dicomweb.body import Body, BrokenOffError, of_bytes
from xrv_node.web.dicomweb.bulk import OCTETS
from xrv_node.web.dicomweb.frames import Frames
from xrv_node.web.dicomweb.multipart_out import related
from xrv_node.web.dicomweb.respond import etag, respond
from xrv_node.web.dicomweb.wado_objects import METHODS
from xrv_node.web.problem import Problem

router = APIRouter()

MEDIA_TYPES = {
    JPEGBaseline8Bit: "image/jpeg",
    JPEGExtended12Bit: "image/jpeg",
    JPEGLossless: "image/jpeg",
    JPEGLosslessSV1: "image/jpeg",
    JPEGLSLossless: "image/jls",
    JPEGLSNearLossless: "image/jls",
    JPEG2000Lossless: "image/jp2",
    JPEG2000: "image/jp2",
    HTJ2KLossless: "image/jphc",
    HTJ2KLosslessRPCL: "image/jphc",
    HTJ2K: "image/jphc",
    RLELossless: "image/dicom-rle",
}
"""Of a compressed frame (PS3.18 table 8.7.3-5)."""
_LIST = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*", re.ASCII)
_INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"


@router.api_route(_INSTANCE + "/frames/{numbers}", methods=METHODS)
def frames(request: Request, study: str, series: str, instance: str, numbers: str) -> Response:
    """One frame, by itself or as a part, or several as parts."""
    found = lookup.entry(request, study, series, instance)
    there = lookup.frames_of(found)
    wanted = indices(numbers, there.count)
    return _frames(request, found, there, wanted, numbers)


@router.api_route(_INSTANCE + "/bulkdata/{place:path}", methods=METHODS)
def bulkdata(request: Request, study: str, series: str, instance: str, place: str) -> Response:
    """A value of a header that was too large for it; of compressed pixel data, all frames."""
    found = lookup.entry(request, study, series, instance)
    if not bulk.PATH.fullmatch(place):
        raise Problem(404, "no such bulk data")
    if place.upper() not in bulk.PIXELS:
        try:
            body = bulk.element(found.path, found.transfer_syntax_uid, place)
        except ImageError as error:
            raise lookup.unreadable(found, 404, f"no such bulk data: {error}") from error
        if body is None:
            raise Problem(404, "no such bulk data")
        return _octets(request, body, (found.sha256, place))
    there = lookup.frames_of(found)
    if there.native:
        return _octets(request, bulk.pixels(there), (found.sha256, place))
    return _frames(request, found, there, range(there.count), place)


def indices(numbers: str, count: int) -> list[int]:
    """Return the frames of a list, from 0.

    Raises
    ------
    Problem
        400 for what is no list of frame numbers, 404 for a frame that is not there.
    """
    found = [int(number) - 1 for number in numbers.split(",")] if _LIST.fullmatch(numbers) else [-1]
    if min(found) < 0:
        raise Problem(400, "frames: numbers from 1, with commas between")
    if max(found) >= count or len(found) > count:
        raise Problem(404, f"there are {count} frames")
    return found


def _octets(request: Request, body: Body, made_of: tuple[str, ...]) -> Response:
    """A value by itself, of which a range may be asked for, or as the part of a message."""
    offer = Offer(OCTETS, transfer_syntax=ExplicitVRLittleEndian)
    offers = [offer, replace(offer, multipart=True)]
    if body.media_type != OCTETS:
        offers = [Offer(body.media_type), Offer(body.media_type, multipart=True), *offers]
    chosen = accept.negotiate(request, offers)
    body = replace(body, media_type=chosen.media_type)
    if chosen.multipart:
        body = related((body,), chosen.media_type)
    return respond(request, body, etag((*made_of, str(chosen))))


def _frames(request: Request, found: Entry, there: Frames, wanted: Sequence[int], named: str) -> Response:
    offers = _offers(there)
    if len(wanted) == 1:
        offers += [replace(offer, multipart=False) for offer in offers]
    chosen = accept.negotiate(request, offers)
    tag = etag((found.sha256, named, str(chosen)))
    # what is only pointed at is told at once, so that its length is known; of others one, to see that it can
    at_once = wanted if there.as_is and there.bits % 8 == 0 else wanted[:1]
    try:
        bodies = [_frame(there, index, chosen) for index in at_once]
    except ImageError as error:
        raise lookup.unreadable(found, 404, f"the frame cannot be read: {error}") from error
    if not chosen.multipart:
        return respond(request, bodies[0], tag)
    rest = wanted[len(bodies) :]
    parts = chain(bodies, _each(there, rest, chosen)) if rest else bodies
    return respond(request, related(parts, chosen.media_type), tag)


def _offers(there: Frames) -> list[Offer]:
    """As what the frames can be sent, as parts: as they are stored first.

    A client that takes any bytes in any transfer syntax gets those that are stored, and is told which that
    is; one that names no syntax gets what needs no decoder, unless something was lost already.
    """
    plain = Offer(OCTETS, True, ExplicitVRLittleEndian)
    if there.native:
        return [plain]
    stored = Offer(OCTETS, True, str(there.syntax), default=False)
    named = MEDIA_TYPES.get(there.syntax)
    if not decodes(there.syntax) or there.tag != located.PIXEL_DATA:
        return [Offer(named, True, str(there.syntax)), stored] if named else [replace(stored, default=True)]
    if named is None:
        return [plain]
    image = Offer(named, True, str(there.syntax))
    return [image, stored, plain] if there.syntax in LOSSY else [stored, plain, image]


def _each(there: Frames, wanted: Sequence[int], chosen: Offer) -> Iterator[Body]:
    for index in wanted:
        try:
            yield _frame(there, index, chosen)
        except ImageError as error:
            raise BrokenOffError(f"frame {index + 1}: {error}") from error


def _frame(there: Frames, index: int, chosen: Offer) -> Body:
    media_type = f"{chosen.media_type}; transfer-syntax={chosen.transfer_syntax}"
    if chosen.transfer_syntax == there.syntax and not there.native:
        return of_bytes(media_type, located.stored(there, index))
    return located.native(there, index, media_type)

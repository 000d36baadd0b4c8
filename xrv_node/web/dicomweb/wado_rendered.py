"""WADO-RS: what is stored as a person sees it, large and small (PS3.18 10.4.1.1.2 and .3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fastapi import APIRouter, Request, Response
from pydicom.uid import EncapsulatedPDFStorage

from xrv_node.errors import ImageError
from xrv_node.index import find
from xrv_node.index.entries import Entry
from xrv_node.web import node as nodes
from xrv_node.web.dicomweb import accept, document, lookup, segmented
from xrv_node.web.dicomweb import frames as located
from xrv_node.web.dicomweb import picture as pictures
from xrv_node.web.dicomweb.accept import Offer
from xrv_node.web.dicomweb.body import of_bytes
from xrv_node.web.dicomweb.bulk import PDF
from xrv_node.web.dicomweb.picture import Picture
from xrv_node.web.dicomweb.respond import etag, respond, unchanged
from xrv_node.web.dicomweb.view import View, view
from xrv_node.web.dicomweb.wado_frames import indices
from xrv_node.web.dicomweb.wado_objects import METHODS
from xrv_node.web.problem import Problem

router = APIRouter()

_HTML = "text/html"
_IMAGES = (Offer("image/jpeg"), Offer("image/png"))
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
"""What the UIDs of structured reports and of key object selections begin with."""
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage and Label Map Segmentation Storage."""
_TRIED = 8
"""Images of a study or series that are tried until one can be shown."""
_STUDY, _SERIES = "/studies/{study}", "/studies/{study}/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"


@router.api_route(_STUDY + "/rendered", methods=METHODS)
def study(request: Request, study: str) -> Response:
    """The first image of a study."""
    return _first(request, lookup.entries(request, study), thumbnail=False)


@router.api_route(_STUDY + "/thumbnail", methods=METHODS)
def study_thumbnail(request: Request, study: str) -> Response:
    """The first image of a study, small."""
    return _first(request, lookup.entries(request, study), thumbnail=True)


@router.api_route(_SERIES + "/rendered", methods=METHODS)
def series(request: Request, study: str, series: str) -> Response:
    """The first image of a series; its first document where it has no image."""
    return _first(request, lookup.entries(request, study, series), thumbnail=False)


@router.api_route(_SERIES + "/thumbnail", methods=METHODS)
def series_thumbnail(request: Request, study: str, series: str) -> Response:
    """The first image of a series, small."""
    return _first(request, lookup.entries(request, study, series), thumbnail=True)


@router.api_route(_INSTANCE + "/rendered", methods=METHODS)
def instance(request: Request, study: str, series: str, instance: str) -> Response:
    """An object: of an image with several frames the first."""
    found = lookup.entry(request, study, series, instance)
    return _shown(request, found, 0, view(request.query_params))


@router.api_route(_INSTANCE + "/thumbnail", methods=METHODS)
def instance_thumbnail(request: Request, study: str, series: str, instance: str) -> Response:
    """An image, small."""
    found = lookup.entry(request, study, series, instance)
    return _image(request, found, 0, view(request.query_params, thumbnail=True))


@router.api_route(_INSTANCE + "/frames/{number}/rendered", methods=METHODS)
def frame(request: Request, study: str, series: str, instance: str, number: str) -> Response:
    """One frame."""
    found = lookup.entry(request, study, series, instance)
    return _image(request, found, _index(found, number), view(request.query_params))


@router.api_route(_INSTANCE + "/frames/{number}/thumbnail", methods=METHODS)
def frame_thumbnail(request: Request, study: str, series: str, instance: str, number: str) -> Response:
    """One frame, small."""
    found = lookup.entry(request, study, series, instance)
    return _image(request, found, _index(found, number), view(request.query_params, thumbnail=True))


def _index(found: Entry, number: str) -> int:
    wanted = indices(number, lookup.frames_of(found).count)
    if len(wanted) > 1:
        raise Problem(400, "frames: one can be rendered at a time")
    return wanted[0]


def _first(request: Request, found: Sequence[Entry], *, thumbnail: bool) -> Response:
    """The first image, by number, of what was received; else of what was made; else the first document."""
    asked = view(request.query_params, thumbnail=thumbnail)
    images = [entry for entry in found if entry.frames and entry.sop_class_uid not in _SEGMENTATIONS]
    images.sort(key=lambda entry: (entry.result, entry.instance_number is None, entry.instance_number or 0))
    why = Problem(404, "there is no image")
    for entry in images[:_TRIED]:
        try:
            return _image(request, entry, 0, asked)
        except Problem as problem:  # another one may do
            why = problem
    documents = [entry for entry in found if _is_document(entry)]
    if documents and not images and not thumbnail:
        return _shown(request, documents[0], 0, asked)
    raise why


def _is_document(entry: Entry) -> bool:
    return entry.sop_class_uid.startswith(_REPORTS) or entry.sop_class_uid == str(EncapsulatedPDFStorage)


def _shown(request: Request, entry: Entry, index: int, asked: View) -> Response:
    if entry.sop_class_uid.startswith(_REPORTS):
        return _document(request, entry, _HTML, document.page)
    if entry.sop_class_uid == EncapsulatedPDFStorage:
        return _document(request, entry, PDF, document.pdf)
    return _image(request, entry, index, asked)


def _document(
    request: Request, entry: Entry, media_type: str, made: Callable[[Path, str], bytes]
) -> Response:
    chosen = accept.negotiate(request, [Offer(media_type)])
    try:
        charset = "; charset=utf-8" if media_type == _HTML else ""
        body = of_bytes(media_type + charset, made(entry.path, entry.transfer_syntax_uid))
    except ImageError as error:
        raise lookup.unreadable(entry, 406, f"it cannot be shown: {error}") from error
    return respond(request, body, etag((entry.sha256, str(chosen))))


def _image(request: Request, entry: Entry, index: int, asked: View) -> Response:
    if not entry.frames:
        raise Problem(404, "this is no image")
    chosen = accept.negotiate(request, _IMAGES)
    tag = etag((entry.sha256, str(chosen), str(index), repr(asked)))
    if known := unchanged(request, tag):
        return known
    try:
        shape = _segments(request, entry, asked) if entry.sop_class_uid in _SEGMENTATIONS else None
        shown, aspect = shape or pictures.picture(lookup.frames_of(entry), index, asked.window)
        data = pictures.written(pictures.fitted(shown, asked.viewport, aspect), chosen.media_type, asked)
    except ImageError as error:
        raise lookup.unreadable(entry, 406, f"it cannot be shown: {error}") from error
    return respond(request, of_bytes(chosen.media_type, data), tag)


def _segments(request: Request, entry: Entry, asked: View) -> tuple[Picture, float]:
    """A segmentation over the image that it is of, where that is here."""
    made = segmented.read(lookup.frames_of(entry))
    source = made.source and next(
        (
            other
            for other in find.instances(nodes.of(request).index, entry.study_instance_uid)
            if other.sop_instance_uid == made.source and other.frames
        ),
        None,
    )
    if not source:
        return segmented.over(made, None), 1.0
    image, aspect = pictures.picture(located.locate(source.path, source.sha256), 0, asked.window)
    return segmented.over(made, image), aspect

"""STOW-RS (PS3.18 10.5): objects that come by HTTP are taken as those that come by C-STORE.

The intake reads what it is given in a thread of the request's own, which asks the event loop for each piece.
While it writes to a slow disk it asks for none, the server stops reading the socket, and the client waits.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from time import sleep
from typing import Any, cast

import structlog
from anyio import CapacityLimiter, from_thread, to_thread
from anyio.lowlevel import RunVar
from fastapi import APIRouter, Request, Response
from python_multipart.multipart import parse_options_header
from starlette.types import Message

from xrv_node.errors import RefusedError
from xrv_node.network.wire import BrokenOffError
from xrv_node.reasons import Reason
from xrv_node.receive import receiver, taking
from xrv_node.receive.header_facts import check_uids
from xrv_node.receive.instance_rows import Incoming
from xrv_node.receive.taking import Taken
from xrv_node.settings.receive import ReceiveSection
from xrv_node.settings.section import plain_address
from xrv_node.spool import is_uid
from xrv_node.web import node as web_node
from xrv_node.web import who as web_who
from xrv_node.web.dicomweb import accept, address, file_head, multipart_in, native_model
from xrv_node.web.dicomweb.accept import Offer
from xrv_node.web.dicomweb.multipart_in import MultipartError, Part, TooManyPartsError
from xrv_node.web.dicomweb.stow_answer import Answer, warning
from xrv_node.web.node import WebNode
from xrv_node.web.problem import Problem
from xrv_node.web.who import Who

log = structlog.get_logger("receive")
router = APIRouter()

DICOM = "application/dicom"
RETRY_SECONDS = 60
"""After which a client may try again where there was no room: a disk is not emptied at once."""
MOST_AT_ONCE = 1000
"""Requests that are read at once, each in a thread, which a slow client holds; ``[web]`` has other limits."""

_ANSWERS = (Offer("application/dicom+json"), Offer("application/json"), Offer(native_model.MEDIA_TYPE))
_threads: RunVar[CapacityLimiter] = RunVar("stow")


class GoneError(BrokenOffError):
    """The client went away before its request was whole."""


class OtherTypeError(MultipartError):
    """A part that is no DICOM file."""


_STATUSES: Mapping[type[BrokenOffError], int] = {
    OtherTypeError: 415,
    TooManyPartsError: 413,
    MultipartError: 400,
}
"""How a request is answered that breaks off; without a row there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who stores, and where."""

    node: WebNode
    who: Who
    study: str | None


@router.post("/studies")
@router.post("/studies/{study}")
async def store(request: Request, study: str | None = None) -> Response:
    """Store the objects of a body, `multipart/related; type="application/dicom"` or `application/dicom`."""
    client = Client(web_node.of(request), web_who.of(request), study)
    if not _lets_in(client.node.settings.receive, client.who.address):
        await to_thread.run_sync(_turn_away, client)
    boundary = _boundary(request, study)
    answer = Answer(address.service(request), accept.negotiate(request, _ANSWERS).media_type)
    try:
        threads = _threads.get()
    except LookupError:
        threads = CapacityLimiter(MOST_AT_ONCE)
        _threads.set(threads)
    return await to_thread.run_sync(partial(_store, client, request, boundary, answer), limiter=threads)


def _lets_in(receive: ReceiveSection, came_from: str) -> bool:
    if not receive.allowed_addresses:
        return True
    try:
        return receive.lets_in(plain_address(came_from))
    except ValueError:  # none that could be listed
        return False


def _turn_away(client: Client) -> None:
    remedy = Reason("address-not-let-in", address=client.who.address)
    receiver.refused(client.node, client.who.address, remedy, client.who.ae_title)
    raise Problem(403, str(remedy))


def _boundary(request: Request, study: str | None) -> str | None:
    """The boundary of a body that can be read; None where it is one object.

    Raises
    ------
    Problem
        Before anything of the body is read.
    """
    if study is not None and not is_uid(study):
        raise Problem(400, "the address names no study: a Study Instance UID has digits and dots, 64 at most")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(
            415, "the body is encoded: send it without Content-Encoding", {"Accept-Encoding": "identity"}
        )
    said, parameters = _media_type(request.headers.get("content-type", ""))
    if said == DICOM:
        return None
    inner = parameters.get("type", DICOM)
    if said != "multipart/related" or _media_type(inner)[0] != DICOM:
        raise Problem(
            415, f'what is stored comes as multipart/related; type="{DICOM}", or one object as {DICOM}'
        )
    if not multipart_in.is_boundary(boundary := parameters.get("boundary", "")):
        raise Problem(400, "Content-Type names no boundary of 1 to 70 characters (RFC 2046 5.1.1)")
    return boundary


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    said, parameters = parse_options_header(text)
    return said.decode("latin-1").strip(), {
        key.decode("latin-1").strip(): value.decode("latin-1") for key, value in parameters.items()
    }


def _store(client: Client, request: Request, boundary: str | None, answer: Answer) -> Response:
    """Take what comes, and answer."""
    body = _body(request)
    parts = iter([Part({}, body)]) if boundary is None else multipart_in.parts(body, boundary)
    try:
        for part in parts:
            keep(client, part, answer)
    except BrokenOffError as error:
        return _broken_off(client, answer, error)
    if answer.empty:
        raise Problem(400, "the body has no part: nothing was sent to be stored")
    # Of a request that breaks off nobody knows whether more was to come: there the quiet period decides.
    taking.close(client.node, answer.studies)
    return _said(answer, answer.status)


def _body(request: Request) -> Iterator[bytes]:
    """The body as it comes, in a thread."""
    receive = cast("Callable[[], Coroutine[Any, Any, Message]]", request.receive)
    more = True
    while more:
        message = from_thread.run(receive)
        if message["type"] == "http.disconnect":
            raise GoneError("the client went away before its request was whole")
        if body := message.get("body"):
            yield body
        more = message.get("more_body", False)


def keep(client: Client, part: Part, answer: Answer) -> None:
    """Take the object of one part.

    Raises
    ------
    BrokenOffError
        Where the part does not come whole, or is no DICOM file.
    """
    said = _media_type(part.headers.get("content-type", DICOM))[0]
    if said != DICOM:
        raise OtherTypeError(
            f"a part is no {DICOM}: other types are not stored, nor metadata with bulk data apart"
        )
    sleep(client.node.pace.turn(client.who.address))
    incoming = Incoming("", "", "", client.who.ae_title, ())
    try:
        head = file_head.read(part.pieces)
        incoming = replace(
            incoming,
            sop_class_uid=head.sop_class_uid,
            sop_instance_uid=head.sop_instance_uid,
            transfer_syntax_uid=head.transfer_syntax_uid,
            data=head.dataset,
        )
        check_uids(TransferSyntaxUID=head.transfer_syntax_uid)
    except RefusedError as error:
        taken: Taken = taking.refused(client.node, incoming, error, client.who.address)
    else:
        taken = taking.take(client.node, incoming, client.who.address, study=client.study)
    answer.add(incoming, taken)


def _broken_off(client: Client, answer: Answer, error: BrokenOffError) -> Response:
    """Tell of a request that did not come whole: what came before is stored, and listed."""
    about = {"calling_ae": client.who.ae_title, "address": client.who.address, "stored": len(answer.stored)}
    status = next((number for kind, number in _STATUSES.items() if isinstance(error, kind)), None)
    if status is not None and answer.empty:
        raise Problem(status, str(error))
    log.warning("request broken off", why=str(error), status=status, **about)
    return _said(answer, status or 400, str(error))


def _said(answer: Answer, status: int, broken: str | None = None) -> Response:
    response = Response(answer.body(), status, media_type=answer.media_type)
    for one in [*([warning(broken)] if broken else []), *answer.warnings()]:
        response.headers.append("Warning", one)
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response

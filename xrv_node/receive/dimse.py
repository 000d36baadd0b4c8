"""The Storage and Verification SCP: DIMSE requests in, statuses out.

Services are plain functions ``(association, message, receiver) -> status``. None of them raises but for an
association that broke off: an object that breaks something answers a failure status, and the association
goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from time import sleep
from typing import Any

import structlog
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import dsutils
from sqlalchemy import select

from xrv_node.db import commitments, progress, trail
from xrv_node.db.store import Store, is_busy
from xrv_node.db.tables import Study
from xrv_node.disk import Gate
from xrv_node.errors import RefusedError
from xrv_node.reasons import Reason
from xrv_node.receive import admission, intake
from xrv_node.receive.association import Association, Message
from xrv_node.receive.instance_rows import Accepted, Incoming
from xrv_node.receive.peer_limits import Crowd, Pace
from xrv_node.receive.wire import INVALID_PARAMETER, UNEXPECTED_PDU, BrokenOffError, Wire
from xrv_node.settings import Settings
from xrv_node.spool import Spool

log = structlog.get_logger("receive")

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
"""PS3.7 C.5.18: something of ours broke; the sender keeps the object and may try again."""
UNRECOGNIZED_OPERATION = 0x0211
"""PS3.7 C.5.28."""

MAXIMUM_REPORT = 1 << 20
"""Bytes of the report on one storage commitment request, which has at most `commitments.MOST` objects."""


@dataclass(frozen=True)
class Receiver:
    """What the services need."""

    settings: Settings
    store: Store
    spool: Spool
    views_from_pixels: bool = False
    """Whether the worker can tell a view that the header leaves open."""
    crowd: Crowd = field(default_factory=Crowd)
    """The associations, from their request on."""

    @cached_property
    def pace(self) -> Pace:
        """How fast one peer may send objects."""
        return Pace(self.settings.receive.max_objects_per_minute)

    @cached_property
    def gate(self) -> Gate:
        """Whether there is room for more."""
        return Gate(self.settings, self.store)


@dataclass
class Caller:
    """What is known of the peer of one association."""

    receiver: Receiver
    calling_ae: str
    address: str
    studies: set[str] = field(default_factory=set)
    """What it has sent, for ``close_on_release``."""


def serve(wire: Wire, address: str, receiver: Receiver) -> None:
    """Serve one connection from its association request to its end. Never raises.

    Parameters
    ----------
    address
        The peer's.
    """
    calling = ""
    try:
        association = Association(wire)
        calling = association.calling_ae
        with receiver.crowd.visit(address) as present:
            _serve(association, wire, address, receiver, present)
    except BrokenOffError as end:
        log.warning("association broken off", calling_ae=calling, address=address, why=str(end))
        if end.reason is not None:
            wire.abort(end.reason)
    except Exception:
        log.exception("association failed", calling_ae=calling, address=address)
        wire.abort(0)
    wire.part()


def _serve(
    association: Association, wire: Wire, address: str, receiver: Receiver, present: tuple[int, int]
) -> None:
    """Serve an association; `present`: how many there are with it, and how many of them from `address`."""
    calling = association.calling_ae
    called, ours = association.called_ae, receiver.settings.receive
    if refusal := admission.refusal(ours, receiver.gate, calling, called, present):
        rejection, remedy = refusal
        log.warning("association refused", calling_ae=calling, address=address, remedy=str(remedy))
        association.reject(rejection)
        _guarded(_record_refusal, receiver.store, calling, called, address, remedy)
        return
    wire.patience(ours.idle_seconds)
    if refused := association.accept(intake.classes(ours)):
        log.info(
            "storage classes refused",
            calling_ae=calling,
            address=address,
            classes=refused,
            remedy='receive.other_storage = "keep" takes them',
        )
    sender = Caller(receiver, calling, address)
    for message in association.messages():
        association.answer(message, _service(message)(association, message, sender))
    association.release()
    if receiver.settings.study.close_on_release:
        # An association that breaks instead says nothing: there the quiet period decides.
        _guarded(_close, receiver.store, sender.studies)


def echo(_association: Association, _message: Message, sender: Caller) -> int:
    """C-ECHO: always Success."""
    log.info("echo", calling_ae=sender.calling_ae)
    return SUCCESS


def store(association: Association, message: Message, sender: Caller) -> int:
    """C-STORE: Success only once file and row are on disk.

    Returns
    -------
    int
        0x0000 stored (or known already), 0x0122 of a class that is not taken, 0xA700 no room, 0xA900 not the
        object that was announced, 0xC000 cannot be understood, 0x0110 a fault of ours.

    Raises
    ------
    BrokenOffError
        When the association ends in the middle of the object; nothing of it is kept.
    """
    receiver = sender.receiver
    # Before its data is read: what it sends meanwhile waits in its own memory, not in ours.
    sleep(receiver.pace.turn(sender.address))
    incoming = _incoming(association, message, sender)
    try:
        accepted = intake.accept(
            receiver.store,
            receiver.spool,
            receiver.settings.frontal,
            incoming,
            views_from_pixels=receiver.views_from_pixels,
            max_bytes=receiver.settings.receive.max_object_mb << 20,
            gate=receiver.gate,
            classes=intake.classes(receiver.settings.receive),
        )
    except BrokenOffError:
        raise
    except RefusedError as error:
        log.warning("refused", status=f"0x{error.status:04X}", why=str(error), calling_ae=incoming.calling_ae)
        if not is_busy(error.__cause__):  # else the peer would wait as long again for its answer
            _guarded(intake.refused, receiver.store, incoming, error)
        return error.status
    except Exception:
        log.exception("store failed", calling_ae=incoming.calling_ae)
        return PROCESSING_FAILURE
    sender.studies.add(accepted.study_instance_uid)
    _log_stored(accepted, incoming)
    return SUCCESS


def _incoming(association: Association, message: Message, sender: Caller) -> Incoming:
    return Incoming(
        sop_class_uid=str(message.command.get("AffectedSOPClassUID", "")),
        sop_instance_uid=str(message.command.get("AffectedSOPInstanceUID", "")),
        transfer_syntax_uid=association.transfer_syntaxes[message.context_id],
        calling_ae=sender.calling_ae,
        data=message.fragments,
    )


def _log_stored(accepted: Accepted, incoming: Incoming) -> None:
    if accepted.outcome == "conflict":
        log.warning(
            "other content under a SOP Instance UID that came before: kept, not analysed, told in the report",
            study=accepted.study_instance_uid,
            instance=incoming.sop_instance_uid,
            remedy="corrected objects that are to be analysed need SOP Instance UIDs of their own",
        )
    decision = accepted.decision
    log.info(
        "stored",
        outcome=accepted.outcome,
        study=accepted.study_instance_uid,
        instance=incoming.sop_instance_uid,
        calling_ae=incoming.calling_ae,
        verdict=decision.verdict.value if decision else None,
        view=decision.view if decision else None,
    )


def event_report(association: Association, message: Message, sender: Caller) -> int:
    """N-EVENT-REPORT: an archive tells what it commits to keep, on an association of its own.

    Returns
    -------
    int
        As `commitments.answered` has it; 0x0115 for what cannot be read, 0x0110 for what cannot be recorded.

    Raises
    ------
    BrokenOffError
        When the report is larger than any answer to a question of ours.
    """
    encoded = bytearray()
    for fragment in message.fragments:
        encoded += fragment
        if len(encoded) > MAXIMUM_REPORT:
            raise BrokenOffError("a report of more than a mebibyte", INVALID_PARAMETER)
    syntax = UID(association.transfer_syntaxes[message.context_id])
    try:
        information: Dataset = dsutils.decode(
            BytesIO(encoded), syntax.is_implicit_VR, syntax.is_little_endian
        )
        for _ in information.iterall():  # values are parsed when they are looked at
            pass
    except Exception:  # the parser meets bytes from outside and has no error class of its own
        log.warning("an answer on storage commitment cannot be read", calling_ae=sender.calling_ae)
        return commitments.INVALID_ARGUMENT
    try:
        return commitments.answered(sender.receiver.store, information)
    except Exception:
        log.exception("an answer on storage commitment cannot be recorded", calling_ae=sender.calling_ae)
        return PROCESSING_FAILURE


def unrecognized(_association: Association, message: Message, sender: Caller) -> int:
    """Any other request: this node does not do that."""
    log.warning(
        "no such service", command=f"0x{message.command.CommandField:04X}", calling_ae=sender.calling_ae
    )
    return UNRECOGNIZED_OPERATION


Service = Callable[[Association, Message, Caller], int]
SERVICES: dict[int, Service] = {0x0001: store, 0x0030: echo, 0x0100: event_report}
"""By Command Field (PS3.7 E.1)."""


def _service(message: Message) -> Service:
    command = message.command.CommandField
    if command & 0x8000:
        raise BrokenOffError("a response that nothing was asked for", UNEXPECTED_PDU)
    return SERVICES.get(command, unrecognized)


def _close(store: Store, studies: set[str]) -> None:
    with store.begin() as db:
        for study in db.scalars(select(Study).where(Study.study_instance_uid.in_(studies))):
            progress.close_study(db, study, Reason("association-released"))


def _record_refusal(store: Store, calling: str, called: str, address: str, remedy: Reason) -> None:
    with store.begin() as db:
        trail.record(
            db, "association.refused", calling_ae=calling, called_ae=called, address=address, remedy=remedy
        )


def _guarded(action: Callable[..., None], *arguments: Any) -> None:
    """Run a step whose failure must not reach the association."""
    try:
        action(*arguments)
    except Exception:
        log.exception("could not be recorded")

"""The Storage and Verification SCP: DIMSE requests in, statuses out.

Services are plain functions ``(association, message, receiver) -> status``. None of them raises but for an
association that broke off: an object that breaks something answers a failure status, and the association
goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic, sleep

import structlog

from xrv_node import reasons
from xrv_node.network.command import C_ECHO, C_STORE, N_EVENT_REPORT, UNRECOGNIZED_OPERATION
from xrv_node.network.wire import NOT_SPECIFIED, UNEXPECTED_PDU, BrokenOffError, Wire
from xrv_node.reasons import Reason
from xrv_node.receive import admission, commitment_report, intake, taking
from xrv_node.receive.association import LOCAL_LIMIT_EXCEEDED, Association, Message
from xrv_node.receive.instance_rows import Incoming
from xrv_node.receive.receiver import Caller, Receiver, refused
from xrv_node.receive.statuses import SUCCESS

log = structlog.get_logger("receive")

_ON_RECORD = ("request-unreadable", "wire-not-dicom", "wire-too-long", "only-echoes", "idle-made-way")
"""Why we ended an association, where the peer must be seen to: the other ends may be a cable's."""


IDLE_SECONDS = 1.0
"""Who has done nothing for so long makes way where every place is taken and one comes that has none."""
PLACE_SECONDS = 2.0
"""How long that one waits for it."""


def serve(wire: Wire, address: str, receiver: Receiver, seated: Callable[[], bool] = lambda: True) -> None:
    """Serve one connection from its association request to its end. Never raises.

    Parameters
    ----------
    address
        The peer's.
    seated
        Told once it has an association; False where the connection was given up meanwhile.
    """
    calling = ""
    try:
        association = Association(wire)
        calling = association.calling_ae
        _serve(association, wire, address, receiver, seated)
    except BrokenOffError as end:
        if end.reason is not None:
            wire.abort(end.reason)
        _broken_off(receiver, calling, address, end)
    except Exception:
        log.exception("association failed", calling_ae=calling, address=address)
        wire.abort(0)
    wire.part()


def _serve(
    association: Association, wire: Wire, address: str, receiver: Receiver, seated: Callable[[], bool]
) -> None:
    """Let an association in, or not."""
    calling, called, ours = association.calling_ae, association.called_ae, receiver.settings.receive
    refusal = admission.refusal(ours, receiver.gate, calling, called)
    if refusal is None:
        crowded = _seat(association, wire, address, receiver, seated)
        end, making = monotonic() + PLACE_SECONDS, False
        while crowded is not None and not receiver.crowd.has(address) and monotonic() < end:
            making = making or receiver.idle.shut_one(IDLE_SECONDS)
            sleep(0.01)  # until the one that makes way has gone
            crowded = _seat(association, wire, address, receiver, seated)
        if crowded is None:
            return
        refusal = LOCAL_LIMIT_EXCEEDED, crowded
    rejection, remedy = refusal
    association.reject(rejection)
    refused(receiver, address, remedy, calling, called)


def _seat(
    association: Association, wire: Wire, address: str, receiver: Receiver, seated: Callable[[], bool]
) -> Reason | None:
    """Serve an association to its end, if there is a place for it; else why there is none."""
    with receiver.crowd.visit(address, partial(admission.crowded, receiver.settings.receive)) as crowded:
        if crowded is None and seated():
            receiver.idle.add(wire, address)
            try:
                _work(association, wire, address, receiver)
            except BrokenOffError as end:
                if wire.was_shut:
                    most = receiver.settings.receive.max_associations
                    raise BrokenOffError(Reason("idle-made-way", limit=most)) from end
                raise
            finally:
                receiver.idle.remove(wire)
    return crowded


def _work(association: Association, wire: Wire, address: str, receiver: Receiver) -> None:
    """Serve an association until its release."""
    calling, ours = association.calling_ae, receiver.settings.receive
    wire.patience(ours.idle_seconds)
    if not_taken := association.accept(intake.classes(ours)):
        log.info(
            "storage classes refused",
            calling_ae=calling,
            address=address,
            classes=not_taken,
            remedy='receive.other_storage = "keep" takes them',
        )
    sender = Caller(receiver, calling, address)
    worked = monotonic()
    for message in association.messages():
        service = _service(message)
        if service in _WORK:
            receiver.idle.remove(wire)
        association.answer(message, service(association, message, sender))
        if service in _WORK:
            worked = monotonic()
            receiver.idle.add(wire, address)
        elif monotonic() > worked + ours.idle_seconds:
            raise BrokenOffError(Reason("only-echoes", seconds=f"{ours.idle_seconds:g}"), NOT_SPECIFIED)
    association.release()
    # An association that breaks instead says nothing: there the quiet period decides.
    taking.close(receiver, sender.studies)


def echo(_association: Association, _message: Message, sender: Caller) -> int:
    """C-ECHO: always Success."""
    if not sender.echoed:  # some ask each second
        log.info("echo", calling_ae=sender.calling_ae)
    sender.echoed = True
    return SUCCESS


def store(association: Association, message: Message, sender: Caller) -> int:
    """C-STORE: Success only once file and row are on disk.

    Returns
    -------
    int
        As `taking.Taken` has it.

    Raises
    ------
    BrokenOffError
        When the association ends in the middle of the object; nothing of it is kept.
    """
    # Before its data is read: what it sends meanwhile waits in its own memory, not in ours.
    sleep(sender.receiver.pace.turn(sender.address))
    taken = taking.take(sender.receiver, _incoming(association, message, sender), sender.address)
    if taken.accepted is not None:
        sender.studies.add(taken.accepted.study_instance_uid)
    return taken.status


def _incoming(association: Association, message: Message, sender: Caller) -> Incoming:
    return Incoming(
        sop_class_uid=str(message.command.get("AffectedSOPClassUID", "")),
        sop_instance_uid=str(message.command.get("AffectedSOPInstanceUID", "")),
        transfer_syntax_uid=association.transfer_syntaxes[message.context_id],
        calling_ae=sender.calling_ae,
        data=message.fragments,
    )


def event_report(association: Association, message: Message, sender: Caller) -> int:
    """N-EVENT-REPORT: an archive tells what it commits to keep, on an association of its own.

    Returns
    -------
    int
        As `commitment_report.take` has it.

    Raises
    ------
    BrokenOffError
        When the report is larger than any answer to a question of ours.
    """
    syntax = association.transfer_syntaxes[message.context_id]
    encoded = commitment_report.whole(message.fragments)
    return commitment_report.take(sender.receiver.store, encoded, syntax, sender.calling_ae)


def unrecognized(_association: Association, message: Message, sender: Caller) -> int:
    """Any other request: this node does not do that."""
    log.warning(
        "no such service", command=f"0x{message.command.CommandField:04X}", calling_ae=sender.calling_ae
    )
    return UNRECOGNIZED_OPERATION


Service = Callable[[Association, Message, Caller], int]
SERVICES: dict[int, Service] = {C_STORE: store, C_ECHO: echo, N_EVENT_REPORT: event_report}
"""By Command Field (PS3.7 E.1)."""
_WORK = (store, event_report)
"""What keeps an association: who does nothing else for ``idle_seconds`` is as good as silent."""


def _service(message: Message) -> Service:
    command = message.command.CommandField
    if command & 0x8000:
        raise BrokenOffError("a response that nothing was asked for", UNEXPECTED_PDU)
    return SERVICES.get(command, unrecognized)


def _broken_off(receiver: Receiver, calling: str, address: str, end: BrokenOffError) -> None:
    """Tell of an association that ended otherwise than by its release."""
    why = reasons.of(end)
    if why.key in _ON_RECORD:
        refused(receiver, address, why, calling)
    elif why.key == "wire-hung-up":  # the doctor, or a load balancer, looked whether somebody listens
        log.info("connection without an association", address=address)
    else:
        log.warning("association broken off", calling_ae=calling, address=address, why=str(why))

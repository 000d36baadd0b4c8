"""An association with a destination, with or without TLS, or the reason why there is none."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import A_ASSOCIATE_RJ

from xrv_node import tls
from xrv_node.errors import DestinationError
from xrv_node.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from xrv_node.reasons import Reason
from xrv_node.settings.destinations import DimseDestination, WebDestination

CONNECT_SECONDS = 10
"""An unreachable host is known after this, not after the system's two minutes."""
ANSWER_SECONDS = 60

_REJECTIONS = {  # A-ASSOCIATE-RJ source and reason (PS3.8 table 9-21) that a person must see to
    (1, 3): "our-title-unknown",
    # dcmtk's archive says the same of a caller that it does not know.
    (1, 7): "its-title-unknown",
    (1, 2): "context-unsupported",
}

Context = tuple[str, Sequence[str]]
"""An abstract syntax and the transfer syntaxes that it is offered in."""


class NotNowError(Exception):
    """The peer cannot be talked to at the moment; its reason says how far it came."""


def open_to(
    destination: DimseDestination,
    calling_ae: str,
    contexts: Sequence[Context],
    handlers: Sequence[tuple[Any, Callable[..., Any], list[Any]]] = (),
) -> Association:
    """Associate with a destination.

    Parameters
    ----------
    contexts
        The presentation contexts to propose, one each, in order.
    handlers
        pynetdicom's events with their handlers and arguments.

    Returns
    -------
    Association
        Established, with at least one accepted context.

    Raises
    ------
    DestinationError
        Trying again changes nothing until a person does: we are refused, or everything proposed is.
    NotNowError
        Not reachable, not secure, or busy.
    """
    ae = AE(ae_title=calling_ae)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = CONNECT_SECONDS
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_SECONDS
    for abstract_syntax, transfer_syntaxes in contexts:
        ae.add_requested_context(abstract_syntax, list(transfer_syntaxes))
    host, port, called = destination.host, destination.port, destination.ae_title
    context = tls_context(destination)
    refused: list[A_ASSOCIATE_RJ] = []
    association = ae.associate(
        host,
        port,
        ae_title=called,
        max_pdu=0,
        evt_handlers=[
            (evt.EVT_CONN_OPEN, _no_delay),
            (evt.EVT_PDU_RECV, note_rejection, [refused]),
            *handlers,
        ],
        tls_args=None if context is None else (context, host),
    )
    if association.is_established:
        return association
    if refused:
        raise _rejection(refused[0], calling_ae, called)
    if association.rejected_contexts:
        raise DestinationError(Reason("no-class-accepted", peer=called))
    if context is not None and (why := _handshake(context, host, port)):
        raise NotNowError(Reason("no-tls", peer=called, host=host, port=port, why=why))
    raise NotNowError(Reason("no-association", peer=called, host=host, port=port))


def tls_context(destination: DimseDestination | WebDestination) -> ssl.SSLContext | None:
    """The context of a destination with a table ``tls``, made anew each time, for files are replaced.

    Raises
    ------
    ConfigError
        When one of its files is missing or wrong.
    """
    files = destination.tls
    if files is None:
        return None
    key = f"destinations.{destination.name}.tls"
    context = tls.client_context(files.ca, files.certificate, files.key, key)
    context.check_hostname = files.verify_host
    return context


def note_rejection(event: Event, refused: list[A_ASSOCIATE_RJ]) -> None:
    """Keep a rejection; a handler of ``EVT_PDU_RECV``.

    pynetdicom forgets one where the peer has closed before the thread that waits for the answer looks: then
    it tells of a peer that cannot be reached.
    """
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        refused.append(event.pdu)


def _rejection(answer: A_ASSOCIATE_RJ, calling: str, called: str) -> DestinationError | NotNowError:
    if answer.result == 2:  # rejected-transient (PS3.8 9.3.4)
        return NotNowError(Reason("associations-refused-now", peer=called))
    return DestinationError(Reason("association-refused", peer=called, why=_why(answer, calling, called)))


def _why(answer: A_ASSOCIATE_RJ, calling: str, called: str) -> Reason:
    source, code = answer.source or 0, answer.reason_diagnostic or 0
    match _REJECTIONS.get((source, code)):
        case "our-title-unknown" as key:
            return Reason(key, calling=calling)
        case "its-title-unknown" as key:
            return Reason(key, calling=calling, called=called)
        case "context-unsupported" as key:
            return Reason(key)
        case _:
            return Reason("rejection-code", source=source, code=code)


def _handshake(context: ssl.SSLContext, host: str, port: int) -> Reason | None:
    """What is wrong with the handshake, which pynetdicom does not tell; None where it is not that."""
    try:
        with (
            socket.create_connection((host, port), CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            # In TLS 1.3 a server refuses our certificate only after the handshake.
            secured.settimeout(1)
            secured.recv(1)
    except ssl.SSLCertVerificationError as error:
        return Reason("certificate-does-not-hold", why=str(error.verify_message))
    except ssl.SSLError as error:
        return Reason("handshake-failed", why=error.reason or Reason("broken-off"))
    except OSError:
        return None
    return None


def _no_delay(event: Event) -> None:
    """Without this, Nagle's algorithm waits 40 ms for the peer's delayed ACK at each object."""
    wrapper: Any = event.assoc.dul.socket
    if wrapper is not None and wrapper.socket is not None:
        wrapper.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

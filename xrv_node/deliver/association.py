"""An association with a destination, with or without TLS, or the reason why there is none."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import dsutils

from xrv_node import reasons, tls, verbatim
from xrv_node.errors import DestinationError
from xrv_node.network import command, datasets, outgoing
from xrv_node.network.outgoing import Association
from xrv_node.network.terms import CONNECT_SECONDS, Accepted, Context, Peer, RejectedError, Terms
from xrv_node.network.wire import MAXIMUM_PDU, BrokenOffError
from xrv_node.reasons import Reason
from xrv_node.settings.destinations import DimseDestination
from xrv_node.settings.tls import TlsClientSection

_REJECTIONS = {  # A-ASSOCIATE-RJ source and reason (PS3.8 table 9-21) that a person must see to
    (1, 3): "our-title-unknown",
    # dcmtk's archive says the same of a caller that it does not know.
    (1, 7): "its-title-unknown",
    (1, 2): "context-unsupported",
}

_REWRITTEN = frozenset(
    map(str, (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian))
)
"""Transfer syntaxes that an object can be written anew from and in."""


class NotNowError(Exception):
    """The peer cannot be talked to at the moment; its reason says how far it came."""


def open_to(
    destination: DimseDestination,
    calling_ae: str,
    contexts: Sequence[Context],
    terms: Terms | None = None,
) -> Association:
    """Associate with a destination.

    Parameters
    ----------
    contexts
        The presentation contexts to propose, one each, in order.
    terms
        What it may do, and for how long; None: the usual.

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
    peer = Peer(destination.ae_title, destination.host, destination.port)
    return open_peer(peer, calling_ae, contexts, terms, tls_context(destination))


def open_peer(
    peer: Peer,
    calling_ae: str,
    contexts: Sequence[Context],
    terms: Terms | None = None,
    context: ssl.SSLContext | None = None,
) -> Association:
    """Associate with any peer, over TLS where a context is given; see :func:`open_to`."""
    called, terms = peer.ae_title, terms or Terms()
    where: dict[str, Any] = {"peer": called, "host": peer.host, "port": peer.port}
    seconds = min(CONNECT_SECONDS, terms.seconds)
    try:
        connection = outgoing.connect(peer.host, peer.port, context, seconds)
        association = Association(connection, called, calling_ae, contexts, terms)
    except RejectedError as answer:
        raise _rejection(answer, calling_ae, called) from answer
    except ssl.SSLError as error:
        raise NotNowError(Reason("no-tls", **where, why=_handshake(error))) from error
    except OSError as error:
        raise NotNowError(
            Reason("no-association-because", **where, why=_unreachable(error, seconds))
        ) from error
    except BrokenOffError as error:
        if (cause := _tls_fault(error)) is not None:  # in TLS 1.3 our certificate is refused afterwards
            raise NotNowError(Reason("no-tls", **where, why=_handshake(cause))) from error
        raise NotNowError(Reason("no-association-because", **where, why=reasons.of(error))) from error
    if not association.accepted:
        association.abort()
        raise DestinationError(Reason("no-class-accepted", peer=called))
    return association


def _unreachable(error: OSError, seconds: float) -> Reason:
    if isinstance(error, socket.gaierror):
        return Reason("host-unknown")
    if isinstance(error, TimeoutError) and error.errno is None:
        return Reason("unreachable", why=Reason("wire-no-answer", seconds=f"{seconds:g}"))
    return Reason("unreachable", why=reasons.of_system(error))


def store(association: Association, path: Path, sop_class: str, sop_instance: str) -> int | None:
    """C-STORE a file: its bytes in pieces as they are, or written anew where the peer took another syntax.

    Returns
    -------
    int or None
        The peer's status; None where its answer has none.

    Raises
    ------
    ValueError
        When no accepted context fits the object, or it cannot be written in one that does.
    BrokenOffError
        When the association ends instead of an answer.
    OSError, InvalidDicomError, AttributeError, zlib.error
        When the file cannot be read; in the middle of it that ends the association.
    """
    meta, offset = dsutils.split_dataset(path)
    syntax = str(meta.TransferSyntaxUID)
    contexts = association.contexts(sop_class)
    context = next((c for c in contexts if c.transfer_syntax == syntax), None)
    elements: dict[int, str | int] = {0x0002: sop_class, 0x0700: command.MEDIUM, 0x1000: sop_instance}
    if context is not None:
        size = path.stat().st_size - offset
        answer = association.ask(context, command.C_STORE, elements, _pieces(path, offset), size=size)
    else:
        context, encoded = _anew(path, syntax, contexts)
        answer = association.ask(context, command.C_STORE, elements, (encoded,), size=len(encoded))
    return command.number(answer, "Status")


def echo(association: Association, context: Accepted) -> int | None:
    """C-ECHO.

    Returns
    -------
    int or None
        The peer's status; None where its answer has none.

    Raises
    ------
    BrokenOffError
        When the association ends instead of an answer.
    """
    answer = association.ask(context, command.C_ECHO, {0x0002: context.abstract_syntax})
    return command.number(answer, "Status")


def _pieces(path: Path, offset: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while piece := file.read(MAXIMUM_PDU):
            yield piece


def _anew(path: Path, syntax: str, contexts: Sequence[Accepted]) -> tuple[Accepted, bytes]:
    """The first context that the object can be written in, and the object in it."""
    fitting = (c for c in contexts if {syntax, c.transfer_syntax} <= _REWRITTEN)
    if (context := next(fitting, None)) is None:
        raise ValueError("no accepted context fits the object")
    return context, datasets.encode(verbatim.read(path), context.transfer_syntax)


class Secured(Protocol):
    """A section of the configuration that may have a table ``tls``."""

    @property
    def key(self) -> str:
        """Where it stands."""
        ...

    @property
    def tls(self) -> TlsClientSection | None:
        """None: without TLS."""
        ...


def tls_context(section: Secured) -> ssl.SSLContext | None:
    """The context of a section with a table ``tls``, made anew each time, for files are replaced.

    Raises
    ------
    ConfigError
        When one of its files is missing or wrong.
    """
    return None if section.tls is None else tls.of_client(section.tls, f"{section.key}.tls")


def _rejection(answer: RejectedError, calling: str, called: str) -> DestinationError | NotNowError:
    if answer.result == 2:  # rejected-transient (PS3.8 9.3.4)
        return NotNowError(Reason("associations-refused-now", peer=called))
    return DestinationError(Reason("association-refused", peer=called, why=_why(answer, calling, called)))


def _why(answer: RejectedError, calling: str, called: str) -> Reason:
    source, code = answer.source, answer.reason
    match _REJECTIONS.get((source, code)):
        case "our-title-unknown" as key:
            return Reason(key, calling=calling)
        case "its-title-unknown" as key:
            return Reason(key, calling=calling, called=called)
        case "context-unsupported" as key:
            return Reason(key)
        case _:
            return Reason("rejection-code", source=source, code=code)


def _tls_fault(error: BrokenOffError) -> ssl.SSLError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__
    return cause


def _handshake(error: ssl.SSLError) -> Reason:
    """What is wrong with the handshake."""
    if error.reason in tls.WITHOUT:
        return Reason("peer-without-tls")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Reason("certificate-does-not-hold", why=str(error.verify_message))
    return Reason("handshake-failed", why=error.reason or Reason("broken-off"))

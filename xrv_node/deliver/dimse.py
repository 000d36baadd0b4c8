"""C-STORE to a peer: one association, held open while there is work, proposing only what will be sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from xrv_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from xrv_node.deliver.attempt import Attempt, Outcome, from_status
from xrv_node.errors import DestinationError
from xrv_node.report.kinds import sop_classes
from xrv_node.settings import DestinationSection
from xrv_node.values import VERIFICATION, StoredResult

log = structlog.get_logger("deliver")

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]

CONNECT_SECONDS = 10
"""An unreachable host is known after this, not after the system's two minutes."""
ANSWER_SECONDS = 60

_REJECTIONS = {  # A-ASSOCIATE-RJ source and reason (PS3.8 table 9-21) that a person must see to
    (1, 3): "it does not know our AE title {calling}: add it there",
    (1, 7): "it is not called {called}: correct `ae_title` of the destination",
    (1, 2): "it does not support the application context",
}


class DimseSender:
    """Sends results to one peer."""

    def __init__(self, destination: DestinationSection, calling_ae: str) -> None:
        self._destination = destination
        self._calling = calling_ae
        self._association: Association | None = None

    def send(self, results: Sequence[StoredResult]) -> Iterator[Attempt]:
        """Send each over the held association; the status of each is the peer's own."""
        for number, result in enumerate(results):
            try:
                association = self._open()
            except _NotNowError as error:
                yield from (Attempt(r, Outcome.TRANSIENT, str(error)) for r in results[number:])
                return
            except DestinationError as error:
                yield from (Attempt(r, Outcome.REJECTED, str(error)) for r in results[number:])
                return
            yield self._store(association, result)

    def close(self) -> None:
        """Release the association, if one is held."""
        if self._association is not None and self._association.is_established:
            self._association.release()
        self._association = None

    def check(self) -> list[str]:
        """C-ECHO, and what the peer accepts.

        Returns
        -------
        list of str
            A line for the echo and one for each SOP class.

        Raises
        ------
        DestinationError
            When the peer cannot be reached, refuses us, or does not take every class.
        """
        try:
            association = self._open(verify=True)
        except _NotNowError as error:
            raise DestinationError(str(error)) from error
        # The first of a class wins: the contexts are in our order of preference.
        accepted = {str(c.abstract_syntax): c for c in reversed(association.accepted_contexts)}
        lines = []
        if VERIFICATION in accepted:
            status = association.send_c_echo().get("Status")
            lines.append("C-ECHO: " + ("no answer" if status is None else f"0x{status:04X}"))
        refused = []
        for kind, uid in self._classes():
            context = accepted.get(uid)
            syntax = UID(context.transfer_syntax[0]).name if context else "NOT ACCEPTED"
            lines.append(f"{kind}: {UID(uid).name}: {syntax}")
            if context is None:
                refused.append(kind)
        self.close()
        if refused:
            raise DestinationError(
                "\n".join([*lines, f"allow the SOP classes at the peer, or leave {refused} out of `send`"])
            )
        return lines

    def _classes(self) -> list[tuple[str, str]]:
        """Each kind that the destination takes with each SOP class that its objects can be of."""
        style = self._destination.style
        return [(kind, uid) for kind in self._destination.send for uid in sop_classes(kind, style)]

    def _open(self, *, verify: bool = False) -> Association:
        if self._association is not None and self._association.is_established:
            return self._association
        host, port = str(self._destination.host), int(self._destination.port or 0)
        called = str(self._destination.ae_title)
        ae = AE(ae_title=self._calling)
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.connection_timeout = CONNECT_SECONDS
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_SECONDS
        if verify:
            ae.add_requested_context(VERIFICATION)
        for uid in dict.fromkeys(uid for _, uid in self._classes()):
            for syntax in SYNTAXES:  # a context each: offered a list, many peers pick the poorer one
                ae.add_requested_context(uid, syntax)
        association = ae.associate(
            host, port, ae_title=called, max_pdu=0, evt_handlers=[(evt.EVT_CONN_OPEN, _no_delay)]
        )
        if association.is_established:
            self._association = association
            return association
        if association.is_rejected:
            raise self._rejection(association, called)
        raise _NotNowError(f"no association with {called} at {host}:{port}: is it running and reachable?")

    def _rejection(self, association: Association, called: str) -> DestinationError | _NotNowError:
        answer: Any = association.acceptor.primitive
        if answer.result == 2:  # rejected-transient (PS3.8 9.3.4)
            return _NotNowError(f"{called} refuses associations for now")
        source, reason = answer.result_source, answer.diagnostic
        words = _REJECTIONS.get((source, reason), f"source {source}, reason {reason}")
        return DestinationError(
            f"{called} refused the association: {words.format(calling=self._calling, called=called)}"
        )

    def _store(self, association: Association, result: StoredResult) -> Attempt:
        if not any(c.abstract_syntax == result.sop_class_uid for c in association.accepted_contexts):
            name = UID(result.sop_class_uid).name
            return Attempt(
                result,
                Outcome.REJECTED,
                f"{self._destination.ae_title} does not accept {name}: allow it there, "
                f"or leave {result.kind!r} out of `send`",
            )
        try:
            answer = association.send_c_store(dcmread(result.path))
        except (OSError, InvalidDicomError) as error:
            return Attempt(result, Outcome.TRANSIENT, f"our own file: {type(error).__name__}")
        except (RuntimeError, ValueError) as error:  # the association ended, or no context fits the object
            return Attempt(result, Outcome.TRANSIENT, f"not sent: {type(error).__name__}")
        status = answer.get("Status")
        if status is None:
            association.abort()
            return Attempt(result, Outcome.TRANSIENT, "the peer did not answer")
        return from_status(result, int(status))


class _NotNowError(Exception):
    """The peer cannot be talked to at the moment."""


def _no_delay(event: Event) -> None:
    """Without this, Nagle's algorithm waits 40 ms for the peer's delayed ACK at each object."""
    wrapper: Any = event.assoc.dul.socket
    if wrapper is not None and wrapper.socket is not None:
        wrapper.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

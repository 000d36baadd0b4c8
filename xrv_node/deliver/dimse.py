"""C-STORE to a peer: one association, held open while there is work, proposing only what will be sent."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from xrv_node import reasons
from xrv_node.deliver.association import NotNowError, echo, open_to, store, tls_context
from xrv_node.deliver.attempt import Attempt, Outcome, from_status
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.network.outgoing import Association
from xrv_node.network.terms import Accepted, Context, Terms
from xrv_node.network.wire import BrokenOffError
from xrv_node.reasons import Reason
from xrv_node.result_kinds import KINDS, sop_classes
from xrv_node.settings.destinations import DimseDestination
from xrv_node.values import STORAGE_COMMITMENT, VERIFICATION, StoredResult

CHECK_SECONDS = 60.0
"""How long a check of a destination may take, from its connection on."""

ECHO_SECONDS = 20.0
"""How long a peer that was away may take to answer a C-ECHO, from its connection on."""

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


class DimseSender:
    """Sends results to one peer.

    Raises
    ------
    ConfigError
        When a file of its TLS is missing or wrong.
    """

    def __init__(self, destination: DimseDestination, calling_ae: str) -> None:
        tls_context(destination)  # a wrong file is told before anything is sent
        self._destination = destination
        self._calling = calling_ae
        self._association: Association | None = None

    def send(self, results: Sequence[StoredResult]) -> Iterator[Attempt]:
        """Send each over the held association; the status of each is the peer's own."""
        for number, result in enumerate(results):
            try:
                yield self._store(result)
            except (NotNowError, ConfigError) as error:  # a file that is missing can come back
                yield from (Attempt(r, Outcome.TRANSIENT, reasons.of(error)) for r in results[number:])
                return
            except DestinationError as error:
                yield from (Attempt(r, Outcome.REJECTED, reasons.of(error)) for r in results[number:])
                return

    def close(self) -> None:
        """Release the association, if one is held."""
        if self._association is not None:
            self._association.release()
        self._association = None

    def answers(self) -> bool:
        """Whether the peer answers a C-ECHO; one that does not take any, whether it accepts an association.

        A peer that refuses us is there: what it has against us stands with the objects that it refuses.
        """
        if self._association is not None and self._association.is_open():
            return True
        contexts = [(VERIFICATION, SYNTAXES), *self._contexts()]
        try:
            association = open_to(self._destination, self._calling, contexts, Terms(total=ECHO_SECONDS))
        except DestinationError:
            return True
        except (NotNowError, ConfigError):
            return False
        context = next((c for c in association.accepted if c.abstract_syntax == VERIFICATION), None)
        try:
            return context is None or echo(association, context) is not None
        except BrokenOffError:
            return False
        finally:
            association.release()

    def check(self) -> list[str]:
        """C-ECHO, and what the peer accepts.

        Returns
        -------
        list of str
            A line for the echo, one for each SOP class, one for storage commitment where it is wanted.

        Raises
        ------
        DestinationError
            When the peer cannot be reached, refuses us, or does not take every class.
        """
        extra = [STORAGE_COMMITMENT] if self._destination.commitment else []
        contexts = [*((uid, SYNTAXES) for uid in (VERIFICATION, *extra)), *self._contexts()]
        try:
            association = open_to(self._destination, self._calling, contexts, Terms(total=CHECK_SECONDS))
        except NotNowError as error:
            raise DestinationError(reasons.of(error)) from error
        # The first of a class wins: the contexts are in our order of preference.
        accepted = {one.abstract_syntax: one for one in reversed(association.accepted)}
        lines = [_echoed(association, accepted[VERIFICATION])] if VERIFICATION in accepted else []
        association.release()
        refused = []
        for kind, uid in self._classes():
            context = accepted.get(uid)
            syntax = UID(context.transfer_syntax).name if context else "NOT ACCEPTED"
            lines.append(f"{kind}: {UID(uid).name}: {syntax}")
            if context is None:
                refused.append(kind)
        remedies = [f"allow the SOP classes at the peer, or leave {refused} out of `send`"] if refused else []
        if extra:
            offered = STORAGE_COMMITMENT in accepted
            lines.append(f"storage commitment: {'accepted' if offered else 'NOT ACCEPTED'}")
            remedies += [] if offered else ["the peer offers no storage commitment: leave `commitment` out"]
        if remedies:
            raise DestinationError(*lines, *remedies)
        return lines

    def _classes(self) -> list[tuple[str, str]]:
        """Each kind that the destination takes with each SOP class that its objects can be of."""
        style = self._destination.style
        return [(kind, uid) for kind in self._destination.send for uid in sop_classes(kind, style)]

    def _syntaxes(self, kind: str) -> list[UID]:
        """What a kind's objects are offered in, the best first; pynetdicom writes what the peer accepts."""
        deflated = self._destination.deflate and KINDS[kind].deflates
        return [DeflatedExplicitVRLittleEndian, *SYNTAXES] if deflated else SYNTAXES

    def _contexts(self) -> list[Context]:
        # A context each: offered a list, many peers pick the poorer one.
        pairs = dict.fromkeys((u, s) for k, u in self._classes() for s in self._syntaxes(k))
        return [(uid, [syntax]) for uid, syntax in pairs]

    def _store(self, result: StoredResult) -> Attempt:
        held = self._association is not None and self._association.is_open()
        if self._association is None or not held:
            self._association = open_to(self._destination, self._calling, self._contexts())
        peer = self._destination.ae_title
        if not self._association.contexts(result.sop_class_uid):
            what = {"sop_class": UID(result.sop_class_uid).name, "kind": result.kind}
            return Attempt(result, Outcome.REJECTED, Reason("class-not-accepted", peer=peer, **what))
        try:
            return _sent(self._association, result)
        except BrokenOffError as error:
            if held:  # the peer may just have had enough of it: another one shows
                return self._store(result)
            why = Reason("association-ended", peer=peer, why=reasons.of(error))
            return Attempt(result, Outcome.TRANSIENT, why)


def _sent(association: Association, result: StoredResult) -> Attempt:
    try:
        status = store(association, result.path, result.sop_class_uid, result.sop_instance_uid)
    except (OSError, AttributeError, InvalidDicomError, zlib.error) as error:
        return Attempt(result, Outcome.TRANSIENT, Reason("own-file", error=type(error).__name__))
    except ValueError as error:  # no context fits the object
        return Attempt(result, Outcome.TRANSIENT, Reason("not-sent", error=type(error).__name__))
    if status is None:
        association.abort()
        return Attempt(result, Outcome.TRANSIENT, Reason("answer-without-status"))
    return from_status(result, status)


def _echoed(association: Association, context: Accepted) -> str:
    try:
        status = echo(association, context)
    except BrokenOffError as error:
        return f"C-ECHO: {reasons.of(error)}"
    return "C-ECHO: " + ("an answer without a status" if status is None else f"0x{status:04X}")

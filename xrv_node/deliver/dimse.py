"""C-STORE to a peer: one association, held open while there is work, proposing only what will be sent."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config
from pynetdicom.association import Association

from xrv_node import reasons, verbatim
from xrv_node.deliver.association import Context, NotNowError, open_to, tls_context
from xrv_node.deliver.attempt import Attempt, Outcome, from_status
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.reasons import Reason
from xrv_node.result_kinds import KINDS, sop_classes
from xrv_node.settings.destinations import DimseDestination
from xrv_node.values import STORAGE_COMMITMENT, VERIFICATION, StoredResult

_config.STORE_SEND_CHUNKED_DATASET = True  # of files, which pynetdicom would decode and encode again

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
                association = self._open()
            except (NotNowError, ConfigError) as error:  # a file that is missing can come back
                yield from (Attempt(r, Outcome.TRANSIENT, reasons.of(error)) for r in results[number:])
                return
            except DestinationError as error:
                yield from (Attempt(r, Outcome.REJECTED, reasons.of(error)) for r in results[number:])
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
            A line for the echo, one for each SOP class, one for storage commitment where it is wanted.

        Raises
        ------
        DestinationError
            When the peer cannot be reached, refuses us, or does not take every class.
        """
        extra = [STORAGE_COMMITMENT] if self._destination.commitment else []
        contexts = [*((uid, SYNTAXES) for uid in (VERIFICATION, *extra)), *self._contexts()]
        try:
            association = open_to(self._destination, self._calling, contexts)
        except NotNowError as error:
            raise DestinationError(reasons.of(error)) from error
        # The first of a class wins: the contexts are in our order of preference.
        accepted = {str(c.abstract_syntax): c for c in reversed(association.accepted_contexts)}
        lines = []
        if VERIFICATION in accepted:
            status = association.send_c_echo().get("Status")
            lines.append("C-ECHO: " + ("no answer" if status is None else f"0x{status:04X}"))
        association.release()
        refused = []
        for kind, uid in self._classes():
            context = accepted.get(uid)
            syntax = UID(context.transfer_syntax[0]).name if context else "NOT ACCEPTED"
            lines.append(f"{kind}: {UID(uid).name}: {syntax}")
            if context is None:
                refused.append(kind)
        remedies = [f"allow the SOP classes at the peer, or leave {refused} out of `send`"] if refused else []
        if extra:
            offered = STORAGE_COMMITMENT in accepted
            lines.append(f"storage commitment: {'accepted' if offered else 'NOT ACCEPTED'}")
            remedies += [] if offered else ["the peer offers no storage commitment: leave `commitment` out"]
        if remedies:
            raise DestinationError("\n".join([*lines, *remedies]))
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

    def _open(self) -> Association:
        if self._association is None or not self._association.is_established:
            self._association = open_to(self._destination, self._calling, self._contexts())
        return self._association

    def _store(self, association: Association, result: StoredResult) -> Attempt:
        if not any(c.abstract_syntax == result.sop_class_uid for c in association.accepted_contexts):
            what = {"sop_class": UID(result.sop_class_uid).name, "kind": result.kind}
            reason = Reason("class-not-accepted", peer=str(self._destination.ae_title), **what)
            return Attempt(result, Outcome.REJECTED, reason)
        try:
            answer = _stored(association, result.path)
        except (OSError, AttributeError, InvalidDicomError, zlib.error) as error:
            association.abort()  # it may have broken in the middle of the object
            return Attempt(result, Outcome.TRANSIENT, Reason("own-file", error=type(error).__name__))
        except (RuntimeError, ValueError) as error:  # the association ended, or no context fits the object
            return Attempt(result, Outcome.TRANSIENT, Reason("not-sent", error=type(error).__name__))
        status = answer.get("Status")
        if status is None:
            association.abort()
            return Attempt(result, Outcome.TRANSIENT, Reason("peer-silent"))
        return from_status(result, int(status))


def _stored(association: Association, path: Path) -> Dataset:
    """C-STORE a file: its bytes in pieces as they are, or encoded anew where the peer took another syntax."""
    try:
        return association.send_c_store(path)
    except ValueError:  # no context fits the file as it is
        return association.send_c_store(verbatim.read(path))

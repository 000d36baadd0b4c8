"""An accepted association: its negotiation, the DIMSE messages that come over it, and their answers.

pynetdicom negotiates; ``network`` says why the rest is our own. An object is handed on in the pieces that it
comes in, so that none is ever whole in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from time import monotonic

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import build_context
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor, negotiate_unrestricted

from xrv_node.network import command, negotiation, values
from xrv_node.network import wire as pdus
from xrv_node.network.negotiation import Answered, Proposed, Roles
from xrv_node.network.wire import MAXIMUM_PDU, BrokenOffError, Wire
from xrv_node.radiograph.syntaxes import decodes
from xrv_node.reasons import Reason, as_is
from xrv_node.values import STORAGE_COMMITMENT, VERIFICATION

SLOWEST = 1024
"""Bytes a second that an object must come with, the patience for one PDU aside: a peer that sends a byte a
minute must not hold an association for ever."""

Rejection = tuple[int, int, int]
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
CALLING_AE_NOT_RECOGNIZED: Rejection = (1, 1, 3)
CALLED_AE_NOT_RECOGNIZED: Rejection = (1, 1, 7)
LOCAL_LIMIT_EXCEEDED: Rejection = (2, 3, 2)

_NO_SUCH_CLASS, _NO_SUCH_SYNTAX = 3, 4
"""Results of a presentation context (PS3.8 table 9-18)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One DIMSE request."""

    context_id: int
    command: Dataset
    fragments: Iterator[memoryview]
    """The data set's bytes as they come; each piece is valid until the next one is asked for."""


class Association:
    """One association, from its request on.

    Parameters
    ----------
    wire
        The connection; nothing was read from it yet.

    Raises
    ------
    BrokenOffError
        When what comes is not an association request, or one that cannot be read.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        kind, body = wire.read()
        if kind != pdus.ASSOCIATE_RQ:
            raise BrokenOffError("it began with something else than a request", pdus.UNEXPECTED_PDU)
        try:
            self._request = negotiation.read_request(body)
            self._room = values.room(self._request.longest)
        except ValueError as error:
            why = Reason("request-unreadable", why=as_is(str(error)))
            raise BrokenOffError(why, pdus.INVALID_PARAMETER) from error
        self.calling_ae, self.called_ae = self._request.calling_ae, self._request.called_ae
        """As they are meant; what is no text is escaped."""
        self.transfer_syntaxes: dict[int, str] = {}
        """Of the accepted presentation contexts, by context ID."""

    def reject(self, rejection: Rejection) -> None:
        """Refuse the association."""
        self._wire.say(pdus.ASSOCIATE_RJ, rejection)

    def accept(self, classes: Collection[str] | None = None) -> list[str]:
        """Accept the association and every presentation context for storage, private classes too, in the
        first transfer syntax that the peer offers and a decoder reads, else in its first: objects are kept
        as they come; and answers on storage commitment.

        Parameters
        ----------
        classes
            UIDs of the storage classes that are taken; without it all of them.

        Returns
        -------
        list of str
            UIDs of the classes that are refused for it (result 3, PS3.8 table 9-18).
        """
        offered, refused, answers = self._contexts(classes)
        roles: dict[UID, tuple[bool | None, bool | None]] = {
            UID(uid): both for uid, both in self._request.roles.items() if _negotiable(uid)
        }
        contexts, role_items = negotiate_unrestricted(offered, _supported(), roles)
        contexts += negotiate_as_acceptor(refused, [])[0]
        answers += [Answered(c.context_id or 0, c.result or 0, str(c.transfer_syntax[0])) for c in contexts]
        self.transfer_syntaxes = {a.context_id: a.transfer_syntax for a in answers if a.result == 0}
        answers.sort(key=lambda answer: answer.context_id)
        self._wire.write(
            negotiation.acceptance(self._request.titles, answers, MAXIMUM_PDU, _roles(role_items))
        )
        return sorted({str(context.abstract_syntax) for context in refused})

    def messages(self) -> Iterator[Message]:
        """Yield the requests until the peer asks for the release.

        Raises
        ------
        BrokenOffError
            When the association ends in any other way.
        """
        came = values.values(self._wire)
        while (got := self._command(came)) is not None:
            context_id, fields = got
            if context_id not in self.transfer_syntaxes:
                raise BrokenOffError("a message in a context that was not accepted", pdus.INVALID_PARAMETER)
            fragments = (
                self._fragments(came, context_id)
                if fields.CommandDataSetType != command.NO_DATASET
                else iter(())
            )
            yield Message(context_id, fields, fragments)

    def answer(self, message: Message, status: int) -> None:
        """Answer a request, after what is left of its data set was read (PS3.7 9.3)."""
        for _ in message.fragments:
            pass
        data = command.response(message.command, status)
        self._wire.write(values.command(message.context_id, data, self._room))

    def release(self) -> None:
        """Confirm the release that the peer asked for."""
        self._wire.say(pdus.RELEASE_RP)

    def _contexts(
        self, classes: Collection[str] | None
    ) -> tuple[list[PresentationContext], list[PresentationContext], list[Answered]]:
        """The presentation contexts to negotiate, those that are refused for their class, and the answers on
        those that name no class or no transfer syntax."""
        offered: list[PresentationContext] = []
        refused: list[PresentationContext] = []
        answers: list[Answered] = []
        for proposed in self._request.contexts:
            if not _negotiable(proposed.abstract_syntax):
                answers.append(Answered(proposed.context_id, _NO_SUCH_CLASS, ""))
            elif not (context := _context(proposed)).transfer_syntax:
                answers.append(Answered(proposed.context_id, _NO_SUCH_SYNTAX, ""))
            else:
                taken = classes is None or proposed.abstract_syntax in {*classes, *_BESIDE_STORAGE}
                (offered if taken else refused).append(context)
        return offered, refused, answers

    def _command(self, came: Iterator[values.Value]) -> tuple[int, Dataset] | None:
        encoded, end = bytearray(), 0.0
        for context_id, control, data in came:
            # from its first piece on: between two requests the peer may be silent
            end = end or monotonic() + self._wire.seconds
            if monotonic() > end:
                raise BrokenOffError(f"a command took more than {self._wire.seconds:g} s", pdus.NOT_SPECIFIED)
            encoded += data
            if not control & values.COMMAND or len(encoded) > command.MAXIMUM:
                raise BrokenOffError("a data set without its command", pdus.UNEXPECTED_PDU)
            if control & values.LAST:
                return context_id, _fields(bytes(encoded))
        if end:
            raise BrokenOffError("released in the middle of a command", pdus.UNEXPECTED_PDU)
        return None

    def _fragments(self, came: Iterator[values.Value], context_id: int) -> Iterator[memoryview]:
        began, size = monotonic(), 0
        for got, control, data in came:
            if got != context_id or control & values.COMMAND:
                raise BrokenOffError("a data set in another context", pdus.UNEXPECTED_PDU)
            size += len(data)
            yield data
            if control & values.LAST:
                return
            if monotonic() - began > self._wire.seconds + size / SLOWEST:
                raise BrokenOffError(f"less than {SLOWEST} bytes a second", pdus.NOT_SPECIFIED)
        raise BrokenOffError("released in the middle of an object", pdus.UNEXPECTED_PDU)


_BESIDE_STORAGE = (VERIFICATION, STORAGE_COMMITMENT)


def _negotiable(uid: str) -> bool:
    """Whether a peer's name of a class or syntax can be one (PS3.5 6.2: 64 characters)."""
    return 0 < len(uid) <= 64


def _context(proposed: Proposed) -> PresentationContext:
    """What pynetdicom negotiates."""
    context = PresentationContext()
    context.context_id = proposed.context_id
    context.abstract_syntax = UID(proposed.abstract_syntax)
    # a stable sort: the order is the peer's preference among those that decode
    syntaxes = sorted(filter(_negotiable, proposed.transfer_syntaxes), key=lambda uid: not decodes(uid))
    context.transfer_syntax = [UID(uid) for uid in syntaxes]
    return context


def _roles(items: Collection[SCP_SCU_RoleSelectionNegotiation]) -> Roles:
    return {str(i.sop_class_uid): (bool(i.scu_role), bool(i.scp_role)) for i in items}


def _supported() -> list[PresentationContext]:
    """What is taken beside storage. Of storage commitment the peer is the SCP, though it is the one that
    calls: it says so by role selection (PS3.7 D.3.3.4)."""
    commitment = build_context(STORAGE_COMMITMENT)
    commitment.scu_role, commitment.scp_role = False, True
    return [build_context(VERIFICATION), commitment]


def _fields(encoded: bytes) -> Dataset:
    try:
        return command.decode(encoded)
    except ValueError as error:
        raise BrokenOffError(str(error), pdus.INVALID_PARAMETER) from error

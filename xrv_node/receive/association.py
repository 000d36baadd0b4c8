"""An accepted association: its negotiation, the DIMSE messages that come over it, and their answers.

pynetdicom encodes, decodes and negotiates; ``wire.py`` says why the loop is our own. An object is handed on
in the pieces that it comes in, so that none is ever whole in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from time import monotonic

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import build_context
from pynetdicom._globals import APPLICATION_CONTEXT_NAME
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    A_RELEASE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor, negotiate_unrestricted

from xrv_node.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from xrv_node.radiograph.syntaxes import decodes
from xrv_node.receive import command
from xrv_node.receive import wire as pdus
from xrv_node.receive.wire import MAXIMUM_PDU, BrokenOffError, Wire
from xrv_node.values import STORAGE_COMMITMENT, VERIFICATION

SLOWEST = 1024
"""Bytes a second that an object must come with, the patience for one PDU aside: a peer that sends a byte a
minute must not hold an association for ever."""

MAXIMUM_COMMAND = 65536
"""Bytes of a command set; one of C-STORE has some two hundred."""

Rejection = tuple[int, int, int]
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
CALLING_AE_NOT_RECOGNIZED: Rejection = (1, 1, 3)
CALLED_AE_NOT_RECOGNIZED: Rejection = (1, 1, 7)
LOCAL_LIMIT_EXCEEDED: Rejection = (2, 3, 2)

_PDV = struct.Struct(">LBB")
_DATA_PDU = struct.Struct(">BxLLBB")
_COMMAND, _LAST = 1, 2
"""Bits of a message control header (PS3.8 E.2)."""


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
        When what comes is not an association request.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        kind, body = wire.read()
        if kind != pdus.ASSOCIATE_RQ:
            raise BrokenOffError("it began with something else than a request", pdus.UNEXPECTED_PDU)
        pdu = A_ASSOCIATE_RQ()
        try:
            pdu.decode(struct.pack(">BxL", kind, len(body)) + body)
            self._request = pdu.to_primitive()
            self._room = _checked(self._request)
            self.calling_ae = str(self._request.calling_ae_title).strip()
            self.called_ae = str(self._request.called_ae_title).strip()
        except Exception as error:  # the decoder has no error class of its own
            raise BrokenOffError("its request cannot be decoded", pdus.INVALID_PARAMETER) from error
        self.transfer_syntaxes: dict[int, str] = {}
        """Of the accepted presentation contexts, by context ID."""

    def reject(self, rejection: Rejection) -> None:
        """Refuse the association."""
        answer = A_ASSOCIATE()
        answer.result, answer.result_source, answer.diagnostic = rejection
        pdu = A_ASSOCIATE_RJ()
        pdu.from_primitive(answer)
        self._wire.write(pdu.encode())
        self._wire.part()

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
        supported = _supported()
        offered, refused = self._contexts(classes, {c.abstract_syntax for c in supported})
        roles = {
            item.sop_class_uid: (item.scu_role, item.scp_role)
            for item in self._request.user_information
            if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and item.sop_class_uid is not None
        }
        contexts, role_items = negotiate_unrestricted(offered, supported, roles)
        contexts += negotiate_as_acceptor(refused, [])[0]
        self.transfer_syntaxes = {
            c.context_id: str(c.transfer_syntax[0])
            for c in contexts
            if c.context_id is not None and c.result == 0
        }
        answer = A_ASSOCIATE()
        answer.application_context_name = UID(APPLICATION_CONTEXT_NAME)
        answer.calling_ae_title = self._request.calling_ae_title
        answer.called_ae_title = self._request.called_ae_title
        answer.result, answer.result_source = 0, 1
        answer.presentation_context_definition_results_list = contexts
        length, implementation, version = (
            MaximumLengthNotification(),
            ImplementationClassUIDNotification(),
            ImplementationVersionNameNotification(),
        )
        length.maximum_length_received = MAXIMUM_PDU
        implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        answer.user_information = [length, implementation, version, *role_items]
        pdu = A_ASSOCIATE_AC()
        pdu.from_primitive(answer)
        self._wire.write(pdu.encode())
        return sorted({str(context.abstract_syntax) for context in refused})

    def messages(self) -> Iterator[Message]:
        """Yield the requests until the peer asks for the release.

        Raises
        ------
        BrokenOffError
            When the association ends in any other way.
        """
        values = self._values()
        while (got := self._command(values)) is not None:
            context_id, fields = got
            if context_id not in self.transfer_syntaxes:
                raise BrokenOffError("a message in a context that was not accepted", pdus.INVALID_PARAMETER)
            fragments = (
                self._fragments(values, context_id)
                if fields.CommandDataSetType != command.NO_DATASET
                else iter(())
            )
            yield Message(context_id, fields, fragments)

    def answer(self, message: Message, status: int) -> None:
        """Answer a request, after what is left of its data set was read (PS3.7 9.3)."""
        for _ in message.fragments:
            pass
        data = command.response(message.command, status)
        parts = [data[at : at + self._room] for at in range(0, len(data), self._room)]
        flags = [_COMMAND] * (len(parts) - 1) + [_COMMAND | _LAST]
        self._wire.write(
            b"".join(
                _DATA_PDU.pack(pdus.P_DATA, len(part) + 6, len(part) + 2, message.context_id, flag) + part
                for part, flag in zip(parts, flags, strict=True)
            )
        )

    def release(self) -> None:
        """Confirm the release that the peer asked for."""
        answer = A_RELEASE()
        answer.result = "affirmative"
        pdu = A_RELEASE_RP()
        pdu.from_primitive(answer)
        self._wire.write(pdu.encode())

    def _contexts(
        self, classes: Collection[str] | None, others: Collection[UID | None]
    ) -> tuple[list[PresentationContext], list[PresentationContext]]:
        """The presentation contexts to negotiate, and those that are refused for their class."""
        offered: list[PresentationContext] = []
        refused: list[PresentationContext] = []
        for context in self._request.presentation_context_definition_list:
            # a stable sort: the order is the peer's preference among those that decode
            context.transfer_syntax = sorted(context.transfer_syntax, key=lambda uid: not decodes(str(uid)))
            taken = classes is None or context.abstract_syntax in {*classes, *others}
            (offered if taken else refused).append(context)
        return offered, refused

    def _values(self) -> Iterator[tuple[int, int, memoryview]]:
        """Context ID, message control header and data of each presentation data value, until the release."""
        while True:
            kind, body = self._wire.read()
            if kind == pdus.RELEASE_RQ:
                return
            if kind == pdus.ABORT:
                raise BrokenOffError("the sender aborted it")
            if kind != pdus.P_DATA:
                raise BrokenOffError(f"a PDU of type {kind} in its middle", pdus.UNEXPECTED_PDU)
            if not body:
                raise BrokenOffError("a data PDU without a value", pdus.INVALID_PARAMETER)
            while body:
                if len(body) < _PDV.size:
                    raise BrokenOffError("a data value that is too short", pdus.INVALID_PARAMETER)
                length, context_id, control = _PDV.unpack_from(body)
                if not 2 <= length <= len(body) - 4:
                    raise BrokenOffError("a data value of a wrong length", pdus.INVALID_PARAMETER)
                yield context_id, control, body[6 : 4 + length]
                body = body[4 + length :]

    def _command(self, values: Iterator[tuple[int, int, memoryview]]) -> tuple[int, Dataset] | None:
        encoded, end = bytearray(), 0.0
        for context_id, control, data in values:
            # from its first piece on: between two requests the peer may be silent
            end = end or monotonic() + self._wire.seconds
            if monotonic() > end:
                raise BrokenOffError(f"a command took more than {self._wire.seconds:g} s", pdus.NOT_SPECIFIED)
            encoded += data
            if not control & _COMMAND or len(encoded) > MAXIMUM_COMMAND:
                raise BrokenOffError("a data set without its command", pdus.UNEXPECTED_PDU)
            if control & _LAST:
                return context_id, _fields(bytes(encoded))
        if end:
            raise BrokenOffError("released in the middle of a command", pdus.UNEXPECTED_PDU)
        return None

    def _fragments(
        self, values: Iterator[tuple[int, int, memoryview]], context_id: int
    ) -> Iterator[memoryview]:
        began, size = monotonic(), 0
        for got, control, data in values:
            if got != context_id or control & _COMMAND:
                raise BrokenOffError("a data set in another context", pdus.UNEXPECTED_PDU)
            size += len(data)
            yield data
            if control & _LAST:
                return
            if monotonic() - began > self._wire.seconds + size / SLOWEST:
                raise BrokenOffError(f"less than {SLOWEST} bytes a second", pdus.NOT_SPECIFIED)
        raise BrokenOffError("released in the middle of an object", pdus.UNEXPECTED_PDU)


def _checked(request: A_ASSOCIATE) -> int:
    """Check what pynetdicom's decoder lets pass.

    Returns
    -------
    int
        Bytes of a data value that fit into the longest PDU that the peer takes (PS3.8 D.1; 0 is no limit).

    Raises
    ------
    ValueError
        For presentation contexts that are incomplete or have one ID (PS3.8 9.3.2.2), and for a PDU length
        that nothing fits into.
    """
    contexts = request.presentation_context_definition_list
    if any(c.abstract_syntax is None or not c.transfer_syntax for c in contexts):
        raise ValueError("an incomplete presentation context")
    if len({c.context_id for c in contexts}) < len(contexts):
        raise ValueError("two presentation contexts with one ID")
    longest = request.maximum_length_received or MAXIMUM_PDU
    if longest <= _PDV.size:
        raise ValueError("no data value fits into a PDU")
    return min(longest, MAXIMUM_PDU) - _PDV.size


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

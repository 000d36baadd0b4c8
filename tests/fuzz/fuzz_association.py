"""Bytes off the network into an association: PDUs, presentation data values, command sets, aborts.

The first byte of an input says how the rest is meant, so that a mutation is not lost on a wrong length:
0 as it is; 1 after a valid association request; 2 the same, and cut into data values of right lengths.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz_node import Found, Rooms
from made import CR, encoded, radiograph
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, dsutils
from pynetdicom._globals import APPLICATION_CONTEXT_NAME
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    UserIdentityNegotiation,
)

from xrv_node.db.commitments import WELL_KNOWN_INSTANCE
from xrv_node.network.wire import Wire
from xrv_node.receive import dimse
from xrv_node.receive.receiver import Receiver
from xrv_node.settings import Settings
from xrv_node.values import STORAGE_COMMITMENT, VERIFICATION

STORE, ECHO, FIND, EVENT_REPORT = 0x0001, 0x0030, 0x0020, 0x0100
CONTEXTS = (
    (CR, ExplicitVRLittleEndian),
    (VERIFICATION, ImplicitVRLittleEndian),
    (STORAGE_COMMITMENT, ImplicitVRLittleEndian),
    (CR, DeflatedExplicitVRLittleEndian),
)
"""Presentation contexts 1, 3, 5 and 7 of the valid request."""
RELEASE = struct.pack(">BBLL", 5, 0, 4, 0)
ABORT = struct.pack(">BBLL", 7, 0, 4, 0)
A_MESSAGE_EACH = 2


class Peer:
    """A connection on which everything came already, and then the peer closes it."""

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)
        self.answers = bytearray()

    def recv_into(self, view: memoryview) -> int:
        count = min(len(view), len(self._left))
        view[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def recv(self, count: int) -> bytes:
        view = memoryview(bytearray(count))
        return bytes(view[: self.recv_into(view)])

    def sendall(self, data: bytes) -> None:
        self.answers += data

    def settimeout(self, _seconds: float) -> None: ...
    def setsockopt(self, *_option: int) -> None: ...
    def shutdown(self, _how: int) -> None: ...


def request(*, identity: bool = False) -> bytes:
    """A valid A-ASSOCIATE-RQ."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT_NAME
    primitive.calling_ae_title, primitive.called_ae_title = "PACS", "XRVNODE"
    contexts = []
    for number, (abstract, transfer) in enumerate(CONTEXTS):
        contexts.append(build_context(abstract, transfer))
        contexts[-1].context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    length, implementation, role = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        SCP_SCU_RoleSelectionNegotiation(),
    )
    length.maximum_length_received = 16384
    implementation.implementation_class_uid = "1.2.3"
    role.sop_class_uid, role.scu_role, role.scp_role = STORAGE_COMMITMENT, False, True
    primitive.user_information = [length, implementation, role]
    if identity:
        user = UserIdentityNegotiation()
        user.user_identity_type, user.primary_field, user.secondary_field = 2, b"user", b"word"
        primitive.user_information.append(user)
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


REQUEST = request()


def entry(directory: Path) -> Callable[[bytes], None]:
    """Make the function that takes one input."""
    rooms = Rooms(directory)
    settings = Settings(node={"data_dir": directory})
    receiver = Receiver(settings, rooms.store, rooms.spool)
    honestly = stream(seeds()["store"])

    def run(data: bytes) -> None:
        answers = serve(stream(data))
        if len(answers) > 1 << 20:
            raise Found("answers without end")
        rooms.check()
        if rooms.inputs % 256 == 0:
            answers = serve(honestly)
            if answers[0] != 2 or answers[-10] != 6:
                raise Found("an honest peer is not served any more")
            rooms.check(kept=True)

    def serve(data: bytes) -> bytearray:
        nonlocal receiver
        if receiver.store is not rooms.store:
            receiver = Receiver(settings, rooms.store, rooms.spool)
        peer: Any = Peer(data)
        dimse.serve(Wire(peer, 1), "10.0.0.1", receiver)
        return peer.answers

    return run


def stream(data: bytes) -> bytes:
    """What an input means, as it comes over the network."""
    how, rest = data[:1], data[1:]
    if how != bytes((A_MESSAGE_EACH,)):
        return (REQUEST if how == b"\1" else b"") + rest
    pdus = [REQUEST]
    while len(rest) >= 3:
        flags, length = struct.unpack_from(">BH", rest)
        value = rest[3 : 3 + length]
        pdus.append(
            struct.pack(">BBLLBB", 4, 0, len(value) + 6, len(value) + 2, (flags >> 1 & 6) + 1, flags & 3)
            + value
        )
        rest = rest[3 + length :]
    return b"".join((*pdus, RELEASE))


def seeds() -> dict[str, bytes]:
    """The inputs to begin with, by name."""
    image = radiograph(Rows=2, Columns=2, PixelData=b"\0\1\2\3\4\5\6\7")
    report = Dataset()
    report.TransactionUID = "1.2.3.4"
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CR, "1.2.3.4.5"
    report.ReferencedSOPSequence, report.FailedSOPSequence = [item], [item]
    stored = message(STORE, 0, encoded(image))
    values = stream(b"\2" + stored)[len(REQUEST) : -len(RELEASE)]
    return {
        "request": b"\0" + REQUEST + RELEASE,
        "request_identity": b"\0" + request(identity=True) + ABORT,
        "pdus": b"\1" + values + RELEASE,
        "aborted": b"\1" + values[:200] + ABORT,
        "echo": b"\2" + message(ECHO, 1, b""),
        "store": b"\2" + stored,
        "store_twice": b"\2" + stored + stored,
        "store_deflated": b"\2" + message(STORE, 3, b"\3\0"),
        "find": b"\2" + message(FIND, 0, b"\0" * 16),
        "event_report": b"\2" + message(EVENT_REPORT, 2, dsutils.encode(report, True, True) or b""),
    }


def message(field: int, context: int, data: bytes) -> bytes:
    """A request as an input of the third kind holds it: its command and, in two pieces, its data set."""
    fields = Dataset()
    fields.AffectedSOPClassUID = CONTEXTS[context][0]
    fields.CommandField, fields.MessageID = field, 7
    fields.CommandDataSetType = 1 if data else 0x0101
    if field == STORE:
        fields.Priority, fields.AffectedSOPInstanceUID = 0, "1.2.3.1.1.1"
    if field == EVENT_REPORT:
        fields.AffectedSOPInstanceUID, fields.EventTypeID = WELL_KNOWN_INSTANCE, 2
    half = len(data) // 2
    pieces = [(dsutils.encode(fields, True, True) or b"", 3), (data[:half], 0), (data[half:], 2)]
    return b"".join(
        struct.pack(">BH", context << 2 | flags, len(piece)) + piece
        for piece, flags in (pieces if data else pieces[:1])
    )

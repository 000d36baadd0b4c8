"""Messages in presentation data values (PS3.8 9.3.5, annex E)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from xrv_node.network import wire as pdus
from xrv_node.network.wire import MAXIMUM_PDU, BrokenOffError, Wire
from xrv_node.reasons import Reason

COMMAND, LAST = 1, 2
"""Bits of a message control header (PS3.8 E.2)."""

Value = tuple[int, int, memoryview]
"""Context ID, message control header and data, valid until the next one is asked for."""

_PDV = struct.Struct(">LBB")
_DATA_PDU = struct.Struct(">BxLLBB")


def values(wire: Wire) -> Iterator[Value]:
    """Yield what comes until the peer asks for the release.

    Raises
    ------
    BrokenOffError
        When the association ends in any other way.
    """
    while True:
        kind, body = wire.read()
        if kind == pdus.RELEASE_RQ:
            return
        if kind == pdus.ABORT:
            raise aborted(body)
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


def aborted(body: memoryview) -> BrokenOffError:
    """What an A-ABORT says (PS3.8 table 9-26)."""
    source, code = (body[2], body[3]) if len(body) >= 4 else (0, 0)
    return BrokenOffError(Reason("wire-aborted", source=source, code=code))


def room(longest: int) -> int:
    """Bytes of a data value that fit into the longest PDU that a peer takes (PS3.8 D.1; 0 is no limit).

    Raises
    ------
    ValueError
        When none does.
    """
    longest = min(longest or MAXIMUM_PDU, MAXIMUM_PDU)
    if longest <= _PDV.size:
        raise ValueError("no data value fits into a PDU")
    left = longest - _PDV.size
    return left - left % 2 or left  # of an odd room the last byte is left: elements are of even length


def command(context_id: int, encoded: bytes, most: int) -> bytes:
    """The PDUs of a command set, in data values of `most` bytes."""
    parts = [encoded[at : at + most] for at in range(0, len(encoded), most)]
    flags = [COMMAND] * (len(parts) - 1) + [COMMAND | LAST]
    return b"".join(_pdu(context_id, flag, part) for part, flag in zip(parts, flags, strict=True))


def dataset(context_id: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The PDUs of a data set whose pieces fit into data values."""
    before: bytes | None = None
    for piece in pieces:
        if before is not None:
            yield _pdu(context_id, 0, before)
        before = piece
    yield _pdu(context_id, LAST, before or b"")


def _pdu(context_id: int, flags: int, data: bytes) -> bytes:
    return _DATA_PDU.pack(pdus.P_DATA, len(data) + 6, len(data) + 2, context_id, flags) + data

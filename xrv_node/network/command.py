"""Command sets of DIMSE messages: implicit VR little endian, group 0000 alone (PS3.7 6.3.1, E.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

from pydicom import Dataset
from pynetdicom import dsutils

C_STORE, C_GET, C_FIND, C_MOVE, C_ECHO = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030
N_EVENT_REPORT, N_ACTION = 0x0100, 0x0130
"""Command Fields (PS3.7 E.1)."""
MEDIUM = 0
"""Priority (PS3.7 9.1.1.1.4)."""
UNRECOGNIZED_OPERATION = 0x0211
"""A status (PS3.7 C.5.28)."""
MAXIMUM = 65536
"""Bytes of a command set; one of C-STORE has some two hundred."""
NO_DATASET = 0x0101
"""Command Data Set Type of a message without a data set (PS3.7 E.1)."""

_ELEMENT = struct.Struct("<HHL")


def decode(encoded: bytes) -> Dataset:
    """Read a command set with the fields that every request has; its other values are as they came.

    Raises
    ------
    ValueError
        Otherwise; its text is for the log.
    """
    return checked(read(encoded))


def checked(fields: Dataset) -> Dataset:
    """Return a command set that :func:`read` returned, if it has the fields that every request has.

    Raises
    ------
    ValueError
        Otherwise; its text is for the log.
    """
    try:
        numbers: list[Any] = [fields.CommandField, fields.MessageID, fields.CommandDataSetType]
        _uids(fields)
    except Exception as error:  # values are parsed when they are looked at
        raise ValueError("a command that cannot be decoded") from error
    if not all(isinstance(number, int) for number in numbers):
        raise ValueError("a command without its fields")
    return fields


def read(encoded: bytes) -> Dataset:
    """Read a command set, whatever its fields.

    Raises
    ------
    ValueError
        When it is none.
    """
    try:
        fields: Dataset = dsutils.decode(BytesIO(encoded), True, True)
    except Exception as error:  # the parser meets bytes from outside and has no error class of its own
        raise ValueError("a command that cannot be decoded") from error
    return fields


def number(fields: Dataset, keyword: str) -> int | None:
    """Return a number of a command set; None where it has none."""
    try:
        value = fields.get(keyword)
    except Exception:  # values are parsed when they are looked at
        return None
    return value if isinstance(value, int) else None


def request(field: int, message_id: int, elements: Mapping[int, str | int], *, data: bool) -> bytes:
    """Write the command set of a request (PS3.7 9.3, 10.3).

    Parameters
    ----------
    field
        Its Command Field.
    elements
        What it has beside this and its Message ID: UIDs and numbers by their element of group 0000.
    data
        Whether a data set follows.
    """
    numbers = {0x0100: field, 0x0110: message_id, 0x0800: 1 if data else NO_DATASET}
    return _whole(
        _number(element, value) if isinstance(value, int) else _uid(element, value)
        for element, value in sorted((dict(elements) | numbers).items())
    )


def response(request: Dataset, status: int) -> bytes:
    """Write the command set of the response to a request that :func:`decode` returned."""
    sop_class, sop_instance = _uids(request)
    return _whole(
        (
            sop_class,
            _number(0x0100, request.CommandField | 0x8000),
            _number(0x0120, request.MessageID),  # Message ID Being Responded To
            _number(0x0800, NO_DATASET),
            _number(0x0900, status),
            sop_instance,
        )
    )


def _whole(fields: Iterable[bytes]) -> bytes:
    """The fields behind their group length, which is that of what follows it (PS3.7 6.3.1)."""
    rest = b"".join(fields)
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<L", len(rest)) + rest


def _uids(request: Dataset) -> tuple[bytes, bytes]:
    """Affected SOP Class UID and Affected SOP Instance UID."""
    return (
        _uid(0x0002, request.get("AffectedSOPClassUID")),
        _uid(0x1000, request.get("AffectedSOPInstanceUID")),
    )


def _number(element: int, value: int) -> bytes:
    """An element of group 0000 with a VR of US, in implicit VR little endian (PS3.7 6.3.1)."""
    return _ELEMENT.pack(0, element, 2) + struct.pack("<H", value)


def _uid(element: int, value: Any) -> bytes:
    """A UID of the request as it came (pydicom reads ISO 8859-1, and what has a backslash as several)."""
    if not value:
        return b""
    encoded = (value if isinstance(value, str) else "\\".join(value)).encode("latin-1")
    encoded += b"\0" * (len(encoded) % 2)
    return _ELEMENT.pack(0, element, len(encoded)) + encoded

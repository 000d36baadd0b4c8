"""Bytes of a data set, put in by hand: what no library would write."""

from __future__ import annotations

import struct
from collections.abc import Callable

Change = Callable[[bytes], bytes]
LONG = {"OB", "OW", "SQ", "UC", "UN", "UT"}
"""Value representations with a length of four bytes (PS3.5 table 7.1-1)."""
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (
    struct.pack("<HHL", 0xFFFE, element, length)
    for element, length in ((0xE000, UNDEFINED), (0xE00D, 0), (0xE0DD, 0))
)


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """An element in explicit VR little endian, with a length of its own choice."""
    length = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + struct.pack("<2xL" if vr in LONG else "<H", length) + value


def before(tag: int, *parts: bytes) -> Change:
    """Put bytes in before an element of the radiograph."""

    def change(body: bytes) -> bytes:
        place = body.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
        return body[:place] + b"".join(parts) + body[place:]

    return change


def instead(tag: int, *parts: bytes) -> Change:
    """Put bytes in the place of an element of the radiograph with a short length."""

    def change(body: bytes) -> bytes:
        place = body.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
        end = place + 8 + int.from_bytes(body[place + 6 : place + 8], "little")
        return body[:place] + b"".join(parts) + body[end:]

    return change


CREATOR = element(0x00090010, "LO", b"ACME 1.1")

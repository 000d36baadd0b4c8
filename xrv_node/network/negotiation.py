"""A-ASSOCIATE as bytes (PS3.8 9.3.2 and 9.3.3, PS3.7 D.3.3): what decides is read, the rest is let be.

pynetdicom gives up a whole request or answer for a version name of 17 characters, an AE title that is padded
with NUL or a byte that is no text. Devices and archives send all of these, and dcmtk takes them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from xrv_node.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_APPLICATION_CONTEXT, _PROPOSED, _ANSWERED, _ABSTRACT, _TRANSFER, _USER = 0x10, 0x20, 0x21, 0x30, 0x40, 0x50
_LONGEST, _CLASS, _ROLE, _VERSION = 0x51, 0x52, 0x54, 0x55
"""Item types (PS3.8 9.3.2 and D, PS3.7 D.3.3)."""

_APPLICATION_CONTEXT_NAME = "1.2.840.10008.3.1.1.1"
"""PS3.7 A.2.1."""

_ITEM, _FIXED, _TITLE = struct.Struct(">BxH"), 68, 16
"""An item's header; bytes before the items, and of an AE title (PS3.8 table 9-11)."""

DEFAULT_LONGEST = 16384
"""Bytes of a PDU for a peer that does not say how many it takes: every toolkit takes so many."""

Roles = Mapping[str, tuple[bool, bool]]
"""SCU and SCP role by SOP class (PS3.7 D.3.3.4)."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """A presentation context of a request."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of it: 0 is accepted (PS3.8 table 9-18)."""

    context_id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Request:
    """An A-ASSOCIATE-RQ."""

    called_ae: str
    calling_ae: str
    """As they are meant, see :func:`title`."""
    titles: bytes
    """Both as they came, which is how an answer has them (PS3.8 table 9-17)."""
    contexts: tuple[Proposed, ...]
    longest: int
    """Bytes of the longest PDU that the peer takes; 0: any number."""
    roles: Roles


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An A-ASSOCIATE-AC."""

    contexts: tuple[Answered, ...]
    longest: int


def title(encoded: bytes) -> str:
    r"""Tell which AE title is meant: up to the first NUL, without padding; what is no text is escaped.

    Examples
    --------
    >>> title(b" PACS\0\0\0\xfe\x13")
    'PACS'
    >>> title(b"\xc0\xb3I ")
    '\\xc0\\xb3I'
    """
    meant = bytes(encoded).lstrip(b"\0 ").partition(b"\0")[0].strip()
    return "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in meant)


def read_request(body: bytes | memoryview) -> Request:
    """Read what stands behind the header of an A-ASSOCIATE-RQ.

    Raises
    ------
    ValueError
        Where items do not fit into one another, or presentation contexts have no ID of their own. Its text is
        for the log.
    """
    body = bytes(body)
    contexts, user = [], b""
    for kind, data in _items(body[_FIXED:]) if len(body) >= _FIXED else _too_short():
        if kind == _PROPOSED:
            contexts.append(_proposed(data))
        elif kind == _USER:
            user = data
    if len({context.context_id for context in contexts}) < len(contexts):
        raise ValueError("two presentation contexts with one ID")
    titles = body[4 : 4 + 2 * _TITLE]
    longest, roles = _user(user)
    return Request(title(titles[:_TITLE]), title(titles[_TITLE:]), titles, tuple(contexts), longest, roles)


def read_acceptance(body: bytes | memoryview) -> Acceptance:
    """Read what stands behind the header of an A-ASSOCIATE-AC.

    Raises
    ------
    ValueError
        Where items do not fit into one another.
    """
    body = bytes(body)
    contexts, user = [], b""
    for kind, data in _items(body[_FIXED:]) if len(body) >= _FIXED else _too_short():
        if kind == _ANSWERED and len(data) >= 4:
            syntaxes = [_uid(name) for one, name in _items(data[4:], whole=False) if one == _TRANSFER]
            contexts.append(Answered(data[0], data[2], syntaxes[0] if syntaxes else ""))
        elif kind == _USER:
            user = data
    return Acceptance(tuple(contexts), _user(user)[0])


def request(called: str, calling: str, contexts: Iterable[Proposed], longest: int, roles: Roles) -> bytes:
    """Write an A-ASSOCIATE-RQ, whole.

    Parameters
    ----------
    longest
        Bytes of the longest PDU that we take.
    """
    proposed = (
        _item(
            _PROPOSED,
            bytes((c.context_id, 0, 0, 0)),
            _text(_ABSTRACT, c.abstract_syntax),
            *(_text(_TRANSFER, syntax) for syntax in c.transfer_syntaxes),
        )
        for c in contexts
    )
    titles = b"".join(name.encode("ascii")[:_TITLE].ljust(_TITLE) for name in (called, calling))
    return _pdu(1, titles, proposed, longest, roles)


def acceptance(titles: bytes, contexts: Iterable[Answered], longest: int, roles: Roles) -> bytes:
    """Write an A-ASSOCIATE-AC, whole; `titles` as the request had them."""
    answered = (
        _item(
            _ANSWERED,
            bytes((c.context_id, 0, c.result, 0)),
            _item(_TRANSFER, c.transfer_syntax.encode("latin-1")),
        )
        for c in contexts
    )
    return _pdu(2, titles, answered, longest, roles)


def _pdu(kind: int, titles: bytes, contexts: Iterable[bytes], longest: int, roles: Roles) -> bytes:
    user = _item(
        _USER,
        _item(_LONGEST, struct.pack(">L", longest)),
        _text(_CLASS, IMPLEMENTATION_CLASS_UID),
        *(
            _item(_ROLE, struct.pack(">H", len(uid)), uid.encode("latin-1"), bytes(both))
            for uid, both in roles.items()
        ),
        _text(_VERSION, IMPLEMENTATION_VERSION_NAME),
    )
    body = b"".join(
        (
            struct.pack(">HH", 1, 0),  # protocol version 1
            titles,
            bytes(32),
            _text(_APPLICATION_CONTEXT, _APPLICATION_CONTEXT_NAME),
            *contexts,
            user,
        )
    )
    return struct.pack(">BxL", kind, len(body)) + body


def _item(kind: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return _ITEM.pack(kind, len(data)) + data


def _text(kind: int, value: str) -> bytes:
    return _item(kind, value.encode("latin-1"))


def _items(data: bytes, *, whole: bool = True) -> Iterator[tuple[int, bytes]]:
    """Type and content of each item; `whole`: one that is cut short is an error, unless it only informs."""
    while len(data) >= _ITEM.size:
        kind, length = _ITEM.unpack_from(data)
        end = _ITEM.size + length
        if end > len(data) and whole and kind != _USER:
            raise ValueError(f"an item of type 0x{kind:02X} that is cut short")
        yield kind, data[_ITEM.size : end]
        data = data[end:]


def _too_short() -> Iterator[tuple[int, bytes]]:
    raise ValueError("shorter than its fixed part")


def _proposed(data: bytes) -> Proposed:
    if len(data) < 4:
        raise ValueError("a presentation context without its ID")
    if not data[0] & 1:
        raise ValueError(f"a presentation context whose ID, {data[0]}, is not odd")  # PS3.8 9.3.2.2
    names: Sequence[tuple[int, bytes]] = tuple(_items(data[4:]))
    abstract = next((_uid(name) for kind, name in names if kind == _ABSTRACT), "")
    transfer = (_uid(name) for kind, name in names if kind == _TRANSFER)
    return Proposed(data[0], abstract, tuple(filter(None, transfer)))


def _user(data: bytes) -> tuple[int, Roles]:
    """Of the User Information: the longest PDU, and the roles."""
    longest, roles = DEFAULT_LONGEST, {}
    for kind, value in _items(data, whole=False):
        if kind == _LONGEST and len(value) == 4:
            longest = int.from_bytes(value, "big")
        elif kind == _ROLE and len(value) >= 4:
            size = int.from_bytes(value[:2], "big")
            both = value[2 + size :]
            if len(both) >= 2:
                roles[_uid(value[2 : 2 + size])] = (bool(both[0]), bool(both[1]))
    return longest, roles


def _uid(encoded: bytes) -> str:
    """A UID without padding (PS3.8 annex F wants none; NUL and space are met all the same)."""
    return encoded.decode("latin-1").strip("\0 ")

"""What an archive reports on storage commitment (PS3.4 J.3.3), over whoever's association."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from xrv_node.db import commitments
from xrv_node.db.store import Store
from xrv_node.network import datasets
from xrv_node.network.wire import INVALID_PARAMETER, BrokenOffError

log = structlog.get_logger("receive")

MAXIMUM_REPORT = 1 << 18
"""Bytes of the report on one storage commitment request, which has at most `commitments.MOST` objects."""


def whole(fragments: Iterable[bytes | memoryview]) -> bytes:
    """Put a report together.

    Raises
    ------
    BrokenOffError
        When it is larger than any answer to a question of ours.
    """
    encoded = bytearray()
    for fragment in fragments:
        encoded += fragment
        if len(encoded) > MAXIMUM_REPORT:
            raise BrokenOffError("a report of more than 256 KiB", INVALID_PARAMETER)
    return bytes(encoded)


def take(store: Store, encoded: bytes, transfer_syntax: str, peer: str) -> int:
    """Record what the archive commits to. Never raises: bytes from outside may be anything.

    Parameters
    ----------
    peer
        The archive's AE title, for the log.

    Returns
    -------
    int
        As `commitments.answered` has it; 0x0115 for what cannot be read, 0x0110 for what cannot be recorded.
    """
    try:
        information = datasets.decode(encoded, transfer_syntax)
        for _ in information.iterall():  # values are parsed when they are looked at
            pass
    except Exception:  # the parser has no error class of its own
        log.warning("an answer on storage commitment cannot be read", peer=peer)
        return commitments.INVALID_ARGUMENT
    try:
        return commitments.answered(store, information)
    except Exception:
        log.exception("an answer on storage commitment cannot be recorded", peer=peer)
        return commitments.PROCESSING_FAILURE

"""What came of one try to deliver one object, and what a DIMSE status means for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from xrv_node.values import StoredResult


class Outcome(StrEnum):
    """How a try ended."""

    DELIVERED = "delivered"
    WARNING = "warning"
    """Stored, with a remark."""
    REJECTED = "rejected"
    """The peer will not take it: trying again changes nothing until a person does."""
    TRANSIENT = "transient"
    """Not now: connection, time-out, peer out of resources."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try with one object."""

    result: StoredResult
    outcome: Outcome
    message: str = ""
    """One sentence without patient data; empty when delivered."""
    status: int | None = None
    """The DIMSE status, where one came."""


# Storage status ranges (PS3.4 table B.2-1) and general ones (PS3.7 annex C), first match wins.
_STATUSES: tuple[tuple[int, int, Outcome, str], ...] = (
    (0x0000, 0x0000, Outcome.DELIVERED, ""),
    (0x0111, 0x0111, Outcome.DELIVERED, "the peer had it already"),
    (0x0001, 0x0001, Outcome.WARNING, "stored with a warning"),
    (0x0107, 0x0107, Outcome.WARNING, "stored, attribute list error"),
    (0x0116, 0x0116, Outcome.WARNING, "stored, attribute value out of range"),
    (0xB000, 0xBFFF, Outcome.WARNING, "stored with a warning"),
    (0xA700, 0xA7FF, Outcome.TRANSIENT, "the peer is out of resources"),
    (0x0213, 0x0213, Outcome.TRANSIENT, "the peer has reached a resource limit"),
    (0x0110, 0x0110, Outcome.TRANSIENT, "the peer failed to process it"),
    (0xA900, 0xA9FF, Outcome.REJECTED, "the peer says that the object does not match its SOP class"),
    (0xC000, 0xCFFF, Outcome.REJECTED, "the peer cannot understand the object"),
    (0x0122, 0x0122, Outcome.REJECTED, "the peer does not support the SOP class"),
    (0x0124, 0x0124, Outcome.REJECTED, "the peer does not authorise it"),
    (0x0000, 0xFFFF, Outcome.REJECTED, "the peer refused it"),
)


def from_status(result: StoredResult, status: int) -> Attempt:
    """What the peer's C-STORE status means.

    Parameters
    ----------
    status
        The Status (0000,0900) of the response.
    """
    for first, last, outcome, words in _STATUSES:
        if first <= status <= last:
            return Attempt(result, outcome, f"{words} (0x{status:04X})" if words else "", status)
    return Attempt(result, Outcome.REJECTED, f"status 0x{status:04X} is none of DICOM's", status)

"""What came of one try to deliver one object, and what a DIMSE status means for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from xrv_node.reasons import Reason
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
    reason: Reason | None = None
    """What the peer says of it, or why it was not sent; without patient data. None: delivered as usual."""
    status: int | None = None
    """The DIMSE status, where one came."""


# Storage status ranges (PS3.4 table B.2-1) and general ones (PS3.7 annex C), first match wins.
_STATUSES: tuple[tuple[int, int, Outcome, str | None], ...] = (
    (0x0000, 0x0000, Outcome.DELIVERED, None),
    (0x0111, 0x0111, Outcome.DELIVERED, "peer-had-it"),
    (0x0001, 0x0001, Outcome.WARNING, "stored-with-warning"),
    (0x0107, 0x0107, Outcome.WARNING, "stored-attribute-list"),
    (0x0116, 0x0116, Outcome.WARNING, "stored-attribute-value"),
    (0xB000, 0xBFFF, Outcome.WARNING, "stored-with-warning"),
    (0xA700, 0xA7FF, Outcome.TRANSIENT, "peer-out-of-resources"),
    (0x0213, 0x0213, Outcome.TRANSIENT, "peer-at-a-limit"),
    (0x0110, 0x0110, Outcome.TRANSIENT, "peer-failed"),
    (0xA900, 0xA9FF, Outcome.REJECTED, "peer-class-mismatch"),
    (0xC000, 0xCFFF, Outcome.REJECTED, "peer-cannot-understand"),
    (0x0122, 0x0122, Outcome.REJECTED, "peer-class-unsupported"),
    (0x0124, 0x0124, Outcome.REJECTED, "peer-does-not-authorise"),
    (0x0000, 0xFFFF, Outcome.REJECTED, "peer-refused"),
)


def from_status(result: StoredResult, status: int) -> Attempt:
    """What the peer's C-STORE status means.

    Parameters
    ----------
    status
        The Status (0000,0900) of the response.
    """
    shown = f"0x{status:04X}"
    for first, last, outcome, key in _STATUSES:
        if first <= status <= last:
            return Attempt(result, outcome, None if key is None else Reason(key, status=shown), status)
    return Attempt(result, Outcome.REJECTED, Reason("status-unknown", status=shown), status)

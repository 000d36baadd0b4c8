"""One thing that somebody is told of, and the message that holds some of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xrv_node import reasons
from xrv_node.reasons import Reason

MOST = 100
"""Notes of a message; of more it says how many."""


@dataclass(frozen=True, slots=True)
class Note:
    """What happened."""

    what: str
    """A value of the alert's `on`."""
    event: int
    """Number of the trail's event."""
    at: str
    """When: ISO 8601, UTC."""
    reason: Reason
    study: str | None = None
    """Study Instance UID, where it is of one."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent at once."""

    id: str
    """The same at every attempt."""
    alert: str
    notes: tuple[Note, ...]
    made_at: datetime
    attempts: int
    """Those before this one."""

    @property
    def left_out(self) -> int:
        """How many notes are not told one by one."""
        return max(len(self.notes) - MOST, 0)


def dump(notes: Sequence[Note]) -> str:
    """Write notes for the database."""
    return json.dumps(
        [[n.what, n.event, n.at, reasons.plain(n.reason), n.study] for n in notes], ensure_ascii=False
    )


def load(text: str) -> tuple[Note, ...]:
    """Read what `dump` wrote."""
    rows: list[list[Any]] = json.loads(text)
    return tuple(Note(what, event, at, reasons.revive(why), study) for what, event, at, why, study in rows)

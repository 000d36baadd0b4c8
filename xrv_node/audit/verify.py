"""Whether the trail is whole, for whoever asks."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from xrv_node.db import trail


class Verified(TypedDict):
    """Whether the trail is whole."""

    whole: bool
    """Whether no event was changed or removed."""
    events: int | None
    """How many there are; null where it is broken."""
    why: str | None
    """Where it is broken."""
    removed: dict[str, Any] | None
    """What retention has removed: ``through`` which event, its ``hash``, the ``file`` that has them."""
    last: str
    """The hash of the newest event."""


def verify(db: Session, last: str | None = None) -> Verified:
    """Walk the whole chain.

    Parameters
    ----------
    last
        A hash that was the last one once: the trail must still hold it.
    """
    found = trail.verify(db)
    if last is not None and isinstance(found, int) and not trail.holds(db, last):
        why = "no event has the hash of --last: the trail was put back to before it, or is another"
        found = trail.Broken(found + 1, why)
    return {
        "whole": isinstance(found, int),
        "events": found if isinstance(found, int) else None,
        "why": found.why if isinstance(found, trail.Broken) else None,
        "removed": trail.beginning(db),
        "last": trail.newest(db),
    }


def in_words(found: Verified) -> str:
    """The same in a sentence."""
    if not found["whole"]:
        return f"the trail is broken: {found['why']}"
    gone, since = found["removed"], ""
    if gone:
        since = f", from number {gone['through'] + 1} on; those before are in files, the last {gone['file']}"
    return f"the trail is whole: {found['events']} events{since}; the last has the hash {found['last']}"

"""The JSON of commands that print more than rows of the record (``db.rows``): its fields, and what they mean.

``docs/json.md`` is made of these.
"""

from __future__ import annotations

from pathlib import Path

from typing_extensions import TypedDict

from xrv_node.db.rows import QueuedResult


class Sent(TypedDict):
    """A file that was sent."""

    path: Path
    """Where it is."""
    good: bool
    """Whether it was taken."""
    says: str
    """The peer's status, or why it was not sent."""


class Rebuilt(TypedDict):
    """An index that was made anew."""

    objects: int
    """Received ones and results, purged ones too, that are in it."""


class Retried(TypedDict):
    """Jobs that are queued again."""

    retried: list[int]
    """Their numbers."""


class Cancelled(TypedDict):
    """Jobs that were given up."""

    cancelled: list[int]
    """Their numbers."""


class Resent(TypedDict):
    """What is sent again."""

    queued: list[QueuedResult]
    """Each result to each destination."""


class Reanalysed(TypedDict):
    """A study that was analysed again."""

    study: str
    """Study Instance UID."""
    state: str
    """Its state."""
    says: str
    """What is new."""


class Reprocessed(TypedDict):
    """What was analysed again."""

    studies: list[Reanalysed]
    """Those that were."""
    refused: dict[str, str]
    """Why others were not, by Study Instance UID."""


class NewToken(TypedDict):
    """What a program is to show over HTTP."""

    name: str
    """By which it is revoked."""
    token: str
    """What is shown, now and never again."""


class LeftOut(TypedDict):
    """What was not exported for one reason."""

    why: str
    """Its key."""
    says: str
    """In words."""
    instances: list[str]
    """SOP Instance UIDs, as they are in the node."""


class Exported(TypedDict):
    """What is in the folder of an export."""

    folder: Path
    """Where it is."""
    deidentified: bool
    """Whether patient data were taken out."""
    methods: dict[str, str]
    """By which profile and options: codes of PS3.16 CID 7050 with their meanings."""
    studies: int
    """How many have an image in it."""
    images: int
    """How many there are."""
    results: int
    """The same of results."""
    left_out: list[LeftOut]
    """What is not in it."""

"""One object as the index knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

BULK = "xrv-node:bulk/"
"""A BulkDataURI of a kept header begins with this, for the web to replace by its own address. Behind it is
the value's tag, ``00420011``; of one in a sequence the way there, items counted from 1:
``52009229/1/00289145/2/00420011``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A received object or a result, listed or not, there or purged."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    """Of the file."""
    path: Path
    size: int
    """Bytes of the file."""
    sha256: str
    """Of a result's file; of a received object's data set as it came, without file meta information."""
    result: bool
    """Whether the node made it."""
    purged: bool
    """Whether its file was removed by retention."""
    listed: bool
    """Whether searches find it: it is neither purged nor superseded."""
    instance_number: int | None
    frames: int
    """0 without pixel data."""
    pixel_offset: int | None
    """Where native Pixel Data begin in the file; None where they are encapsulated, deflated or missing."""
    pixel_length: int | None
    """Bytes of them."""
    received_at: datetime
    """Of a result: when it was made."""

"""Whether the disk has room for more: below one mark nothing is taken, above a higher one it is again.

The state is the newest of two events of the trail, so that every process sees the same and a restart changes
nothing.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AuditEvent
from xrv_node.reasons import Reason
from xrv_node.settings import Settings

log = structlog.get_logger("receive")

PAUSED, RESUMED = "receive.paused", "receive.resumed"

RESERVE = 64 << 20
"""Bytes that analyses and results leave free. What the database needs to say that jobs wait is far less: an
event has a kilobyte or two."""

LOOK_SECONDS = 1.0
"""Between two looks of a receiver at the disk: at a gigabit a second brings less than 120 MB."""


def is_paused(db: Session) -> bool:
    """Whether objects are refused for lack of room, as far as is known."""
    newest = [
        db.scalar(select(func.max(AuditEvent.id)).where(AuditEvent.event == e)) for e in (PAUSED, RESUMED)
    ]
    return (newest[0] or 0) > (newest[1] or 0)


def free_mb(settings: Settings) -> int:
    """MiB on the file system of ``node.data_dir`` that this user may fill."""
    return shutil.disk_usage(settings.data_dir).free >> 20


def why_paused(settings: Settings, store: Store) -> Reason | None:
    """Say, changing nothing, why objects are refused for lack of room; None when they are not."""
    with store.read() as db:
        return _says(settings, free_mb(settings)) if is_paused(db) else None


def look(settings: Settings, store: Store) -> Reason | None:
    """Compare the disk with the marks, and put a change on record and into the log.

    Returns
    -------
    Reason or None
        Why objects are refused now; None when they are taken.
    """
    receive, free = settings.receive, free_mb(settings)
    with store.read() as db:
        before = is_paused(db)
    now = free < (receive.resume_free_mb if before else receive.min_free_mb) and receive.min_free_mb > 0
    if now != before:
        with store.begin() as db:
            if is_paused(db) == before:  # no other process was first
                trail.record(
                    db,
                    PAUSED if now else RESUMED,
                    free_mb=free,
                    min_free_mb=receive.min_free_mb,
                    resume_free_mb=receive.resume_free_mb,
                )
                says = str(_says(settings, free)) if now else f"{free} MB are free: objects are taken again"
                (log.error if now else log.info)("the disk fills" if now else "room again", says=says)
    return _says(settings, free) if now else None


def _says(settings: Settings, free: int) -> Reason:
    receive = settings.receive
    return Reason("disk-paused", free=free, least=receive.min_free_mb, resume=receive.resume_free_mb)


def leave_room(directory: Path, size: int = 0) -> None:
    """See that what is written leaves the database room to record it.

    Raises
    ------
    OSError
        ``errno.ENOSPC``, where less than `RESERVE`, or a twentieth of a small disk, would be free.
    """
    room = shutil.disk_usage(directory)
    if room.free - size < min(RESERVE, room.total // 20):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@dataclass
class Gate:
    """What a receiver asks before it takes something; it looks at most once in `LOOK_SECONDS`."""

    settings: Settings
    store: Store
    _next: float = 0.0
    _why: Reason | None = None

    def refusal(self) -> Reason | None:
        """Why nothing can be taken now, or None."""
        if monotonic() >= self._next:
            self._next = monotonic() + LOOK_SECONDS
            try:
                self._why = look(self.settings, self.store)
            except Exception:  # the database itself may be what has no room: then the object says so
                log.exception("the disk could not be looked at")
        return self._why

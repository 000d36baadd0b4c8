"""The machine below the node: its disk and its clock."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

from xrv_node import disk as room
from xrv_node import durable
from xrv_node.db import queries
from xrv_node.doctor.diagnosis import Examined, Found, State

LITTLE_ROOM, NO_ROOM = 10 * 2**30, 2**30
"""Bytes. A chest radiograph is 10 to 30 MB as it is sent: some hundred of them, and some ten."""

_OTHERS = 0o007
"""Of a mode: what everybody may."""

CLOCK_SLACK = timedelta(seconds=5)
"""An event that is later than now by more was written by a clock that was ahead, or ours went back."""


def disk(node: Examined) -> Found:
    """Room, and whether a file can be written and synced (a probe, which is removed)."""
    directory = node.settings.data_dir
    free = shutil.disk_usage(directory).free
    if node.has_record and (why := room.why_paused(node.settings, node.store)):
        yield State.FAIL, str(why), "make room, or let [retention] keep less"
    state = (
        State.FAIL
        if free < max(NO_ROOM, node.settings.receive.min_free_mb << 20)
        else State.WARN
        if free < LITTLE_ROOM
        else State.OK
    )
    yield state, f"{free / 2**30:.1f} GiB free in {directory}", "" if state == State.OK else "make room there"
    if directory.stat().st_mode & _OTHERS:
        says = f"every user of this machine can look into {directory}, where patients' data are"
        yield State.WARN, says, f"chmod o= {directory}"
    probe = directory / "run" / "doctor.probe"
    try:
        durable.write(probe, [b"xrv-node"])
        probe.unlink()
    except OSError as error:
        remedy = "give this user the directory, and mount it read-write on a local file system"
        yield State.FAIL, f"{directory} does not take a synced file ({error.strerror})", remedy
    else:
        yield State.OK, "a file was written and synced", ""


def clock(node: Examined) -> Found:
    """Whether time went backwards: an event of the trail is later than now. There is no NTP to ask."""
    if not node.has_record:
        return
    with node.store.read() as db:
        newest = [e["at"] for e in queries.events(db, limit=1)]
    ahead = datetime.fromisoformat(newest[0]) - datetime.now(UTC) if newest else timedelta()
    if ahead > CLOCK_SLACK:
        says = f"the newest event is {ahead.total_seconds():.0f} s in the future: the clock was set back"
        yield State.FAIL, says, "set the clock by NTP; studies and retries wait until it has caught up"
    else:
        yield State.OK, "no event is in the future", ""

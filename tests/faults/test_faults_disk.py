"""A disk that is full and has room again: the sender keeps what had no room, jobs wait, nothing is half there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest
from fault_archive import Archive
from fault_site import Rooms
from sqlalchemy import select

from xrv_node.db.store import Store
from xrv_node.db.tables import Job
from xrv_node.errors import RefusedError
from xrv_node.jobs import worker
from xrv_node.spool import Spool

MEGABYTES = 8


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes what is left of the disk."""
    filler, room = disk / "filler", os.statvfs(disk)
    filler.write_bytes(bytes(room.f_bavail * room.f_frsize))
    assert os.statvfs(disk).f_bavail == 0
    return filler


def test_full_and_recovered(disk: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "NO_ROOM_SECONDS", 0.2)
    monkeypatch.setattr(worker, "QUEUE_SECONDS", 0.2)
    store = Store(f"sqlite:///{disk / 'audit.sqlite'}")
    store.migrate()
    rooms = Rooms(store, Spool(disk), archive)
    rooms.receive(1)

    filler = fill(disk)
    with pytest.raises(RefusedError) as refused:
        rooms.receive(2)
    assert refused.value.status == 0xA700
    room = Timer(2, filler.unlink)
    room.start()
    rooms.work("analyse")  # asks until there is room
    room.join()
    rooms.receive(2)
    rooms.close_studies()
    rooms.work()
    with store.read() as db:
        assert set(db.scalars(select(Job.attempts))) == {1}
    assert rooms.broken() == []
    store.close()

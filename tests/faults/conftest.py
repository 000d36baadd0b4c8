"""What the fault tests start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fault_archive import Archive
from fault_site import Rooms

from xrv_node.db.store import Store
from xrv_node.spool import Spool


@pytest.fixture
def archive() -> Iterator[Archive]:
    """An archive that listens."""
    made = Archive().start()
    yield made
    made.stop()


@pytest.fixture
def rooms(store: Store, spool: Spool, archive: Archive) -> Rooms:
    """A site without any study."""
    return Rooms(store, spool, archive)


@pytest.fixture
def at_rest(rooms: Rooms) -> Rooms:
    """A site where two studies went all the way."""
    rooms.receive(1, 2)
    rooms.close_studies()
    rooms.work()
    return rooms

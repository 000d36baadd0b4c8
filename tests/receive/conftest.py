"""A node that listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from receiving import Receiver

from xrv_node import settings
from xrv_node.audit.store import Store
from xrv_node.receive import server
from xrv_node.receive.spool import Spool


@pytest.fixture
def receiver(store: Store, spool: Spool, tmp_path: Path) -> Iterator[Receiver]:
    path = tmp_path / "node.toml"
    path.write_text('[node]\ndata_dir = "."\n[receive]\nport = 0\n')
    started = server.start(settings.load(path), store, spool)
    yield Receiver(int(started.server_address[1]), store, spool)
    server.drain(started, 1)

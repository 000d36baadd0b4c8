"""A node that listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from receiving import Receiver

from xrv_node import settings
from xrv_node.db.store import Store
from xrv_node.receive import server
from xrv_node.spool import Spool

Start = Callable[[str], int]
"""Start a receiver with this configuration; returns its port."""


@pytest.fixture
def start(store: Store, spool: Spool, tmp_path: Path) -> Iterator[Start]:
    """Receivers on the test's database and spool; they are drained at its end."""
    started: list[server.Server] = []

    def one(text: str) -> int:
        path = tmp_path / "node.toml"
        path.write_text(text)
        started.append(server.start(settings.load(path), store, spool))
        return int(started[-1].server_address[1])

    yield one
    for each in started:
        server.drain(each, 1)


@pytest.fixture
def receiver(start: Start, store: Store, spool: Spool) -> Receiver:
    return Receiver(start('[node]\ndata_dir = "."\n[receive]\nport = 0\n'), store, spool)

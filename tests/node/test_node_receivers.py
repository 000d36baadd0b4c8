"""Several receiver processes on one port: the database is what they share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from made import radiograph
from ports import free_port
from serving import Node, wait
from sqlalchemy import func, select

from xrv_node.db import trail
from xrv_node.db.tables import Instance, Study

ASSOCIATIONS, AT_MOST = 16, 200


def receivers(node: Node) -> set[int]:
    """Process ids."""
    assert node.process is not None
    children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text().split()
    return {int(pid) for pid in children if b"--only\0receiver" in Path(f"/proc/{pid}/cmdline").read_bytes()}


@pytest.mark.slow
def test_processes_that_share_a_port_keep_studies_together(tmp_path: Path) -> None:
    port = free_port()
    config = f"[receive]\nport = {port}\nprocesses = 2\n[study]\nquiet_seconds = 600\n"
    node = Node(tmp_path / "node", config, small=True)
    node.start()
    try:
        incoming = tmp_path / "node" / "data" / "spool" / "incoming"
        first = receivers(node)
        assert len(first) == 2
        sent = 0
        # the kernel gives all to one process by chance, or while the other does not listen yet
        while sent < ASSOCIATIONS or (sent < AT_MOST and len(list(incoming.iterdir())) < 2):
            sent += 1
            assert [s.says for s in node.send([radiograph(sent, study=sent % 2)])] == ["0x0000"]
        assert sorted(p.name for p in incoming.iterdir()) == ["receiver-0", "receiver-1"]
        os.kill(min(first), signal.SIGKILL)
        wait(lambda: len(receivers(node)) == 2 and receivers(node) != first, 30, "a new receiver")
        assert [s.says for s in node.send([radiograph(999, study=1)])] == ["0x0000"]
        store = node.store()
        with store.read() as db:
            assert db.scalar(select(func.count()).select_from(Instance)) == sent + 1
            assert db.scalar(select(func.count()).select_from(Study)) == 2
            assert isinstance(trail.verify(db), int)
        store.close()
        assert node.stop() == 0
    finally:
        if node.process is not None and node.process.poll() is None:
            node.kill()

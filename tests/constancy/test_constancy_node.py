"""The phantom of the day through a running node: both answers, the baseline, and nothing that leaves the node."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ports import free_port
from serving import Node

from xrv_node import settings
from xrv_node.constancy import check, record
from xrv_node.db import trail
from xrv_node.spool import Spool


@pytest.mark.slow  # a node that loads two sets of networks and answers four phantoms
def test_the_phantom_of_the_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # whether the networks for phantoms are right is for their own tests
    monkeypatch.setattr(check.compare, "beside_truth", lambda _answer, _image: iter(()))
    config = f'[receive]\nport = {free_port()}\n[constancy]\nat = "06:30"\n'
    node = Node(tmp_path, config, small=True).start()
    loaded, spool = settings.load(node.config), Spool(tmp_path / "data")
    store = node.store()
    try:

        def tested() -> list[str]:
            check.run(loaded, store, spool, threading.Event())
            with store.read() as db:
                event = record.newest(db, record.CHECKED)
            assert event is not None
            assert event["detail"]["scores"]
            return [why.key for why in record.amiss(event)]

        assert tested() == ["constancy-no-baseline"]
        assert check.accept(loaded, store, spool, name="Ann", reason="first").good
        assert tested() == []
        with store.begin() as db:  # as a worker would after an update
            event = record.newest(db, "machine.changed")
            assert event is not None
            other = event["detail"]["machine"] | {"torch": "another"}
            trail.record(db, "machine.changed", machine=other, owner="host/worker-0")
        assert tested() == ["constancy-changed"]
    finally:
        store.close()
        assert node.stop() == 0
    assert node.delivered() == []
    assert [path.name for path in (tmp_path / "data" / "constancy").iterdir()] == ["baseline.npz"]

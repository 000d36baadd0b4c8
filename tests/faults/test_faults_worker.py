"""A GPU that is full or lost, a worker that hangs: the jobs are done in the end, and no attempt is wasted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from analysed import Networks
from fault_site import Rooms
from sqlalchemy import select, update

from xrv_node.db.tables import Job
from xrv_node.errors import ImageError
from xrv_node.jobs.worker import ProcessSpoiledError
from xrv_node.values import Analysis, AnalysisInput

ASSERTED = "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported"
"""As torch words it."""


class Failing(Networks):
    """Networks on a device that fails a few times first."""

    def __init__(self, *errors: RuntimeError) -> None:
        super().__init__()
        self.errors = list(errors)

    def analyse(self, batch: Sequence[AnalysisInput]) -> list[Analysis | ImageError]:
        if self.errors:
            raise self.errors.pop(0)
        return super().analyse(batch)


def attempts(rooms: Rooms) -> list[tuple[str, int]]:
    """State and attempts of the analyse jobs; their pauses are over after that."""
    with rooms.store.begin() as db:
        db.execute(update(Job).where(Job.state == "queued").values(not_before=datetime.now(UTC)))
        return [(j.state, j.attempts) for j in db.scalars(select(Job).where(Job.kind == "analyse"))]


def test_a_full_gpu_postpones(rooms: Rooms) -> None:
    rooms.networks = Failing(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    rooms.receive(1, 2)
    rooms.work("analyse")
    assert attempts(rooms) == [("queued", 1)] * 2
    rooms.work("analyse")
    assert attempts(rooms) == [("done", 2)] * 2
    rooms.close_studies()
    rooms.work()
    assert rooms.broken() == []


def test_a_lost_gpu_ends_the_process_and_costs_no_attempt(rooms: Rooms) -> None:
    rooms.networks = Failing(*(RuntimeError(ASSERTED) for _ in range(7)))
    rooms.receive(1, 2)
    for _ in range(7):  # more often than an analyse job is tried
        with pytest.raises(ProcessSpoiledError, match="the GPU failed: CUDA error: device-side assert"):
            rooms.work("analyse")
        assert attempts(rooms) == [("queued", 0)] * 2
    rooms.work("analyse")
    assert attempts(rooms) == [("done", 1)] * 2
    rooms.close_studies()
    rooms.work()
    assert rooms.broken() == []


def test_another_error_of_the_networks_is_the_jobs(rooms: Rooms) -> None:
    rooms.networks = Failing(RuntimeError("shape '[1]' is invalid for input of size 2"))
    rooms.receive(1)
    rooms.work("analyse")
    assert attempts(rooms) == [("queued", 1)]


HANGS = """
import sys, threading
from xrv_node.db.store import Store
from xrv_node.db import queue
from xrv_node.jobs import worker

queue.LEASE_SECONDS = 0.5
queue.POLICIES["analyse"] = queue.Policy(5, 5, 60, True, longest_run=0.3)
hangs = worker.Handler("analyse", lambda claims: threading.Event().wait())
worker.work(Store(sys.argv[1]), [hangs], owner="t", stop=threading.Event())
"""


def test_a_worker_that_hangs_ends_and_its_successor_goes_on(rooms: Rooms, tmp_path: Path) -> None:
    rooms.receive(1)
    url = rooms.store.engine.url.render_as_string()
    for number in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", HANGS, url], capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 1, done.stderr
        rooms.recover()
        assert attempts(rooms) == [("running", number)]
    rooms.work("analyse")
    assert attempts(rooms) == [("done", 3)]
    rooms.close_studies()
    rooms.work()
    assert rooms.broken() == []


def test_an_image_that_hangs_every_worker_is_parked(rooms: Rooms) -> None:
    rooms.receive(1)
    with rooms.store.begin() as db:  # as five processes that hung would leave it
        job = db.scalars(select(Job)).one()
        job.state, job.attempts, job.owner, job.lease = "running", job.max_attempts, "t", "gone"
    rooms.recover()
    rooms.tidy()
    assert attempts(rooms) == [("parked", 5)]

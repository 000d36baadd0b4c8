"""The clock is put forward a day or back an hour, at every stage: nothing is lost, doubled, or left waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from time import sleep, time

import pytest
from apscheduler.executors import base as executors
from apscheduler.schedulers import base as schedulers
from fault_site import Rooms
from serving import wait
from sqlalchemy import select

from xrv_node.db import progress, queue, trail
from xrv_node.db.tables import Job, Study
from xrv_node.jobs import schedule
from xrv_node.receive import instance_rows

FORWARD, BACK = timedelta(days=1), timedelta(hours=-1)
QUIET = 10.0

SetClock = Callable[[timedelta], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Moves the clock that the node reads by an amount."""
    shift = timedelta()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + shift

    def put(by: timedelta) -> None:
        nonlocal shift
        shift = by

    for module in (queue, schedule, progress, instance_rows, trail, schedulers, executors):
        monkeypatch.setattr(module, "datetime", Clock)
    monkeypatch.setattr(schedule, "time", lambda: time() + shift.total_seconds())
    return put


def states(rooms: Rooms) -> set[str]:
    with rooms.store.read() as db:
        return set(db.scalars(select(Study.state)))


@pytest.mark.parametrize("by", [FORWARD, BACK], ids=["forward", "back"])
def test_a_jump_while_jobs_wait(rooms: Rooms, set_clock: SetClock, by: timedelta) -> None:
    rooms.receive(1, 2)
    set_clock(by)
    rooms.work("analyse")
    rooms.close_studies()
    rooms.work()
    assert rooms.broken() == []


def test_back_while_a_job_pauses(rooms: Rooms, set_clock: SetClock) -> None:
    rooms.archive.statuses = [0xA700] * 2
    rooms.receive(1)
    rooms.close_studies()
    rooms.work()
    with rooms.store.read() as db:
        assert set(db.scalars(select(Job.state).where(Job.kind == "deliver"))) == {"queued"}
    set_clock(BACK)
    rooms.work("deliver")
    assert rooms.broken() == []


@pytest.mark.parametrize("by", [FORWARD, BACK], ids=["forward", "back"])
def test_a_jump_while_a_job_runs(rooms: Rooms, set_clock: SetClock, by: timedelta) -> None:
    """Forward, another worker takes the job; only one of the two may finish it."""
    rooms.receive(1)
    (claim,) = queue.claim(rooms.store, "analyse", owner="first")
    set_clock(by)
    rooms.work("analyse")
    rooms.handlers["analyse"].run([claim])
    rooms.close_studies()
    rooms.work()
    assert rooms.broken() == []


@pytest.mark.parametrize("by", [FORWARD, BACK], ids=["forward", "back"])
def test_a_jump_while_a_study_is_open(rooms: Rooms, set_clock: SetClock, by: timedelta) -> None:
    rooms.receive(1)
    set_clock(by)
    schedule.close_quiet(rooms.store, QUIET)
    assert states(rooms) == ({"closed"} if by > timedelta() else {"open"})
    set_clock(by + timedelta(seconds=QUIET + 1))  # the same clock, a quiet period later
    schedule.close_quiet(rooms.store, QUIET)
    rooms.work()
    assert states(rooms) == {"reported"}
    assert rooms.broken() == []


def test_the_schedule_goes_on_after_the_clock_was_put_back(
    rooms: Rooms, set_clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "CLOCK_SECONDS", 0.1)
    ran = threading.Event()
    monkeypatch.setattr(schedule, "park_abandoned", lambda _: ran.set() or 0)
    monkeypatch.setattr(schedule, "close_quiet", lambda *_: ran.set() or 0)
    scheduler = schedule.start(rooms.settings, rooms.store, rooms.spool, threading.Event())
    try:
        assert ran.wait(20)
        set_clock(BACK)
        sleep(0.5)  # what was due before may still run
        ran.clear()
        assert ran.wait(20), "nothing is done until the clock is as late again"
    finally:
        scheduler.shutdown()
    wait(lambda: not any(thread.name == "clock" for thread in threading.enumerate()), 20, "the clock to end")

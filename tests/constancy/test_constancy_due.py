"""When the phantom of the day is sent: once a day, whatever is restarted, and whatever becomes of the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from serving import wait

from xrv_node.constancy import check, record
from xrv_node.constancy.record import due
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.jobs import schedule
from xrv_node.settings import Settings
from xrv_node.settings.constancy import ConstancySection
from xrv_node.spool import Spool

AT = datetime(2026, 3, 10, 6, 30).time()
"""In Berlin, where it is 5:30 UTC in winter and 4:30 UTC in summer."""


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("checked", "now", "expected"),
    [
        (None, "03-10 03:00", True),
        ("03-09 05:31", "03-10 05:29", False),  # a restart a minute before
        ("03-09 05:31", "03-10 05:31", True),  # a restart a minute after
        ("03-09 05:29", "03-10 05:29", True),  # before the time of that day: none is of yesterday
        ("03-10 05:32", "03-10 05:33", False),
        ("03-10 05:32", "03-10 23:30", False),  # tomorrow in Berlin
        ("03-10 05:32", "03-11 05:30", True),
        ("03-10 05:32", "03-10 05:10", False),  # the clock was put back over the time of the day
        ("03-10 05:32", "03-08 12:00", True),  # by days: it had been wrong
        ("03-28 05:32", "03-29 04:29", False),  # the clocks of the country are put forward
        ("03-28 05:32", "03-29 04:31", True),
    ],
)
def test_a_test_is_due_from_its_time_of_the_day_until_one_is_over(
    checked: str | None, now: str, expected: bool
) -> None:
    assert due(utc(checked) if checked else None, AT, utc(now).astimezone()) is expected


@pytest.fixture
def daily(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(schedule, "SETTLED_SECONDS", 0)
    monkeypatch.setattr(schedule, "TESTED_LATE_SECONDS", 0.05)
    past = datetime.now().astimezone() - timedelta(minutes=1)
    return Settings(constancy=ConstancySection(at=f"{past:%H:%M}"))


def test_a_restart_makes_no_second_test_of_a_day(
    daily: Settings, store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def run(_settings: Settings, store: Store, _spool: Spool, _stop: threading.Event) -> None:
        ran.append(1)
        with store.begin() as db:
            trail.record(db, record.CHECKED, study="1.2", good=True, amiss=[], machine={}, scores={})

    looks = []
    is_due = record.is_due
    monkeypatch.setattr(check, "run", run)
    monkeypatch.setattr(record, "is_due", lambda *given: looks.append(1) or is_due(*given))
    for starts in (1, 2):
        scheduler = schedule.start(daily, store, spool, threading.Event())
        wait(lambda starts=starts: len(looks) > 3 * starts, 20, "a few looks at whether a test is due")
        scheduler.shutdown()
        assert ran == [1]


def test_a_node_that_stops_does_not_wait_for_an_answer_and_the_test_remains_due(
    daily: Settings, store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, stop = threading.Event(), threading.Event()

    def send(_settings: Settings, _store: Store) -> tuple[str, object]:
        sent.set()
        return "1.2", object()

    monkeypatch.setattr(check, "_sent", send)
    scheduler = schedule.start(daily, store, spool, stop)
    assert sent.wait(20)
    stop.set()
    scheduler.shutdown()  # waits for what runs
    with store.read() as db:
        assert record.newest(db, record.CHECKED) is None
        assert record.is_due(db, AT)

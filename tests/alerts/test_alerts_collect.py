"""What becomes news of the trail: by which rules, when, and that nothing of it is lost or told twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from xrv_node.alerts import rules, silence
from xrv_node.alerts.collect import collect, forget
from xrv_node.alerts.notes import Note, load
from xrv_node.db import queries, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AlertMessage, Study
from xrv_node.reasons import Reason, as_is
from xrv_node.settings.alerts import WHAT, AlertSection, MailAlert, WebhookAlert

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)  # a Tuesday
PARKED: dict[str, Any] = {"job": 7, "kind": "analyse", "attempts": 5, "error": Reason("peer-silent")}


def alert(**changes: Any) -> WebhookAlert:
    keys = {
        "name": "it",
        "on": ["parked"],
        "url": "https://x/h",
        "secret_file": "s",
        "at_most_minutes": 0,
    } | changes
    return WebhookAlert(**keys)


def record(store: Store, event: str, **detail: Any) -> None:
    with store.begin() as db:
        trail.record(db, event, **detail)


def waiting(store: Store) -> list[list[Note]]:
    with store.read() as db:
        return [list(load(row.notes)) for row in db.query(AlertMessage).order_by(AlertMessage.made_at)]


def test_there_is_a_rule_for_all_that_can_be_asked_for() -> None:
    assert set(rules.RULES) == set(WHAT)


EVENTS: list[tuple[str, str, dict[str, Any], str | None]] = [
    ("parked", "job.parked", PARKED, "job 7 (analyse) waits for a person: the peer did not answer"),
    ("parked", "job.parked", PARKED | {"destination": "pacs"}, "job 7 to pacs waits for a person: the peer did not answer"),
    ("parked", "fetch.parked", {"fetch": "0a1b", "archive": "pacs", "error": as_is("x")}, "fetch 0a1b from pacs waits for a person: x"),
    ("parked", "job.postponed", PARKED, None),
    ("away", "destination.away", {"destination": "pacs", "error": as_is("no route")}, "destination pacs is away: no route"),
    ("away", "destination.back", {"destination": "pacs"}, "destination pacs takes results again"),
    ("disk", "receive.paused", {"free_mb": 10, "min_free_mb": 20}, "the disk fills: 10 MB are free, and nothing is received below 20 MB"),
    ("disk", "receive.resumed", {"free_mb": 90}, "the disk has room again: 90 MB are free"),
    ("constancy", "constancy.checked", {"amiss": []}, None),
    ("constancy", "constancy.checked", {"amiss": [as_is("a"), as_is("b")]}, "the phantom of the day was not answered as it was: a, b"),
    ("finding", "instance.analysed", {"present": ["Mass", "Effusion"]}, "by networks for research, not for diagnosis, at or over the operating point: Mass"),
    ("finding", "instance.analysed", {"present": ["Effusion"]}, None),
    ("finding", "instance.analysed", {"present": ["Mass"], "phantom": True}, None),
    ("finding", "instance.analysed", {"present": ["Mass"], "refused": True}, None),
]  # fmt: skip


@pytest.mark.parametrize(("what", "event", "detail", "says"), EVENTS)
def test_what_is_said_of_an_event(
    store: Store, what: str, event: str, detail: dict[str, Any], says: str | None
) -> None:
    own = alert(on=[what], findings=["Mass"])
    collect(store, own, NOON)
    record(store, event, **detail)
    collect(store, own, NOON)
    assert [str(note.reason) for message in waiting(store) for note in message] == ([says] if says else [])


def test_a_new_alert_begins_with_what_happens_from_now_on(store: Store) -> None:
    record(store, "job.parked", **PARKED)
    collect(store, alert(), NOON)
    record(store, "job.parked", **PARKED | {"job": 8})
    for _ in range(3):
        collect(store, alert(), NOON)
    ((note,),) = waiting(store)
    assert note.reason.values["job"] == 8


def test_what_comes_within_a_time_is_one_message_after_it(store: Store) -> None:
    own = alert(at_most_minutes=15)
    collect(store, own, NOON)
    for minutes in (0, 1, 2, 14):
        record(store, "job.parked", **PARKED | {"job": minutes})
        collect(store, own, NOON + timedelta(minutes=minutes))
    assert [len(m) for m in waiting(store)] == [1]
    collect(store, own, NOON + timedelta(minutes=15))
    assert [len(m) for m in waiting(store)] == [1, 3]


def test_a_digest_is_one_message_a_day(store: Store) -> None:
    own = alert(digest_at="07:30")
    collect(store, own, NOON)
    for day, hour in ((0, 13), (0, 23), (1, 7)):
        record(store, "job.parked", **PARKED)
        collect(store, own, NOON.replace(hour=hour) + timedelta(days=day))
    assert waiting(store) == []
    morning = NOON.replace(hour=7, minute=31) + timedelta(days=1)
    collect(store, own, morning)
    assert [len(m) for m in waiting(store)] == [3]
    record(store, "job.parked", **PARKED)
    collect(store, own, morning + timedelta(hours=5))
    assert [len(m) for m in waiting(store)] == [3]
    collect(store, own, morning + timedelta(days=3))  # the node was off
    assert [len(m) for m in waiting(store)] == [3, 1]


def test_a_clock_that_was_put_back_delays_nothing(store: Store) -> None:
    own = alert(at_most_minutes=15)
    collect(store, own, NOON)
    for now in (NOON + timedelta(days=300), NOON):
        record(store, "job.parked", **PARKED)
        collect(store, own, now)
    assert [len(m) for m in waiting(store)] == [1, 1]


def test_nothing_is_lost_when_the_message_cannot_be_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Place and message are one transaction: what ends between them leaves neither."""
    collect(store, alert(), NOON)
    record(store, "job.parked", **PARKED)
    with monkeypatch.context() as patch:
        patch.setattr("xrv_node.alerts.collect._message", _killed)
        with pytest.raises(KeyboardInterrupt):
            collect(store, alert(), NOON)
    assert waiting(store) == []
    collect(store, alert(), NOON)
    assert [len(m) for m in waiting(store)] == [1]


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_many_events_are_all_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xrv_node.alerts.collect.BATCH", 4)
    collect(store, alert(), NOON)
    with store.begin() as db:
        for number in range(10):
            trail.record(db, "job.parked", **PARKED | {"job": number})
            trail.record(db, "job.started", job=number)
    while collect(store, alert(), NOON):
        pass
    told = [note.reason.values["job"] for message in waiting(store) for note in message]
    assert sorted(told) == list(range(10))


def test_a_process_that_ends_again_and_again_is_told_once_in_so_many(store: Store) -> None:
    own = alert(on=["restarts"], restarts=3)
    collect(store, own, NOON)
    for role in ("worker", "worker", "web", "worker", "worker"):
        record(store, "process.restarted", role=role)
        collect(store, own, NOON)
    ((note,),) = waiting(store)
    assert str(note.reason) == "the process worker was started again 3 times within an hour"


def test_what_waits_for_an_alert_that_is_gone_is_forgotten(store: Store) -> None:
    collect(store, alert(), NOON)
    record(store, "job.parked", **PARKED)
    collect(store, alert(), NOON)
    forget(store, ["it"])
    assert len(waiting(store)) == 1
    forget(store, [])
    assert waiting(store) == []


def study(store: Store, at: datetime, uid: str = "1.2.3") -> None:
    with store.begin() as db:
        db.add(Study(study_instance_uid=uid, received_at=at))


def test_a_silence_is_told_once_and_the_next_one_again(store: Store) -> None:
    own = alert(on=["silent"], silent_hours=4)
    study(store, NOON - timedelta(hours=2))
    collect(store, own, NOON)
    for hours in (1, 2, 3, 4):
        collect(store, own, NOON + timedelta(hours=hours))
    ((note,),) = waiting(store)
    assert str(note.reason) == "no study has come for 4 hours of working time"
    study(store, NOON + timedelta(hours=5), "1.2.4")
    collect(store, own, NOON + timedelta(hours=5, minutes=30))
    collect(store, own, NOON + timedelta(days=1))
    assert len(waiting(store)) == 2


def test_a_silence_of_one_alert_is_not_anothers(store: Store) -> None:
    study(store, NOON - timedelta(hours=5))
    one, other = alert(on=["silent"]), alert(on=["silent"], name="night", silent_hours=100)
    for _ in range(2):
        collect(store, one, NOON)
        collect(store, other, NOON)
    with store.read() as db:
        assert [e["detail"]["alert"] for e in queries.events(db, event=silence.SILENT)] == ["it"]


def test_the_nodes_own_phantom_breaks_no_silence(store: Store) -> None:
    own = alert(on=["silent"])
    study(store, NOON - timedelta(hours=5))
    study(store, NOON, "9.9")
    record(store, "constancy.began", study="9.9")
    for _ in range(2):
        collect(store, own, NOON)
    assert len(waiting(store)) == 1


@pytest.mark.parametrize(
    ("since", "now", "hours"),
    [
        ("2026-12-01T08:00", "2026-12-01T12:00", 4),
        ("2026-12-01T02:00", "2026-12-01T08:00", 1),
        ("2026-11-30T17:00", "2026-12-01T08:00", 2),
        ("2026-11-27T17:00", "2026-11-30T08:30", 2.5),  # over a weekend
        ("2026-11-28T09:00", "2026-11-28T15:00", 0),
        ("2020-01-01T00:00", "2026-12-01T08:00", 1 + 11 * 261),
    ],
)
def test_working_time(since: str, now: str, hours: float) -> None:
    begin, end = (datetime.fromisoformat(t).replace(tzinfo=UTC) for t in (since, now))
    assert silence.working_hours(begin, end, alert()) == pytest.approx(hours)


def test_outside_of_working_time_nobody_is_told(store: Store) -> None:
    own = alert(on=["silent"])
    study(store, NOON - timedelta(hours=5))
    for _ in range(2):
        collect(store, own, NOON.replace(hour=22))
    assert waiting(store) == []


@pytest.mark.parametrize(
    "keys",
    [
        {"working_time": "18:00-07:00"}, {"working_time": "7"}, {"digest_at": "25:00"}, {"on": []}, {"on": ["nothing"]},
        {"findings": ["Masses"]}, {"working_days": []}, {"url": "ftp://x"}, {"url": "https://user:word@x/"},
    ],
)  # fmt: skip
def test_wrong_keys_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        alert(**keys)


@pytest.mark.parametrize(
    "keys",
    [{"security": "none", "user": "u", "password_file": "p"}, {"user": "u"}, {"to": []}, {"to": ["a@b\nBcc: c@d"]},
     {"sender": "a@b>, <c@d"}, {"security": "none", "tls": {}}],
)  # fmt: skip
def test_wrong_keys_of_mail_are_refused(keys: dict[str, Any]) -> None:
    good: dict[str, Any] = {"name": "m", "on": ["disk"], "host": "h", "sender": "a@b", "to": ["c@d"]}
    assert isinstance(MailAlert(**good), AlertSection)
    with pytest.raises(ValidationError):
        MailAlert(**good | keys)

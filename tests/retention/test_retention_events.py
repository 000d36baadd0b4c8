"""The trail's oldest events move to files, and the chain holds from there on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from xrv_node import durable
from xrv_node.cli import app
from xrv_node.db import queries, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AuditEvent, AuditHead, AuditSent
from xrv_node.retention import events
from xrv_node.settings import Settings


@contextmanager
def on_day(monkeypatch: pytest.MonkeyPatch, days_ago: int) -> Iterator[None]:
    """Let the trail's clock stand so many days ago."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - timedelta(days=days_ago)

    with monkeypatch.context() as patched:
        patched.setattr(trail, "datetime", Then)
        yield


@pytest.fixture
def old(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Five events of 100 days ago and three of yesterday."""
    for days, count in ((100, 5), (1, 3)):
        with on_day(monkeypatch, days), store.begin() as db:
            for number in range(count):
                trail.record(db, "thing.happened", study="1.2.3", number=number, words="Größe")
    return store


def settings(directory: Path, days: int, **more: Any) -> Settings:
    return Settings(node={"data_dir": directory}, retention={"audit_days": days}, **more)


def verified(store: Store) -> trail.Broken | int:
    with store.read() as db:
        return trail.verify(db)


def test_old_events_are_in_a_file_before_they_go(old: Store, tmp_path: Path) -> None:
    with old.read() as db:
        before = list(queries.events(db))
    assert events.expire(settings(tmp_path, 30), old) == 5
    (file,) = (tmp_path / "audit").iterdir()
    assert file.name == "events-1-5.jsonl"
    assert [json.loads(line) for line in file.read_text().splitlines()] == before[:5]
    with old.read() as db:
        after = list(queries.events(db))
    assert after[:3] == before[5:]
    sealed = after[-1]
    assert (sealed["id"], sealed["event"]) == (9, "audit.removed")
    assert sealed["detail"] == {
        "first": 1,
        "through": 5,
        "hash": before[4]["hash"],
        "file": "audit/events-1-5.jsonl",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "days": 30,
    }
    assert events.expire(settings(tmp_path, 30), old) == 0


def test_the_chain_holds_before_and_after_and_goes_on(old: Store, tmp_path: Path) -> None:
    assert verified(old) == 8
    events.expire(settings(tmp_path, 30), old)
    assert verified(old) == 4
    with old.begin() as db:
        trail.record(db, "thing.happened")
    assert verified(old) == 5
    with old.read() as db:
        assert trail.verify(db, last=2) == 5
        assert trail.verify(db, last=100) == 5


def test_the_file_alone_proves_its_events_and_joins_the_chain(old: Store, tmp_path: Path) -> None:
    events.expire(settings(tmp_path, 30), old)
    previous = trail.GENESIS
    for line in (tmp_path / "audit" / "events-1-5.jsonl").read_text().splitlines():
        e = json.loads(line)
        detail = json.dumps(e["detail"], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        fields = [previous, e["id"], e["at"], e["event"], e["study"], e["instance"], detail]
        previous = hashlib.sha256(json.dumps(fields, ensure_ascii=False).encode()).hexdigest()
        assert previous == e["hash"]
    with old.read() as db:
        assert previous == db.scalars(select(AuditHead.removed_hash)).one()


def test_a_second_purge_moves_the_beginning_on(
    old: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST", 2)
    assert events.expire(settings(tmp_path, 30), old) == 5  # in steps
    names = sorted(p.name for p in (tmp_path / "audit").iterdir())
    assert names == ["events-1-2.jsonl", "events-3-4.jsonl", "events-5-5.jsonl"]
    assert verified(old) == 3 + 3
    with old.begin() as db:
        beginning = trail.beginning(db)
    assert beginning is not None
    assert beginning["through"] == 5


@pytest.mark.parametrize(
    ("statement", "row", "why"),
    [
        ("DELETE FROM audit_event WHERE id = 6", 6, "row 6 is missing"),
        ("UPDATE audit_event SET detail = '{}' WHERE id = 7", 7, "row 7 was changed"),
        ("DELETE FROM audit_event WHERE event = 'audit.removed'", 9, "1 rows are missing at the end"),
        ("UPDATE audit_head SET removed = 6", 7, "row 7 was changed"),
        ("UPDATE audit_head SET removed_hash = '0'", 6, "row 6 was changed"),
    ],
)
def test_tampering_after_a_purge_is_found(
    old: Store, tmp_path: Path, statement: str, row: int, why: str
) -> None:
    events.expire(settings(tmp_path, 30), old)
    with old.begin() as db:
        for verb in ("update", "delete"):
            db.execute(text(f"DROP TRIGGER audit_event_no_{verb}"))
        db.execute(text(statement))
    assert verified(old) == trail.Broken(row, why)


def test_a_beginning_that_nobody_recorded_is_found(old: Store) -> None:
    """Somebody moves the checkpoint by hand, with its true hash, and removes what it then covers."""
    with old.begin() as db:
        digest = db.scalars(select(AuditEvent.hash).where(AuditEvent.id == 3)).one()
        db.execute(update(AuditHead).values(removed=3, removed_hash=digest))
        db.execute(delete(AuditEvent).where(AuditEvent.id <= 3))
    assert verified(old) == trail.Broken(4, "it begins at row 4, and no row says that it should")


@pytest.mark.parametrize(
    "statement", ["DELETE FROM audit_event WHERE id > 5", "UPDATE audit_event SET event = 'x' WHERE id > 5"]
)
def test_the_database_still_refuses_to_change_what_is_left(
    old: Store, tmp_path: Path, statement: str
) -> None:
    events.expire(settings(tmp_path, 30), old)
    with pytest.raises(DBAPIError, match="append-only"), old.begin() as db:
        db.execute(text(statement))
    with old.begin() as db:
        db.execute(delete(AuditHead))
        with pytest.raises(DBAPIError, match="append-only"):
            db.execute(text("DELETE FROM audit_event"))


def test_a_broken_trail_is_kept_as_evidence(old: Store, tmp_path: Path) -> None:
    with old.begin() as db:
        db.execute(text("DROP TRIGGER audit_event_no_update"))
        db.execute(text("UPDATE audit_event SET detail = '{}' WHERE id = 3"))
    with structlog.testing.capture_logs() as logs:
        assert events.expire(settings(tmp_path, 30), old) == 2
    assert {
        "event": "the trail is broken: its rows are kept from here on",
        "row": 3,
        "log_level": "error",
    } in logs
    assert verified(old) == trail.Broken(3, "row 3 was changed")


def test_a_purge_that_is_killed_after_the_file_is_done_again(
    old: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(trail, "forget", killed)
        with pytest.raises(Killed):
            events.expire(settings(tmp_path, 30), old)
    assert verified(old) == 8
    assert events.expire(settings(tmp_path, 30), old) == 5
    assert verified(old) == 4


def test_without_room_for_the_file_nothing_goes(
    old: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr(durable, "write", full)
        with pytest.raises(OSError, match="No space"):
            events.expire(settings(tmp_path, 30), old)
    assert verified(old) == 8


def test_what_the_audit_repository_does_not_have_stays(old: Store, tmp_path: Path) -> None:
    node = settings(tmp_path, 30, audit={"host": "arr.example"})
    assert events.expire(node, old) == 0
    with old.begin() as db:
        db.add(AuditSent(repository=node.audit.repository, event=4))
    assert events.expire(node, old) == 4
    assert verified(old) == 5


def test_nothing_goes_by_default_and_nothing_of_the_last_days(old: Store, tmp_path: Path) -> None:
    assert events.expire(Settings(node={"data_dir": tmp_path}), old) == 0
    assert events.expire(settings(tmp_path, 200), old) == 0
    assert not (tmp_path / "audit").exists()


def test_the_command_says_where_the_chain_begins(old: Store, tmp_path: Path) -> None:
    events.expire(settings(tmp_path, 30), old)
    file = tmp_path / "node.toml"
    file.write_text(f'[node]\ndata_dir = "."\n[database]\nurl = "{old.engine.url}"\n')
    said = CliRunner().invoke(app, ["audit", "verify", "--config", str(file)])
    assert said.exit_code == 0, said.output
    assert "the trail is whole: 4 events, from number 6 on" in said.output
    assert "audit/events-1-5.jsonl" in said.output

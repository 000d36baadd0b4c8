"""The courier's threads, and the command that tries an alert."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from deliver_cases import service
from ports import free_port
from serving import wait
from sqlalchemy import text
from typer.testing import CliRunner

from xrv_node.alerts import telling
from xrv_node.audit import changes
from xrv_node.cli import app
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AlertPlace
from xrv_node.reasons import as_is
from xrv_node.settings import Settings, load
from xrv_node.spool import Spool

HOOK = """
[[alerts]]
name = "hook"
kind = "webhook"
on = ["parked", "restarts"]
restarts = 1
at_most_minutes = 0
url = "http://127.0.0.1:{port}/"
secret_file = "secret"
"""
MAIL = """
[[alerts]]
name = "mail"
kind = "mail"
on = ["parked"]
at_most_minutes = 0
host = "127.0.0.1"
port = {port}
sender = "a@b"
to = ["c@d"]
timeout_seconds = 600
"""


def configured(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "secret").write_text("word")
    (tmp_path / "node.toml").write_text(text)
    return load(tmp_path / "node.toml")


def test_a_mail_server_that_hangs_delays_no_other_alert_and_no_end(
    tmp_path: Path, store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "EVERY_SECONDS", 0.02)
    monkeypatch.setattr(telling, "END_SECONDS", 0.1)
    stop = threading.Event()
    with service() as hook, socket.create_server(("127.0.0.1", 0)) as silent:
        tables = MAIL.format(port=silent.getsockname()[1]) + HOOK.format(port=hook.port)
        with telling.running(configured(tmp_path, tables), store, spool, stop):
            wait(lambda: _places(store) == 2, 30, "both alerts begin")
            with store.begin() as db:
                trail.record(db, "job.parked", job=1, kind="report", error=as_is("x"))
            connection, _ = silent.accept()  # and says nothing
            with connection:
                wait(lambda: hook.requests, 30, "the webhook is told")
                changes.restarted(store, "worker")
                wait(lambda: len(hook.requests) == 2, 30, "it is told again")
                stop.set()
    told = [note["what"] for _, _, body in hook.requests for note in json.loads(body)["notes"]]
    assert told == ["parked", "restarts"]


def test_a_database_that_takes_nothing_keeps_no_process_from_starting(
    tmp_path: Path, store: Store, spool: Spool
) -> None:
    with store.begin() as db:
        db.execute(text("DROP TABLE alert_place"))
        db.execute(text("DROP TABLE audit_head"))
    changes.restarted(store, "worker")
    stop = threading.Event()
    stop.set()
    with telling.running(configured(tmp_path, ""), store, spool, stop):
        pass


def _places(store: Store) -> int:
    with store.read() as db:
        return db.query(AlertPlace).count()


def test_a_test_is_sent_and_what_fails_is_told(tmp_path: Path) -> None:
    with service() as hook:
        configured(tmp_path, HOOK.format(port=hook.port) + MAIL.format(port=free_port()))
        config = ["--config", str(tmp_path / "node.toml")]
        good = CliRunner().invoke(app, ["alerts", "test", "hook", *config])
        all_ = CliRunner().invoke(app, ["alerts", "test", "--json", *config])
        strange = CliRunner().invoke(app, ["alerts", "test", "nobody", *config])
        listed = CliRunner().invoke(app, ["alerts", "list", "--json", *config])
    assert (good.exit_code, all_.exit_code) == (0, 1)
    assert "a test was sent" in good.stdout
    rows: list[dict[str, Any]] = json.loads(all_.stdout)["items"]
    assert [(row["name"], row["good"]) for row in rows] == [("hook", True), ("mail", False)]
    assert "there is no alert named 'nobody'; configured: hook, mail" in str(strange.exception)
    assert [row["name"] for row in json.loads(listed.stdout)["items"]] == ["hook", "mail"]
    body = json.loads(hook.requests[0][2])
    assert (body["notes"][0]["what"], body["notes"][0]["text"]) == (
        "test",
        "this is a test of the alert hook",
    )

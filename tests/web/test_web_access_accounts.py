"""People and programs that are let in over HTTP: the commands, what is kept of them, and what is on record."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from in_process import told

from xrv_node.cli import console
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.web.access import passwords, tokens, users

PASSWORD = "correct horse battery staple"


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take no second; what the parameters are is a test of its own."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobodys.cache_clear()


@pytest.fixture
def here(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the configuration of a node."""
    (tmp_path / "node.toml").write_text(f'[database]\nurl = "sqlite:///{tmp_path}/audit.sqlite"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def events(store: Store) -> list[tuple[str, dict[str, object]]]:
    with store.read() as db:
        return [(row["event"], row["detail"]) for row in queries.events(db)]


@pytest.mark.usefixtures("cheap")
def test_people_come_and_go(here: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told("users", "list") == "none\n"
    (here / "word").write_text(f"{PASSWORD}\n")
    assert "anna may sign in as viewer" in told("users", "add", "Anna", "--password-file", "word")
    typed(monkeypatch, f"{PASSWORD} 2\r\n")
    told("users", "add", "bert", "--role", "admin")
    rows = json.loads(told("users", "list", "--json"))["items"]
    assert [(row["name"], row["role"], row["seen_at"]) for row in rows] == [
        ("anna", "viewer", None),
        ("bert", "admin", None),
    ]
    told("users", "role", "anna", "operator")
    told("users", "passwd", "bert", "--password-file", "word")
    told("users", "remove", "bert")
    assert "operator" in told("users", "list")
    assert "bert" not in told("users", "list")
    changes = [(event, detail.get("name"), "@" in str(detail["by"])) for event, detail in events(store)]
    assert changes == [
        ("user.added", "anna", True),
        ("user.added", "bert", True),
        ("user.changed", "anna", True),
        ("user.changed", "bert", True),
        ("user.removed", "bert", True),
    ]
    assert PASSWORD not in json.dumps(events(store))


@pytest.mark.usefixtures("here", "cheap")
@pytest.mark.parametrize(
    ("line", "typed_in", "says"),
    [
        ("users add anna", "short\n", "15 to 256"),
        ("users add anna", "", "15 to 256"),
        ("users add anna --password-file nowhere", "", "nowhere: cannot be read"),
        ("users add anna/b", f"{PASSWORD}\n", "1 to 64 letters"),
        ("users add anna --role sender", f"{PASSWORD}\n", "sender"),
        ("users passwd nobody", f"{PASSWORD}\n", "there is no user 'nobody'"),
        ("users remove nobody", "", "there is no user 'nobody'"),
        ("users role nobody admin", "", "there is no user 'nobody'"),
        ("tokens revoke nobody", "", "there is no token 'nobody'"),
        ("tokens add a --ae-title SEVENTEEN-LETTERS", "", "--ae-title: an AE title is"),
        ("tokens add a --expires 2020-01-01", "", "is of no use"),
        ("tokens add a --expires tomorrow", "", "tomorrow"),
    ],
)
def test_what_is_wrong_is_said(line: str, typed_in: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, typed_in)
    said = told(*line.split(), codes=(2,))
    assert says in said
    assert PASSWORD not in said


@pytest.mark.usefixtures("cheap")
def test_a_name_is_one_persons_however_it_is_written(store: Store) -> None:
    with store.begin() as db:
        users.add(db, "anna", "viewer", PASSWORD)
    with store.begin() as db, pytest.raises(ConfigError, match="there is a user anna already"):
        users.add(db, "ANNA ", "admin", PASSWORD)
    with store.begin() as db:
        tokens.add(db, "pacs", "sender", "PACS")
    with store.begin() as db, pytest.raises(ConfigError, match="there is a token pacs already"):
        tokens.add(db, "PACS", "sender", "PACS")


def test_a_password_is_asked_for_where_somebody_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(console.typer, "prompt", lambda words, **how: asked.append(how) or PASSWORD)
    assert console.ask_secret("Password", None) == PASSWORD
    assert asked == [{"hide_input": True, "confirmation_prompt": True, "err": True}]


def test_a_token_is_shown_once_and_kept_as_its_digest(here: Path, store: Store) -> None:
    made = json.loads(told("tokens", "add", "pacs", "--role", "sender", "--ae-title", "PACS1", "--json"))[
        "token"
    ]
    assert len(made) == len(tokens.PREFIX) + 43  # 256 bits by six a letter
    assert told("tokens", "add", "ohif", "--expires", "2099-01-01").splitlines()[0].startswith(tokens.PREFIX)
    assert made not in told("tokens", "list")
    assert made not in json.dumps(events(store))
    with closing(sqlite3.connect(here / "audit.sqlite")) as database:
        assert made not in "\n".join(database.iterdump())
        kept = database.execute("SELECT sha256 FROM web_token WHERE name = 'pacs'").fetchone()
    assert kept == (hashlib.sha256(made.encode()).hexdigest(),)
    told("tokens", "revoke", "pacs")
    with store.read() as db:
        assert tokens.find(db, made) is None


def test_a_token_ends(store: Store) -> None:
    with store.begin() as db:
        made = tokens.add(db, "a", "viewer", "A", datetime.now(UTC) + timedelta(days=1))
    with store.begin() as db:
        found = tokens.find(db, made)
        assert found is not None
        assert tokens.find(db, made + "x") is None
        assert tokens.find(db, "\udcff") is None
        assert tokens.is_to_be_noted(found)
        tokens.note(db, found)
        db.refresh(found)
        assert not tokens.is_to_be_noted(found)
        found.expires_at = datetime.now(UTC)
        db.flush()
        assert tokens.find(db, made) is None


def test_passwords_are_argon2id_with_the_parameters_of_rfc_9106() -> None:
    kept = passwords.hashed(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.fits(kept, PASSWORD)
    assert not passwords.fits(kept, PASSWORD + "x")
    assert not passwords.fits(None, PASSWORD)
    assert not passwords.is_dated(kept)


@pytest.mark.usefixtures("cheap")
def test_a_letter_is_one_whichever_keyboard_wrote_it() -> None:
    assert passwords.fits(passwords.hashed("Zürich Zürich Zürich"), "Zu\u0308rich Zu\u0308rich Zu\u0308rich")
    assert not passwords.fits("no hash", "x")
    assert not passwords.fits(None, "nobody")


@pytest.mark.usefixtures("cheap")
def test_a_hash_of_other_parameters_is_told() -> None:
    assert passwords.is_dated("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")

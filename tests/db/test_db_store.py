"""Schema and transactions of the audit database."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import alembic.autogenerate
import alembic.runtime.migration
import pytest
from sqlalchemy import text

from xrv_node.db import access_tables, fetch_tables, trail
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError


def test_migrations_make_the_tables_of_the_code(store: Store) -> None:
    with store.engine.connect() as connection:
        context = alembic.runtime.migration.MigrationContext.configure(connection)
        assert alembic.autogenerate.compare_metadata(context, fetch_tables.Base.metadata) == []
    assert access_tables.Base.metadata is fetch_tables.Base.metadata


def test_sqlite_is_opened_so_that_a_commit_survives_a_power_cut(store: Store) -> None:
    with store.read() as db:
        assert db.scalar(text("PRAGMA journal_mode")) == "wal"
        assert db.scalar(text("PRAGMA synchronous")) == 2  # FULL
        assert db.scalar(text("PRAGMA foreign_keys")) == 1


def test_the_database_is_its_users_alone_whatever_the_umask_is(tmp_path: Path) -> None:
    file = tmp_path / "one.sqlite"
    umask = os.umask(0o022)
    try:
        made = Store(f"sqlite:///{file}")
        made.migrate()
        assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("one.sqlite*")} == {0o600}
        made.close()
        file.chmod(0o644)  # of an older program
        Store(f"sqlite:///{file}").close()
        assert file.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(umask)


def test_an_empty_database_is_named_with_the_remedy(tmp_path: Path) -> None:
    empty = Store(f"sqlite:///{tmp_path / 'none.sqlite'}")
    with pytest.raises(ConfigError, match=r"is empty: `xrv-node serve`"):
        empty.require_current()


def test_a_newer_database_is_refused(store: Store) -> None:
    with store.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="newer xrv-node"):
        store.migrate()
    with pytest.raises(ConfigError, match="schema 9999"):
        store.require_current()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"this is not a database" * 100)
    with pytest.raises(ConfigError, match=r"database\.url: the database cannot be opened"):
        Store(f"sqlite:///{tmp_path / 'x.sqlite'}").migrate()


def test_an_exception_takes_the_change_and_its_event_back(store: Store) -> None:
    def fail() -> None:
        with store.begin() as db:
            trail.record(db, "x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.read() as db:
        assert trail.verify(db) == 0


def test_writers_in_threads_wait_for_each_other(store: Store) -> None:
    def write() -> None:
        for number in range(25):
            with store.begin() as db:
                trail.record(db, "x", number=number)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as db:
        assert trail.verify(db) == 100

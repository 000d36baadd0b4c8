"""A database of an older version is copied, upgraded and used on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from made import incoming, radiograph
from pydicom import dcmread
from pynetdicom import dsutils
from sqlalchemy import select, text

from xrv_node.db import backup, queries, queue, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance
from xrv_node.errors import ConfigError
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool

OLD = Path(__file__).parent / "old" / "0001.sql"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The stored database of schema 0001 as a file."""
    file = tmp_path / "xrv-node.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(OLD.read_text())
    return file


TABLES = (
    *("alembic_version", "analysis", "audit_event", "audit_head", "delivery"),
    *("instance", "job", "result", "study"),
)
"""Of schema 0001."""


def upgraded(file: Path) -> Store:
    store = Store(f"sqlite:///{file}")
    store.migrate()
    return store


def rows(file: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as database:
        columns = [c[1] for c in database.execute(f'PRAGMA table_info("{table}")')]
        return sorted(database.execute(f'SELECT {", ".join(columns)} FROM "{table}"'))


def test_the_stored_database_has_rows_in_every_table(old: Path) -> None:
    assert rows(old, "alembic_version") == [("0001",)]
    assert all(rows(old, table) for table in TABLES)


def test_it_is_upgraded_after_a_copy_of_it_was_made(old: Path, tmp_path: Path) -> None:
    before = {table: rows(old, table) for table in TABLES}
    with closing(upgraded(old)) as store:
        store.require_current()
        assert store.integrity() == []
        with store.read() as db:
            assert trail.verify(db) == len(before["audit_event"])
            assert {s["study"]: s["state"] for s in queries.studies(db)} == {
                "1.2.3.1": "reported",
                "1.2.3.2": "open",
            }
            assert {r["kind"] for r in queries.study(db, "1.2.3.1")["results"]} == {"report", "sr", "seg"}
            report = text("SELECT variant FROM result WHERE kind = 'report'")
            assert db.scalars(report).all() == ["language=en"]
    (copy,) = (tmp_path / "backups").iterdir()
    assert copy.name.startswith("xrv-node-0001-")
    assert {table: rows(copy, table) for table in TABLES} == before
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_its_spool_and_queue_go_on(old: Path, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with closing(upgraded(old)) as store:
        known = dsutils.encode(radiograph(1), is_implicit_vr=False, is_little_endian=True)  # as it was sent
        again = intake.accept(store, spool, FrontalSection(), incoming(radiograph(1), data=(known,)))
        assert again.outcome == "duplicate"
        with store.read() as db:
            path = db.scalars(select(Instance.path).where(Instance.sop_instance_uid == "1.2.3.1.1.1")).one()
        assert dcmread(spool.absolute(path)).PixelData == radiograph(1).PixelData
        late = intake.accept(store, spool, FrontalSection(), incoming(radiograph(9)))
        assert late.outcome == "stored"
        assert queue.claim(store, "analyse", owner="test")
        with store.read() as db:
            assert queries.study(db, "1.2.3.1")["state"] == "open"
            assert isinstance(trail.verify(db), int)


def test_the_newest_three_copies_are_kept(old: Path, tmp_path: Path) -> None:
    made = [backup.before_upgrade(old, revision) for revision in ("0009", "0001", "0002", "0003", "0001")]
    assert set((tmp_path / "backups").iterdir()) == set(made[-backup.KEPT :])


def test_a_database_in_use_is_copied_whole(old: Path) -> None:
    with closing(Store(f"sqlite:///{old}")) as store:
        store.migrate()
        with store.begin() as db:
            trail.record(db, "x")
            copy = backup.before_upgrade(old, "now")
            count = trail.verify(db)
        assert len(rows(copy, "audit_event")) == count - 1  # what is not committed is not there


def test_no_copy_is_made_of_a_current_or_an_empty_database(old: Path, tmp_path: Path) -> None:
    with closing(upgraded(tmp_path / "new" / "x.sqlite")) as store:
        store.migrate()
    assert not (tmp_path / "new" / "backups").exists()


def test_without_room_for_the_copy_nothing_is_upgraded(old: Path, tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be copied there before its upgrade"):
        upgraded(old)
    assert rows(old, "alembic_version") == [("0001",)]


def test_the_log_names_the_copy(old: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        upgraded(old).close()
    (said,) = [line for line in logs if "copy" in line]
    assert (said["schema"], Path(said["copy"]).is_file()) == ("0001", True)

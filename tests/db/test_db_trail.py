"""The chain notices whatever is done to it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Study


@pytest.fixture
def chain(store: Store) -> Store:
    with store.begin() as db:
        for number in range(5):
            trail.record(db, "thing.happened", study="1.2.3", number=number, words="Größe")
    return store


def tamper(store: Store, statement: str) -> None:
    """Do what the triggers forbid, as somebody with the file in hand can."""
    with store.begin() as db:
        for verb in ("update", "delete"):
            db.execute(text(f"DROP TRIGGER audit_event_no_{verb}"))
        db.execute(text(statement))


def test_a_whole_chain_is_whole(chain: Store) -> None:
    with chain.read() as db:
        assert trail.verify(db) == 5


@pytest.mark.parametrize(
    "verb",
    [
        "UPDATE audit_event SET event = 'x'",
        "DELETE FROM audit_event",
        "INSERT OR REPLACE INTO audit_event SELECT id, at, 'x', NULL, NULL, detail, hash FROM audit_event WHERE id = 2",
        "REPLACE INTO audit_event (id, at, event, detail, hash) VALUES (5, '', '', '', '')",
        "INSERT INTO audit_event (id, at, event, detail, hash) VALUES (0, '', '', '', '')",
        "INSERT OR IGNORE INTO audit_event (id, at, event, detail, hash) VALUES (-1, '', '', '', '')",
    ],
)
def test_the_database_refuses_to_change_the_trail(chain: Store, verb: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"), chain.begin() as db:
        db.execute(text(verb))


@pytest.mark.parametrize(
    ("statement", "row", "why"),
    [
        ("UPDATE audit_event SET detail = '{}' WHERE id = 3", 3, "row 3 was changed"),
        ("UPDATE audit_event SET at = '2020' WHERE id = 1", 1, "row 1 was changed"),
        ("UPDATE audit_event SET study_instance_uid = NULL WHERE id = 5", 5, "row 5 was changed"),
        ("DELETE FROM audit_event WHERE id = 2", 2, "row 2 is missing"),
        ("DELETE FROM audit_event WHERE id > 3", 4, "2 rows are missing at the end"),
        ("DELETE FROM audit_event", 1, "5 rows are missing at the end"),
    ],
)
def test_tampering_is_found(chain: Store, statement: str, row: int, why: str) -> None:
    tamper(chain, statement)
    with chain.read() as db:
        assert trail.verify(db) == trail.Broken(row, why)


def test_an_emptied_trail_beside_studies_is_not_whole(chain: Store) -> None:
    with chain.begin() as db:
        db.add(Study(study_instance_uid="1.2.3", received_at=datetime.now(UTC)))
    tamper(chain, "DELETE FROM audit_event")
    with chain.begin() as db:
        db.execute(text("UPDATE audit_head SET count = 0, hash = :genesis"), {"genesis": trail.GENESIS})
    with chain.read() as db:
        found = trail.verify(db)
    assert isinstance(found, trail.Broken)
    assert "there are studies" in found.why


def test_a_trail_that_was_put_back_no_longer_holds_its_last_hash(chain: Store) -> None:
    with chain.read() as db:
        before = trail.newest(db)
    with chain.begin() as db:
        trail.record(db, "thing.happened", number=5)
    with chain.read() as db:
        after = trail.newest(db)
        assert trail.holds(db, before)
        assert trail.holds(db, after)
    tamper(chain, "DELETE FROM audit_event WHERE id = 6")
    with chain.begin() as db:
        db.execute(text("UPDATE audit_head SET count = 5, hash = :before"), {"before": before})
    with chain.read() as db:
        assert trail.verify(db) == 5
        assert not trail.holds(db, after)

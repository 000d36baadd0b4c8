"""The checker finds nothing in a healthy node, and every defect that is planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fault_site import Rooms
from sqlalchemy import text
from sqlalchemy.orm import Session

from xrv_node.db.tables import AnalysisRow, Instance, ResultRow


def test_nothing_is_broken_in_a_healthy_node(at_rest: Rooms) -> None:
    assert len(at_rest.archive.held) == 4  # a report and a measurement report of each of two studies
    assert at_rest.broken() == []


def run(*statements: str) -> Callable[[Session, Rooms], None]:
    def execute(db: Session, _: Rooms) -> None:
        for statement in statements:
            db.execute(text(statement))

    return execute


def file_of(table: type[Instance | AnalysisRow | ResultRow]) -> Callable[[Session, Rooms], Path]:
    return lambda db, rooms: rooms.spool.absolute(db.query(table).order_by("id").first().path)


def without(table: type[Instance | AnalysisRow | ResultRow]) -> Callable[[Session, Rooms], None]:
    return lambda db, rooms: file_of(table)(db, rooms).unlink()


def damaged(table: type[Instance | ResultRow]) -> Callable[[Session, Rooms], None]:
    def damage(db: Session, rooms: Rooms) -> None:
        path = file_of(table)(db, rooms)
        path.write_bytes(path.read_bytes()[:-1] + b"!")

    return damage


def unknown_file(_: Session, rooms: Rooms) -> None:
    place = rooms.spool.root / "spool" / "elsewhere"
    place.mkdir()
    (place / "1.2.dcm").write_bytes(b"?")


def never_arrived(_: Session, rooms: Rooms) -> None:
    rooms.archive.held.pop()


def arrived_again(_: Session, rooms: Rooms) -> None:
    rooms.archive.held.append(rooms.archive.held[0])


def arrived_changed(_: Session, rooms: Rooms) -> None:
    rooms.archive.held.append(replace(rooms.archive.held[0], sha256="0" * 64))


def arrived_unknown(_: Session, rooms: Rooms) -> None:
    rooms.archive.held.append(replace(rooms.archive.held[0], sop_instance_uid="1.2.9"))


def acknowledged_and_forgotten(_: Session, rooms: Rooms) -> None:
    rooms.acknowledged["1.2.9"] = "0" * 64


DEFECTS: dict[str, tuple[Callable[[Session, Rooms], None], str]] = {
    "received, no row": (acknowledged_and_forgotten, "received: 1.2.9 was acknowledged and has no row"),
    "received, no file": (without(Instance), "received: 1.2.3.1.1.1 was acknowledged and has no file"),
    "received, damaged": (damaged(Instance), "received: the file of 1.2.3.1.1.1 is not what was sent"),
    "analysed, forgotten": (run("DELETE FROM analysis"), "analysed: 1.2.3.1.1.1 has no analysis"),
    "analysed, no file": (without(AnalysisRow), "analysed: the analysis of 1.2.3.1.1.1 has no file"),
    "analysed, failed": (run("UPDATE instance SET state = 'failed'"), "1.2.3.1.1.1 (frontal) is failed"),
    "analysed, skipped": (run("UPDATE instance SET state = 'skipped'"), "1.2.3.1.1.1 (frontal) is skipped"),
    "study open": (run("UPDATE study SET state = 'open'"), "reported: study 1.2.3.1 is open"),
    "study without report": (run("UPDATE result SET kind = 'sc'"), "reported: study 1.2.3.1 has no report"),
    "two UIDs": (
        run("UPDATE result SET kind = 'report', variant = ''"),
        "has 2 report objects: one content, many UIDs",
    ),
    "delivery waits": (run("UPDATE delivery SET state = 'waiting'"), "to pacs is waiting"),
    "never arrived": (never_arrived, "never arrived at pacs"),
    "arrived again": (arrived_again, "arrived 2 times at pacs"),
    "arrived changed": (arrived_changed, "arrived at pacs with 2 contents"),
    "arrived unknown": (arrived_unknown, "delivered: pacs holds 1.2.9, of which there is no record"),
    "result, no file": (without(ResultRow), "is missing or damaged"),
    "result, damaged": (damaged(ResultRow), "is missing or damaged"),
    "unknown file": (unknown_file, "files: nothing knows spool/elsewhere/1.2.dcm"),
    "job runs for ever": (run("UPDATE job SET state = 'running' WHERE id = 1"), "analyse job 1 is running"),
    "job lost": (run("DELETE FROM job WHERE kind = 'deliver'"), "jobs: delivery 1 has no job"),
    "analysis job lost": (run("DELETE FROM job WHERE kind = 'analyse'"), "jobs: instance 1 has no job"),
    "event missing": (
        run("DROP TRIGGER audit_event_no_delete", "DELETE FROM audit_event WHERE id = 3"),
        "audit: row 3 is missing",
    ),
    "event not written": (run("DELETE FROM instance"), "2 events instance.received, 0 rows"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(at_rest: Rooms, name: str) -> None:
    plant, sentence = DEFECTS[name]
    connection = at_rest.store.engine.raw_connection()
    connection.driver_connection.execute("PRAGMA foreign_keys = OFF")
    connection.close()
    with at_rest.store.begin() as db:
        plant(db, at_rest)
    found = at_rest.broken()
    assert any(sentence in line for line in found), found

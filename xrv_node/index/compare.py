"""The index beside the audit database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import select

from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, ResultRow
from xrv_node.index.index import Index
from xrv_node.index.tables import InstanceRow
from xrv_node.settings import Settings


@dataclass(frozen=True, slots=True)
class Compared:
    """What was found."""

    objects: int
    """Under different UIDs, in the audit database."""
    missing: int
    """Of them, not in the index, or there as purged or not where it is otherwise."""
    strange: int
    """In the index alone."""

    @property
    def wrong(self) -> bool:
        """Whether the index has to be made anew."""
        return bool(self.missing or self.strange)


def damage(settings: Settings) -> str:
    """Return what SQLite finds wrong with the index's file, changing nothing; empty where it is whole, or no
    file of ours."""
    if settings.web.index_url:
        return ""
    try:
        with closing(sqlite3.connect(f"{settings.index_file.resolve().as_uri()}?mode=ro", uri=True)) as there:
            (line,) = there.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if line == "ok" else str(line)


def with_record(index: Index, store: Store) -> Compared:
    """Compare all objects by UID, and whether they were purged."""
    recorded: dict[str, bool] = {}
    with store.read() as audit:
        for table in (ResultRow, Instance):
            rows = select(table.sop_instance_uid, table.purged_at).order_by(table.id)
            for uid, purged_at in audit.execute(rows.execution_options(yield_per=1000)):
                recorded.setdefault(uid, purged_at is not None)
    objects = len(recorded)
    strange = 0
    with index.read() as db:
        rows = select(InstanceRow.sop_instance_uid, InstanceRow.purged)
        for uid, purged in db.execute(rows.execution_options(yield_per=1000)):
            if uid not in recorded:
                strange += 1
            elif recorded[uid] == purged:
                del recorded[uid]
    return Compared(objects, len(recorded), strange)

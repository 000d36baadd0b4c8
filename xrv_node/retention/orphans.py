"""Where the spool and the database disagree: files that no row knows, rows whose file is gone.

A received object's file is in place before its row is committed, so a receiver that is killed between the two
leaves a file that was never acknowledged. A database that is restored from a backup leaves files that were.
A purge that is killed leaves files whose rows say that they are gone.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import durable, role_locks
from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Instance, ResultRow
from xrv_node.spool import Spool

SETTLED_SECONDS = 600
"""Younger files are let be: what is being received has a file before it has a row. Ten minutes are far beyond
``store.BUSY_SECONDS`` and a job's lease."""

SWEPT_SECONDS = 86400
"""The same where nobody looks on: no job that still renews its lease takes a day."""

FOUND = "found"
"""Where orphaned inputs are put, below the data directory."""

_BATCH = 500
"""Below the 999 parameters that a statement of an old SQLite takes."""

TABLES: dict[str, Any] = {"inputs": Instance, "analyses": AnalysisRow, "results": ResultRow}
"""The table that knows the files of each directory of the spool."""


@dataclass(frozen=True, slots=True)
class Disagreements:
    """Paths relative to the data directory; their names are UIDs."""

    inputs: tuple[str, ...]
    """Received objects without a row."""
    derived: tuple[str, ...]
    """Analyses and results without a row; they are made again when they are needed."""
    purged: tuple[str, ...]
    """Files of any kind whose row says that they were purged."""
    missing: tuple[str, ...]
    """Received objects and results that have a row and no file."""


def find(db: Session, spool: Spool, *, settled: float = SETTLED_SECONDS) -> Disagreements:
    """Compare the spool with the database, which may be in use; files younger than `settled` are let be."""
    unknown: dict[str, list[str]] = {}
    purged: list[str] = []
    for kind, table in TABLES.items():
        unknown[kind] = []
        files = map(spool.relative, _older(spool.root / "spool" / kind, settled))
        while paths := list(itertools.islice(files, _BATCH)):
            rows = db.execute(select(table.path, table.purged_at).where(table.path.in_(paths))).all()
            live = {path for path, purged_at in rows if purged_at is None}
            known = {path for path, _ in rows}
            purged += [p for p in paths if p in known - live]
            unknown[kind] += [p for p in paths if p not in known]
    return Disagreements(
        tuple(unknown["inputs"]),
        (*unknown["analyses"], *unknown["results"]),
        tuple(purged),
        tuple(_missing(db, spool)),
    )


def settle(store: Store, spool: Spool, found: Disagreements) -> None:
    """Put orphaned inputs into ``found``, from where ``xrv-node send`` brings them in by the front door, and
    remove the other files that nobody needs."""
    for relative in found.inputs:
        path = spool.absolute(relative)
        durable.keep(path, spool.root / FOUND / path.parent.name / path.name)
    remove(store, spool, (*found.derived, *found.purged))


def sweep(store: Store, spool: Spool) -> int:
    """Remove what processes that were killed have left, but for received objects; returns how many files."""
    with store.read() as db:
        found = find(db, spool, settled=SWEPT_SECONDS)
    drafts = list(_abandoned_drafts(spool))
    for draft in drafts:
        draft.unlink(missing_ok=True)
    return len(drafts) + remove(store, spool, (*found.derived, *found.purged))


def remove(store: Store, spool: Spool, paths: Iterable[str]) -> int:
    """Remove files that have no row, or one that says that they are gone; returns how many there were.

    The row is looked at once more under its lock, for the object may have come again meanwhile: whoever makes
    it live looks under the same lock whether the file is there (`receive.record`).
    """
    left, count = iter(paths), 0
    while batch := list(itertools.islice(left, _BATCH)):
        with store.begin() as db:
            live: set[str] = set()
            for table in TABLES.values():
                rows = select(table.path, table.purged_at).where(table.path.in_(batch)).with_for_update()
                live |= {path for path, purged_at in db.execute(rows) if purged_at is None}
            for path in map(spool.absolute, (p for p in batch if p not in live)):
                count += path.exists()
                path.unlink(missing_ok=True)
                with suppress(OSError):  # not empty, or gone
                    path.parent.rmdir()
    return count


def _older(directory: Path, seconds: float) -> Iterator[Path]:
    before = time() - seconds
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            path = Path(folder) / name
            try:
                old = path.stat().st_mtime < before
            except FileNotFoundError:  # a draft that was renamed meanwhile
                continue
            if old:
                yield path


def _abandoned_drafts(spool: Spool) -> Iterator[Path]:
    """Of desks that nobody holds: a receiver clears only the desk that it sits down at."""
    for path in _older(Spool(spool.root).drafts, SETTLED_SECONDS):
        if not role_locks.is_held(spool.root, path.parent.name):
            yield path


def _missing(db: Session, spool: Spool) -> Iterator[str]:
    for table in (TABLES["inputs"], TABLES["results"]):
        rows = select(table.path).where(table.purged_at.is_(None))
        for path in db.scalars(rows.execution_options(yield_per=1000)):
            if not spool.absolute(path).is_file():
                yield path

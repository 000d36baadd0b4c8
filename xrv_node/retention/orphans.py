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

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session, aliased

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

    inputs: tuple[str, ...] = ()
    """Received objects without a row."""
    derived: tuple[str, ...] = ()
    """Analyses and results without a row; they are made again when they are needed."""
    purged: tuple[str, ...] = ()
    """Files of any kind whose row says that they were purged."""
    missing: tuple[str, ...] = ()
    """Received objects that have a row and no file: only who has them can send them again."""
    missing_derived: tuple[str, ...] = ()
    """Analyses and results that have a row and no file, of those that were made last."""
    young: int = 0
    """Files without a row that are too young to be judged."""


def find(db: Session, spool: Spool, *, settled: float = SETTLED_SECONDS) -> Disagreements:
    """Compare the spool with the database, which may be in use; files younger than `settled` seconds are let
    be, and those of them that no row knows are counted."""
    before = time() - settled
    unknown: dict[str, list[str]] = {}
    purged: list[str] = []
    young = 0
    for kind, table in TABLES.items():
        unknown[kind] = []
        files = _files(spool.root / "spool" / kind)
        while batch := list(itertools.islice(files, _BATCH)):
            old = {spool.relative(path): written < before for path, written in batch}
            rows = db.execute(select(table.path, table.purged_at).where(table.path.in_(old))).all()
            live = {path for path, purged_at in rows if purged_at is None}
            known = {path for path, _ in rows}
            purged += [p for p in old if old[p] and p in known - live]
            unknown[kind] += [p for p in old if old[p] and p not in known]
            young += sum(not old[p] and p not in known for p in old)
    return Disagreements(
        tuple(unknown["inputs"]),
        (*unknown["analyses"], *unknown["results"]),
        tuple(purged),
        tuple(_missing(db, spool, (Instance, true()))),
        tuple(_missing(db, spool, *_last_made())),
        young,
    )


def studies(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the Study Instance UIDs of files of the spool, each once."""
    return tuple(dict.fromkeys(path.split("/")[2] for path in paths))


def incomplete(db: Session, spool: Spool) -> set[str]:
    """Return the Study Instance UIDs of the studies of which an analysis or a result has lost its file."""
    return set(studies(_missing(db, spool, *_last_made())))


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


def _files(directory: Path) -> Iterator[tuple[Path, float]]:
    """The files below, each with the time at which it was written."""
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            path = Path(folder) / name
            with suppress(FileNotFoundError):  # a draft that was renamed meanwhile
                yield path, path.stat().st_mtime


def _abandoned_drafts(spool: Spool) -> Iterator[Path]:
    """Of desks that nobody holds: a receiver clears only the desk that it sits down at."""
    before = time() - SETTLED_SECONDS
    for path, written in _files(Spool(spool.root).drafts):
        if written < before and not role_locks.is_held(spool.root, path.parent.name):
            yield path


def _missing(db: Session, spool: Spool, *conditions: Any) -> Iterator[str]:
    """Paths of the rows that these conditions choose and that have no file."""
    for table, condition in conditions:
        rows = select(table.path).where(table.purged_at.is_(None), condition)
        for path in db.scalars(rows.execution_options(yield_per=1000)):
            if not spool.absolute(path).is_file():
                yield path


def _last_made() -> Iterator[tuple[Any, Any]]:
    """The newest analysis of each image and the results of each study's last report: nothing needs the others
    any more, and nothing would make them again."""
    newest = select(func.max(AnalysisRow.id)).group_by(AnalysisRow.instance_id)
    yield AnalysisRow, AnalysisRow.id.in_(newest)
    later = aliased(ResultRow)
    superseded = select(later.id).where(
        later.study_id == ResultRow.study_id, later.revision > ResultRow.revision
    )
    yield ResultRow, ~superseded.exists()

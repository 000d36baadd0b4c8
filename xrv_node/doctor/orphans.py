"""Where the spool and the database disagree: files that no row knows, rows whose file is gone.

A received object's file is in place before its row is committed, so a receiver that is killed between the two
leaves a file that was never acknowledged. A database that is restored from a backup leaves files that were.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import durable
from xrv_node.audit.tables import AnalysisRow, Instance, ResultRow
from xrv_node.receive.spool import Spool

SETTLED_SECONDS = 600
"""Younger files are let be: what is being received has a file before it has a row. Ten minutes are far beyond
``store.BUSY_SECONDS`` and a job's lease."""

FOUND = "found"
"""Where orphaned inputs are put, below the data directory."""

_BATCH = 500
"""Below the 999 parameters that a statement of an old SQLite takes."""

_PATHS: dict[str, Any] = {
    "inputs": Instance.path,
    "analyses": AnalysisRow.path,
    "results": ResultRow.path,
}
"""The column that knows the files of each directory of the spool."""


@dataclass(frozen=True, slots=True)
class Disagreements:
    """Paths relative to the data directory; their names are UIDs."""

    inputs: tuple[str, ...]
    """Received objects without a row."""
    derived: tuple[str, ...]
    """Analyses and results without a row; they are made again when they are needed."""
    missing: tuple[str, ...]
    """Received objects and results that have a row and no file."""


def find(db: Session, spool: Spool) -> Disagreements:
    """Compare the spool with the database, which may be in use."""
    unknown = {kind: tuple(_unknown(db, spool, kind)) for kind in _PATHS}
    return Disagreements(
        unknown["inputs"], unknown["analyses"] + unknown["results"], tuple(_missing(db, spool))
    )


def settle(spool: Spool, found: Disagreements) -> None:
    """Put orphaned inputs into ``found``, from where ``xrv-node send`` brings them in by the front door, and
    remove orphans that the node made itself."""
    for relative in found.inputs:
        path = spool.absolute(relative)
        durable.keep(path, spool.root / FOUND / path.parent.name / path.name)
    for relative in found.derived:
        spool.absolute(relative).unlink(missing_ok=True)


def _unknown(db: Session, spool: Spool, kind: str) -> Iterator[str]:
    column = _PATHS[kind]
    files = map(spool.relative, _settled(spool.root / "spool" / kind))
    while relative := list(itertools.islice(files, _BATCH)):
        known = set(db.scalars(select(column).where(column.in_(relative))))
        yield from (path for path in relative if path not in known)


def _settled(directory: Path) -> Iterator[Path]:
    before = time() - SETTLED_SECONDS
    for folder, _, names in os.walk(directory):
        for name in sorted(names):
            path = Path(folder) / name
            try:
                old = path.stat().st_mtime < before
            except FileNotFoundError:  # a draft that was renamed meanwhile
                continue
            if old:
                yield path


def _missing(db: Session, spool: Spool) -> Iterator[str]:
    for column in (Instance.path, ResultRow.path):
        for path in db.scalars(select(column).execution_options(yield_per=1000)):
            if not spool.absolute(path).is_file():
                yield path

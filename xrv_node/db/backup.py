"""A copy of the database before its schema is changed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from xrv_node import durable

KEPT = 3
"""Copies; the oldest beyond are removed."""


def before_upgrade(database: Path, revision: str) -> Path:
    """Copy a SQLite database that may be in use, with SQLite's online backup.

    Parameters
    ----------
    database
        The file.
    revision
        The schema that it has.

    Returns
    -------
    Path
        ``backups/<name>-<revision>-<time>.sqlite`` beside the database, on disk; the time is UTC.

    Raises
    ------
    OSError, sqlite3.Error
        When it cannot be made; nothing is left behind then.
    """
    directory = database.parent / "backups"
    directory.mkdir(mode=0o700, exist_ok=True)
    name = f"{database.stem}-{revision}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.sqlite"
    draft, target = directory / f".{name}.part", directory / name
    try:
        with (
            closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(draft)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        durable.keep(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    for old in sorted(directory.glob(f"{database.stem}-*.sqlite"), key=_time)[:-KEPT]:
        old.unlink()
    return target


def _time(path: Path) -> str:
    return path.stem.rpartition("-")[2]

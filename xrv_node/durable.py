"""Writing files so that they are there after a power cut, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def draft(directory: Path, chunks: Iterable[bytes]) -> Path:
    """Write `chunks` to a new file in `directory`, synced to disk, under a name that nothing else reads.

    Raises
    ------
    OSError
        For example with ``errno.ENOSPC``; nothing is left behind then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=directory)
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def keep(path: Path, target: Path) -> None:
    """Move a draft to its final name, and put the name itself on disk (rename, then fsync the directories).

    Both must be on one file system: the rename is what makes the file appear whole or not at all.
    """
    made = [p for p in (target.parent, *target.parent.parents) if not p.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    for directory in [target.parent, *(p.parent for p in made)]:
        _sync(directory)


def write(target: Path, chunks: Iterable[bytes]) -> None:
    """Write a file durably and atomically beside whatever stands there."""
    path = draft(target.parent, chunks)
    try:
        keep(path, target)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

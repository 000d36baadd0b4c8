"""Writing files so that they are there after a power cut, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import BinaryIO

STRIDE = 4 << 20
"""Bytes after which a long file's writing to disk begins while more of it comes: at its end little is left to
wait for."""

_beside = ThreadPoolExecutor(4, thread_name_prefix="sync")


def draft(directory: Path, chunks: Iterable[bytes | memoryview]) -> Path:
    """Write `chunks` to a new file in `directory`, under a name that nothing else reads.

    What of it is still on its way to the disk then, :func:`keep` and :func:`place` wait for.

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
            _write(file, chunks)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def keep(path: Path, target: Path) -> None:
    """Give a draft its final name: its bytes on disk first, then the name itself (rename, then directories).

    Both must be on one file system: the rename is what makes the file appear whole or not at all.
    """
    directories = _made(target)
    _sync(path)
    os.replace(path, target)
    for directory in directories:
        _sync(directory)


def place(path: Path, target: Path) -> None:
    """Give a draft its final name as :func:`keep` does, but wait for the disk once instead of twice.

    Bytes and name go to disk side by side, so that a power cut before the return may leave a part of the
    file: only for names that nobody trusts before this returned. A name that is there already is trusted,
    and gets the draft by :func:`keep`.
    """
    directories = _made(target)
    try:
        os.link(path, target)
    except OSError:  # it is there, or the file system has no links
        keep(path, target)
        return
    waiting = [_beside.submit(_sync, directory) for directory in directories]
    try:
        _sync(path)
    finally:
        wait(waiting)
    for done in waiting:
        done.result()
    path.unlink()


def _made(target: Path) -> list[Path]:
    """Make the directories above `target`; returns those whose entries change with it."""
    missing = [p for p in (target.parent, *target.parent.parents) if not p.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    return [target.parent, *(p.parent for p in missing)]


def _write(file: BinaryIO, chunks: Iterable[bytes | memoryview]) -> None:
    syncing: Future[None] | None = None
    behind = 0
    try:
        for chunk in chunks:
            behind += file.write(chunk)
            if behind > STRIDE and (syncing is None or syncing.done()):
                syncing, behind = _beside.submit(os.fdatasync, file.fileno()), 0
    finally:
        if syncing is not None:
            wait([syncing])  # the handle must not come to mean another file
    if syncing is not None:
        syncing.result()


def write(target: Path, chunks: Iterable[bytes | memoryview], *, mode: int = 0o600) -> None:
    """Write a file durably and atomically beside whatever stands there.

    Parameters
    ----------
    mode
        Its permissions, whatever the umask is.
    """
    path = draft(target.parent, chunks)
    try:
        path.chmod(mode)
        keep(path, target)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

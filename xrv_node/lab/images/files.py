"""A user's files and folders, read ahead by threads; what cannot be read is said, never raised."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from xrv_node import frontal, reasons
from xrv_node.errors import ImageError
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.prepare import prepare
from xrv_node.radiograph.read import read
from xrv_node.reasons import Reason
from xrv_node.values import FrontalDecision, Verdict

READERS = 4
"""Threads that read and prepare images; the decoders work outside Python's lock."""

Paths = Path | str | Sequence[Path | str]


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read."""

    path: Path
    name: str
    """What its outputs are called: its path below the folder that was given, without suffix; no two alike."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that gave no result."""

    path: Path
    why: Reason
    """Without patient data."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """One image, ready for a network."""

    source: Source
    radiograph: Radiograph
    pixels: NDArray[np.float32]
    """``[size, size]`` in [-1024, 1024]."""
    decision: FrontalDecision | None
    """What the header says of the view; None for a picture, which has no header."""

    @property
    def note(self) -> str:
        """What to mind: that the header does not say that this is a frontal chest radiograph. Or empty."""
        if self.decision is None or self.decision.verdict is Verdict.FRONTAL:
            return ""
        verdict = self.decision.verdict.value.replace("_", " ")
        return f"the networks are for frontal chest radiographs, the header says {verdict}: " + str(
            self.decision.reasons[0]
        )


def listed(paths: Paths) -> tuple[list[Source], list[Unread]]:
    """List files, and those in folders and the folders below them.

    Parameters
    ----------
    paths
        One or several files or folders. In folders, names that start with a dot are left out, and DICOMDIR,
        which is a table of contents (PS3.10 8.6).

    Returns
    -------
    list of Source, list of Unread
        The files in order, each once; and the paths that are not there or cannot be looked into.
    """
    unread: list[Unread] = []
    found: dict[Path, str] = {}
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        if path.is_dir():
            for file in _below(path, unread):
                found.setdefault(file, file.relative_to(path).with_suffix("").as_posix())
        elif path.exists():
            found.setdefault(path, path.stem)
        else:
            unread.append(Unread(path, Reason("no-such-file")))
    taken: set[str] = set()
    return [Source(path, _unique(name, taken)) for path, name in found.items()], unread


def opened(sources: Sequence[Source], size: int, resampler: str, ahead: int) -> Iterator[Opened | Unread]:
    """Read and prepare files.

    Parameters
    ----------
    sources
        As `listed` returns them.
    size
        Side of the square that the network takes, in pixels.
    resampler
        A name of ``resample.RESAMPLERS``.
    ahead
        How many files are read before they are asked for.

    Yields
    ------
    Opened or Unread
        For each file, in order.
    """
    pool = ThreadPoolExecutor(READERS)
    pending: deque[Future[Opened | Unread]] = deque()
    try:
        for source in sources:
            pending.append(pool.submit(_open, source, size, resampler))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _open(source: Source, size: int, resampler: str) -> Opened | Unread:
    try:
        radiograph = read(source.path)
    except ImageError as error:
        return Unread(source.path, reasons.of(error))
    decision = None if radiograph.header is None else frontal.decide(radiograph.header)
    return Opened(source, radiograph, prepare(radiograph, size, resampler), decision)


def _below(folder: Path, unread: list[Unread]) -> Iterator[Path]:
    def not_listed(error: OSError) -> None:
        unread.append(Unread(Path(error.filename), Reason("folder-not-listed", why=reasons.of_system(error))))

    for parent, folders, names in os.walk(folder, onerror=not_listed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(parent, name)
            if not name.startswith(".") and name != "DICOMDIR" and file.is_file():
                yield file


def _unique(name: str, taken: set[str]) -> str:
    plain, number = PurePath(name), 1
    while name in taken:
        number += 1
        name = plain.with_name(f"{plain.name}-{number}").as_posix()
    taken.add(name)
    return name

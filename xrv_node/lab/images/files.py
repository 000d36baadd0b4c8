"""A user's files and folders, read ahead by threads; what cannot be read is said, never raised."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from xrv_node import frontal, reasons
from xrv_node.errors import ImageError
from xrv_node.folders import below
from xrv_node.phantom.recognition import see_that_it_may_be_answered
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.other_files import FIRST, known
from xrv_node.radiograph.prepare import prepare
from xrv_node.radiograph.read import read
from xrv_node.reasons import Reason
from xrv_node.values import FrontalDecision, Verdict

READERS = 4
"""Threads that read and prepare images; the decoders work outside Python's lock."""

_NAMES_OF_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".dcm", ".dicom", ".dic", ".ima"}) | {
    *(".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".nii")
}
"""What is called so and is no image is said to be none."""

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
        """What to mind: that the header does not say that this is a frontal chest radiograph; what its pixels
        were read in spite of. Or empty."""
        said = [str(caution) for caution in self.radiograph.cautions]
        if self.decision is not None and self.decision.verdict not in (Verdict.FRONTAL, Verdict.PHANTOM):
            verdict = self.decision.verdict.value.replace("_", " ")
            why = f"the networks are for frontal chest radiographs, the header says {verdict}: "
            said.insert(0, f"{why}{self.decision.reasons[0]}")
        return " ".join(said)


def listed(paths: Paths, passed_over: list[Path] | None = None) -> tuple[list[Source], list[Unread]]:
    """List files, and those in folders and the folders below them.

    Parameters
    ----------
    paths
        One or several files or folders. Of folders what `folders.below` finds, links followed, but DICOMDIR,
        which is a table of contents (PS3.10 8.6), and files that neither by their names nor by their first
        bytes could be images: tables, texts, archives.
    passed_over
        Is given the latter.

    Returns
    -------
    list of Source, list of Unread
        The files in order, each once; and the paths that are not there or cannot be looked into.
    """
    unread: list[Unread] = []
    found: dict[Path, str] = {}
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        if path.is_dir():
            for name in below(path, lambda place, why: unread.append(Unread(place, why))):
                file = path / name
                if file.name == "DICOMDIR":
                    continue
                if _is_no_image(file):
                    if passed_over is not None:
                        passed_over.append(file)
                else:
                    found.setdefault(file, PurePath(name).with_suffix("").as_posix())
        elif path.exists():
            found.setdefault(path, path.stem)
        else:
            unread.append(Unread(path, Reason("no-such-file")))
    taken: set[str] = set()
    return [Source(path, _unique(name, taken)) for path, name in found.items()], unread


def opened(
    sources: Sequence[Source],
    size: int,
    resampler: str,
    ahead: int,
    max_value: float | None = None,
    *,
    phantoms: bool = False,
) -> Iterator[Opened | Unread]:
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
    max_value
        Of PNG and JPEG pictures, as for ``radiograph.read``.
    phantoms
        Whether the network is one for phantoms, which is shown nothing else.

    Yields
    ------
    Opened or Unread
        For each file, in order.
    """
    pool = ThreadPoolExecutor(READERS)
    pending: deque[Future[Opened | Unread]] = deque()
    try:
        for source in sources:
            pending.append(pool.submit(_open, source, size, resampler, max_value, phantoms))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _open(
    source: Source, size: int, resampler: str, max_value: float | None, phantoms: bool
) -> Opened | Unread:
    try:
        radiograph = read(source.path, max_value)
        if phantoms:
            see_that_it_may_be_answered(radiograph, by_phantom_set=True)
    except ImageError as error:
        return Unread(source.path, reasons.of(error))
    decision = None if radiograph.header is None else frontal.decide(radiograph.header)
    return Opened(source, radiograph, prepare(radiograph, size, resampler), decision)


def _is_no_image(file: Path) -> bool:
    if file.suffix.lower() in _NAMES_OF_IMAGES:
        return False
    try:
        with file.open("rb") as opened_file:
            kind = known(opened_file.read(FIRST))
    except OSError:
        return False  # reading it says why
    return kind is not None and not kind.may_be_image


def _unique(name: str, taken: set[str]) -> str:
    plain, number = PurePath(name), 1
    while name in taken:
        number += 1
        name = plain.with_name(f"{plain.name}-{number}").as_posix()
    taken.add(name)
    return name

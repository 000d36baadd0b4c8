"""Opening the images of a table, also those that stay in a zip archive."""

from __future__ import annotations

import os
import tempfile
import warnings
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from xrv_node.errors import ImageError, XrvNodeWarning
from xrv_node.radiograph.header import MAX_FILE_BYTES
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.read import read
from xrv_node.reasons import Reason

WORKERS = 4
"""Threads that read images; the decoders of PNG and JPEG work outside Python's lock."""

Result = TypeVar("Result")


def open_image(path: Path) -> Radiograph:
    """Read an image of a table.

    Parameters
    ----------
    path
        `Item.image`: DICOM, PNG or JPEG; may lead through a zip archive.

    Raises
    ------
    ImageError
        It is not there or cannot be decoded, for the reasons that ``radiograph.read`` has.
    """
    with unpacked(path) as file:
        return read(file)


_TOLD: set[str] = set()
"""Keys of the cautions that were told of."""


def caution(path: Path, radiograph: Radiograph) -> tuple[str, str] | None:
    """Return what a picture of a dataset was read in spite of: the key of the kind, and a sentence."""
    if radiograph.header is not None or not radiograph.cautions:
        return None
    why = radiograph.cautions[0]
    hint = " (of a dataset: convert its pictures first)" if why.key == "small-part-of-range" else ""
    return why.key, f"{path}, and perhaps others: {why}{hint}"


def tell_once(found: tuple[str, str] | None) -> None:
    """Warn of the first picture with a caution of its kind: those of a dataset mostly are all alike."""
    if found is not None and found[0] not in _TOLD:
        _TOLD.add(found[0])
        warnings.warn(found[1], XrvNodeWarning, stacklevel=2)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Lend a file as one on disk: itself, or a temporary copy of a member of a zip archive.

    Raises
    ------
    ImageError
        It is not there, the archive is damaged, or the member is larger than any image may be.
    """
    archive = next((parent for parent in path.parents if os.path.isfile(parent)), None)
    if archive is None:
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=path.suffix) as copy:
        copy.write(_member(archive, path.relative_to(archive).as_posix()))
        copy.flush()
        yield Path(copy.name)


def _member(archive: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(archive) as opened:
            if opened.getinfo(name).file_size > MAX_FILE_BYTES:
                raise ImageError(Reason("file-too-large", most=MAX_FILE_BYTES >> 20))
            return opened.read(name)
    except KeyError as error:
        raise ImageError(Reason("archive-lacks-file", file=archive.name)) from error
    except ImageError:
        raise
    except Exception as error:  # bytes from outside: an archive is damaged in as many ways as errors exist
        raise ImageError(Reason("archive-unreadable", file=archive.name, why=type(error).__name__)) from error


def for_each(function: Callable[[int], Result], count: int, workers: int = WORKERS) -> Iterator[Result]:
    """Call a function for 0 to ``count - 1`` in threads, some calls ahead of what is asked for.

    Parameters
    ----------
    function
        Called with the number.
    count
        How many calls.
    workers
        Threads, at least 1. At most twice as many results wait to be asked for.

    Yields
    ------
    Result
        In order. What a call raises is raised in its place.
    """
    pool = ThreadPoolExecutor(workers)
    pending: deque[Future[Result]] = deque()
    try:
        for number in range(count):
            pending.append(pool.submit(function, number))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

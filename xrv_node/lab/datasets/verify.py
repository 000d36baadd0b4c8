"""Whether the files of a dataset are all there and whole."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xrv_node.errors import DatasetError, ImageError
from xrv_node.lab.datasets.catalog import find
from xrv_node.lab.datasets.finder import archives
from xrv_node.lab.datasets.images import WORKERS, caution, for_each, open_image, tell_once
from xrv_node.lab.datasets.masks import pathology_masks, semantic_masks
from xrv_node.lab.datasets.table import LabelTable

_ASKED = 50
"""Images whose files are looked for at the start."""

_PACKED = (".zip", ".tar", ".tar.gz", ".tgz")
_NAMED = 4
"""Archives that a sentence names."""

_SIZES = {"tbx11k": ("height", "width"), "mimic-cxr": ("Rows", "Columns")}
"""By dataset: the columns in which its owner says how large the published images are."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One image that was looked at."""

    image: str
    """Path in the table."""
    problem: str
    """A sentence; empty where all is well."""
    stamp: tuple[int, int]
    """Size in bytes and time of change in ns of the file; zeros where there is none."""


def require_images(table: LabelTable) -> None:
    """Look for some images of a dataset before each of them is opened and reported.

    Parameters
    ----------
    table
        As it was read, of one dataset.

    Raises
    ------
    DatasetError
        None is there, or some are missing and an archive was not downloaded to its end.
    """
    images = table.csv["image"]
    there = [_is_there(table, image) for image in images[:: max(1, len(images) // _ASKED)]]
    if all(there):
        return
    packed = archives(table.root, _PACKED)
    for path in packed:
        if path.suffix == ".zip" and not zipfile.is_zipfile(path):
            raise DatasetError(f"{path} cannot be read as a zip archive; get it again")
    if not any(there) and not any(_is_there(table, image) for image in images):
        entry = find(table.name)
        what = f"{entry.title}: none of its images is in {table.root}"
        names = ", ".join(path.name for path in packed[:_NAMED]) + (", ..." if packed[_NAMED:] else "")
        unless = f", unless packed in {names}" if packed else ""
        raise DatasetError(f"{what}{unless}; they are obtained from {entry.home}")


def _is_there(table: LabelTable, image: str) -> bool:
    return _stamp(table.root / image) != (0, 0)


def verify(
    table: LabelTable,
    *,
    ledger: Path | None = None,
    workers: int = WORKERS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Checked]:
    """Look at every image of a table: it is there, decodes, has the size that its owner says, and its masks
    can be drawn.

    Parameters
    ----------
    table
        Any; an image of several rows is looked at once.
    ledger
        A file that gets a line of JSON for each image, so that a check of days can be interrupted: images
        that it calls good are not opened again, unless they have changed since. None: none is kept.
    workers
        Threads that decode.
    progress
        Called with the images done and their number.

    Returns
    -------
    list of Checked
        Those with a problem, in the order of the table.

    Raises
    ------
    DatasetError
        The ledger cannot be read or written.
    """
    rows = np.flatnonzero(~table.csv["image"].duplicated().to_numpy())
    try:
        known = {} if ledger is None else dict(_read(ledger))

        def check(number: int) -> Checked:
            row = int(rows[number])
            image = str(table.csv["image"].iloc[row])
            stamp = _stamp(table[row].image)
            if stamp != (0, 0) and known.get(image) == stamp:
                return Checked(image, "", stamp)
            return Checked(image, _problem(table, row), stamp)

        bad = []
        with ExitStack() as stack:
            file = None if ledger is None else stack.enter_context(ledger.open("a", encoding="utf-8"))
            for number, checked in enumerate(for_each(check, len(rows), workers), 1):
                if checked.problem:
                    bad.append(checked)
                if file is not None and known.get(checked.image) != checked.stamp:
                    line = {"image": checked.image, "problem": checked.problem, "stamp": checked.stamp}
                    file.write(f"{json.dumps(line)}\n")
                    file.flush()
                progress(number, len(rows))
    except OSError as error:
        raise DatasetError(f"{ledger} cannot be kept ({error.strerror}); name another --ledger") from error
    return bad


def _problem(table: LabelTable, row: int) -> str:
    item = table[row]
    try:
        radiograph = open_image(item.image)
        tell_once(caution(item.image, radiograph))
        size = (radiograph.rows, radiograph.columns)
        told = _told(table, row)
        if told is not None and told != size:
            return f"The image has {size[0]} x {size[1]} pixels; its owner says {told[0]} x {told[1]}."
        pathology_masks(table, item, size)
        semantic_masks(table, item, size)
    except (ImageError, DatasetError) as error:
        return str(error)
    return ""


def _told(table: LabelTable, row: int) -> tuple[int, int] | None:
    """Rows and columns as the owner's file says them; None where it says nothing."""
    columns = [name for name in _SIZES.get(table.name, ()) if name in table.csv.columns]
    told = pd.to_numeric(table.csv.iloc[row][columns], errors="coerce").dropna()
    return (int(told.iloc[0]), int(told.iloc[1])) if len(told) == 2 else None


def _stamp(path: Path) -> tuple[int, int]:
    """What changes with a file; of an image in an archive that of the archive."""
    for place in (path, *path.parents):
        try:
            found = place.stat()
        except OSError:
            continue
        return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else (0, 0)
    return 0, 0


def _read(ledger: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Image and stamp of each line that calls it good; a last line may be cut short."""
    if not ledger.exists():
        return
    for line in ledger.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            image, problem, (size, changed) = str(row["image"]), row["problem"], row["stamp"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if problem == "":
            yield image, (size, changed)

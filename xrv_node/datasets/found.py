"""Finding and opening the owner's files below the folder that a user names."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from xrv_node.datasets.catalog import Entry
from xrv_node.errors import DatasetError

PACKED = ("", ".gz", ".zip")
"""Endings that pandas reads through by itself; owners publish label files with any of them."""

_DAMAGE = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, NotImplementedError)
"""What pandas raises on a file that is cut short, of another encoding, or no table (its own are ValueErrors);
NotImplementedError is an archive with a password or of an unknown compression."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of one dataset."""

    path: Path
    entry: Entry

    def find(self, *names: str, packed: Sequence[str] = PACKED) -> Path | None:
        """Return the first of these files that is in the folder or one folder deeper, None if none is."""
        for name in names:
            for ending in packed:
                if (here := self.path / (name + ending)).is_file():
                    return here
                for deeper in sorted(self.path.glob(f"*/{name}{ending}")):
                    if deeper.is_file():
                        return deeper
        return None

    def file(self, *names: str, packed: Sequence[str] = PACKED) -> Path:
        """Return the first of these files that is there.

        Raises
        ------
        DatasetError
            None is; the sentence says where the dataset is obtained.
        """
        if (path := self.find(*names, packed=packed)) is not None:
            return path
        raise DatasetError(
            f"{self.entry.title}: {' or '.join(names)} is not in {self.path}; "
            f"it is obtained from {self.entry.home}"
        )

    def table(self, *names: str, columns: Sequence[str], skip: int = 0) -> pd.DataFrame:
        """Read a comma-separated file that must be there; see `read_table`."""
        return read_table(self.file(*names), columns, skip)

    def prefix(self, reference: str) -> str | None:
        """Return the one of the entry's ``subfolders`` below which a relative path exists, None if none."""
        for place in ("", *self.entry.subfolders):
            if (self.path / place / reference).is_file():
                return place
        return None

    def placed(self, references: pd.Series) -> pd.Series:
        """Make paths of the owner's file relative to the folder.

        Some paths decide for all: looking for each of hundreds of thousands of images would take minutes on
        a network drive. Where none is there, the paths stay as they are: labels count without images too.
        """
        some = references.iloc[[0, len(references) // 2, -1]] if len(references) else references
        place = next((found for one in some if (found := self.prefix(one))), "")
        return f"{place}/" + references if place else references

    def named(self, names: pd.Series, endings: Sequence[str], archives: Sequence[str] = ()) -> pd.Series:
        """Look images up by file name, wherever below the folder they lie.

        Parameters
        ----------
        names
            File names, without those of ``endings`` that are added to them.
        endings
            Tried in this order, e.g. ``(".dcm", ".jpg")``; ``("",)`` for whole names.
        archives
            Zip archives whose members are looked up too, by name.

        Returns
        -------
        Series
            Paths relative to the folder; the bare name and first ending for an image that is not there.
        """
        places = dict(self._files(archives))

        def place(name: str) -> str:
            return next((places[name + end] for end in endings if name + end in places), name + endings[0])

        return names.map(place)

    def _files(self, archives: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Name and path of every file; those unpacked come last and so win over archived ones."""
        for archive in archives:
            if (path := self.find(archive, packed=("",))) is not None:
                relative = path.relative_to(self.path).as_posix()
                for member in members(path):
                    yield member.rpartition("/")[2], f"{relative}/{member}"
        for place, folders, names in os.walk(self.path):
            folders.sort(reverse=True)
            relative = Path(place).relative_to(self.path).as_posix()
            for name in names:
                yield name, name if relative == "." else f"{relative}/{name}"


def members(archive: Path) -> list[str]:
    """Return the names of the files in a zip archive.

    Raises
    ------
    DatasetError
        It is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            return [name for name in opened.namelist() if not name.endswith("/")]
    except _DAMAGE as error:
        raise DatasetError(f"{archive} cannot be read as a zip archive; get it again") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    DatasetError
        It is damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read as JSON; get it again") from error


def read_table(path: Path, columns: Sequence[str], skip: int = 0) -> pd.DataFrame:
    """Read a comma-separated file, packed or not, with the blanks around its headings removed.

    Parameters
    ----------
    path
        The file.
    columns
        Headings that it must have.
    skip
        Lines before the headings.

    Raises
    ------
    DatasetError
        It is damaged, no table, or lacks a heading.
    """
    try:
        frame = pd.read_csv(path, low_memory=False, skiprows=skip)
    except _DAMAGE as error:
        raise DatasetError(f"{path} cannot be read as a table; get it again") from error
    frame = frame.rename(columns=lambda heading: str(heading).strip())
    if missing := [heading for heading in columns if heading not in frame.columns]:
        raise DatasetError(
            f"{path} has no column {', '.join(missing)}; it is another file than its name says"
        )
    return frame

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

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.catalog import DatasetEntry

PACKED = ("", ".gz", ".zip")
"""Endings that pandas reads through by itself; owners publish label files with any of them."""

_DAMAGE = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, NotImplementedError)
"""What pandas raises on a file that is cut short, of another encoding, or no table (its own are ValueErrors);
NotImplementedError is an archive with a password or of an unknown compression."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of one dataset."""

    path: Path
    entry: DatasetEntry

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

    def table(self, *names: str, columns: Sequence[str], skip: int = 0, others: bool = True) -> pd.DataFrame:
        """Read a comma-separated file that must be there; see `read_table`."""
        return read_table(self.file(*names), columns, skip, others)

    def placed(self, references: pd.Series, *others: pd.Series) -> pd.Series:
        """Make paths of the owner's file relative to the folder, below one of the entry's ``subfolders``.

        Some paths decide for all: looking for each of hundreds of thousands of images would take minutes on
        a network drive. Where none is there, the paths stay as they are: labels count without images too.

        Parameters
        ----------
        references
            The paths.
        others
            Paths of the same images in other formats or folders, tried in this order where the first are not
            there.
        """
        for paths in (references, *others):
            some = paths.iloc[[0, len(paths) // 2, -1]] if len(paths) else paths
            for place in ("", *self.entry.subfolders):
                if any((self.path / place / one).is_file() for one in some):
                    return f"{place}/" + paths if place else paths
        return references

    def named(self, names: pd.Series, endings: Sequence[str], archives: Sequence[str] = ()) -> pd.Series:
        """Look images up by file name, wherever below the folder they lie.

        Parameters
        ----------
        names
            File names, without those of ``endings`` that are added to them.
        endings
            Tried in this order, e.g. ``(".dcm", ".jpg")``; ``("",)`` for whole names.
        archives
            Zip archives, names or patterns, whose members count too where not all images are unpacked.

        Returns
        -------
        Series
            Paths relative to the folder; the bare name and first ending for an image that is not there.
        """
        places = dict(self._files())
        if archives and not all(any(name + end in places for end in endings) for name in names):
            places = dict(self._packed(archives)) | places

        def place(name: str) -> str:
            return next((places[name + end] for end in endings if name + end in places), name + endings[0])

        return names.map(place)

    def _packed(self, archives: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Name and path of every member of the archives; one that is cut short has none yet."""
        for path in sorted(
            {one for name in archives for deep in ("", "*/") for one in self.path.glob(deep + name)}
        ):
            relative = path.relative_to(self.path).as_posix()
            for member in members(path) if zipfile.is_zipfile(path) else ():
                yield member.rpartition("/")[2], f"{relative}/{member}"

    def _files(self) -> Iterator[tuple[str, str]]:
        """Name and path of every file."""
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


def read_json_lines(path: Path) -> list[Any]:
    """Read a file of a JSON document in each line.

    Raises
    ------
    DatasetError
        It is damaged.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read as lines of JSON; get it again") from error


def read_table(path: Path, columns: Sequence[str], skip: int = 0, others: bool = True) -> pd.DataFrame:
    """Read a comma-separated file, packed or not, with the blanks around its headings removed.

    Parameters
    ----------
    path
        The file.
    columns
        Headings that it must have.
    skip
        Lines before the headings.
    others
        Whether columns under other headings are read too.

    Raises
    ------
    DatasetError
        It is damaged, no table, or lacks a heading.
    """
    wanted = None if others else lambda heading: str(heading).strip() in columns
    try:
        frame = pd.read_csv(path, low_memory=False, skiprows=skip, usecols=wanted)
    except _DAMAGE as error:
        raise DatasetError(f"{path} cannot be read as a table; get it again") from error
    frame = frame.rename(columns=lambda heading: str(heading).strip())
    if missing := [heading for heading in columns if heading not in frame.columns]:
        raise DatasetError(
            f"{path} has no column {', '.join(missing)}; it is another file than its name says"
        )
    return frame

"""Finding and opening the owner's files below the folder that a user names."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from xrv_node.errors import DatasetError
from xrv_node.folders import below
from xrv_node.lab.datasets import finder
from xrv_node.lab.datasets.catalog import DatasetEntry
from xrv_node.lab.datasets.columns import Column, Rule
from xrv_node.lab.datasets.csv_table import read_table

_ASKED = 1000
"""Images whose paths are tried at the start."""

PACKED = ("", ".gz", ".zip")
"""Endings that pandas reads through by itself; owners publish label files with any of them."""


@dataclass(frozen=True)
class Folder:
    """The folder of one dataset."""

    path: Path
    entry: DatasetEntry
    notes: list[str] = field(default_factory=list)
    """Sentences on what was found in it, for `LabelTable.notes`; whoever reads a file may add one."""

    def find(self, *names: str, packed: Sequence[str] = PACKED) -> Path | None:
        """Return the first of these files that is in the folder or up to two deeper, None if none is.

        Capitals do not count where no file is written alike. Where several folders have the file, the folder
        itself comes first, then the others by name, and a note says which was read.
        """
        for name in (name + ending for name in names for ending in packed):
            there = self._label_files(name)
            if len(there) > 1:
                self.notes.append(f"{there[0]} is read, not {', '.join(there[1:])}")
            if there:
                return self.path / there[0]
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
        books = [Path(name).with_suffix(end).name for name in names for end in (".xlsx", ".xls", ".ods")]
        if (book := self.find(*books, packed=("",))) is not None:
            raise DatasetError(f"{book} is a workbook of a spreadsheet; save its table as CSV beside it")
        inside = finder.Index(self.members)
        there = [one for name in names for one in inside.ending_in(finder.key(name).split("/"))]
        unless = f" but packed, as {there[0]}: unpack it there" if there else ""
        raise DatasetError(
            f"{self.entry.title}: {' or '.join(names)} is not in {self.path}{unless}; "
            f"it is obtained from {self.entry.home}"
        )

    def table(
        self,
        *names: str,
        columns: Sequence[Column],
        rules: Sequence[Rule] = (),
        key: str | tuple[str, ...] = "",
        others: bool = True,
        as_is: bool = False,
    ) -> pd.DataFrame:
        """Read a table that must be there; see `read_table`."""
        path = self.file(*names)
        frame = read_table(path, columns, rules, key=key, others=others, as_is=as_is, notes=self.notes)
        if frame.empty:
            raise DatasetError(f"{path} has no rows below its headings; get it again from {self.entry.home}")
        return frame

    def images(
        self,
        references: pd.Series,
        *others: pd.Series,
        endings: Sequence[str] = ("",),
        least: int = 1,
        notes: bool = True,
    ) -> pd.Series:
        """Find the images of a label file below the folder, or in its zip archives, by `finder.look`.

        Where the owner writes paths, and some of them from the first to the last lie where the owner has
        them, all are taken to: looking for hundreds of thousands would take minutes on a network drive.

        Parameters
        ----------
        references
            Names or paths, as the owner writes them.
        others
            Other names or paths of the same images, for those that are not there under the first.
        endings, least
            As `finder.Wanted` has them.
        notes
            Whether the table is to say what was not found and between what was chosen.

        Returns
        -------
        Series
            Paths relative to the folder; of an image that is not there its reference, with the first ending.
        """
        written = [_cleaned(one) for one in (references, *others)]
        for paths in written:
            some = paths.iloc[:: max(1, len(paths) // _ASKED)]
            for place in ("", *self.entry.subfolders) if some.str.contains("/", regex=False).any() else ():
                if all((self.path / place / one).is_file() for one in some):
                    return f"{place}/" + paths if place else paths
        names = list(zip(*written, strict=True))
        wanted = finder.Wanted(list(dict.fromkeys(names)), endings, least)
        images, masks = self._unpacked
        found = finder.look(wanted, images)
        if missing := [one for one in wanted.names if one not in found.paths]:
            packed, _ = self._packed
            found.paths |= finder.look(finder.Wanted(missing, endings, least), packed).paths
        if notes:
            self.notes.extend(finder.notes(wanted, found, masks, self.path))
        at = [found.paths.get(one, one[0] + endings[0]) for one in names]
        return pd.Series(at, index=references.index, dtype=object)

    def masks(
        self, references: pd.Series, *, endings: Sequence[str] = ("",), least: int = 1
    ) -> list[str | None]:
        """Find masks in folders of masks, as `images` finds images; None for each that is not there."""
        names = [(one,) for one in _cleaned(references)]
        wanted = finder.Wanted(list(dict.fromkeys(names)), endings, least)
        _, packed = self._packed
        _, files = self._unpacked
        found = finder.look(wanted, packed).paths | finder.look(wanted, files).paths
        return [found.get(one) for one in names]

    @cached_property
    def files(self) -> list[str]:
        """Every file below the folder, relative to it."""
        trouble: list[str] = []
        found = list(below(self.path, lambda path, why: trouble.append(f"{path}: {why}")))
        self.notes.extend(trouble)
        return found

    @cached_property
    def members(self) -> list[str]:
        """Every file in the folder's zip archives, as if those were folders."""
        return list(finder.packed(self.path))

    @cached_property
    def _unpacked(self) -> tuple[finder.Index, finder.Index]:
        return finder.split(self.files)

    @cached_property
    def _packed(self) -> tuple[finder.Index, finder.Index]:
        return finder.split(self.members)

    def _label_files(self, name: str) -> list[str]:
        """Every label file of this name, the one to read first."""
        deep = name.count("/") + 3
        if deep not in self._listed:
            self._listed[deep] = finder.Index(
                path
                for level in range(1, deep + 1)
                for path in glob.iglob("/".join("*" * level), root_dir=self.path)
                if not path.casefold().endswith(finder.READABLE)
            )
        alike = self._listed[deep].ending_in(finder.key(name).split("/"))
        return sorted(
            # Kaggle's archives make a folder of the file's name
            (path for path in alike if (self.path / path).is_file()),
            key=lambda path: (path.count("/"), not f"/{path}".endswith(f"/{name}"), path),
        )

    @cached_property
    def _listed(self) -> dict[int, finder.Index]:
        return {}


def _cleaned(paths: pd.Series) -> pd.Series:
    """Paths as they are written here: Windows has backslashes, and no path of these datasets has one."""
    return paths.astype(str).str.strip().str.replace("\\", "/", regex=False).str.removeprefix("./")

"""Which public datasets can be read, from ``dicom_config/datasets.toml``. Imports nothing heavy."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from xrv_node.errors import DatasetError


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One dataset."""

    name: str
    """For the command line; its reader is ``readers/<name>.py``, with ``_`` for ``-``."""
    title: str
    xrv_class: str
    """torchxrayvision's class for the same data."""
    terms: str
    """How its files are got and under which terms, in short; its owner's page has them in full."""
    home: str
    """Where its owner gives it out."""
    files: tuple[str, ...]
    """What its folder holds, as published."""
    rows: int
    """Images that have labels, over all views and parts; 0 where nobody published a number."""
    aliases: tuple[str, ...] = ()
    """Other names that papers, owners and torchxrayvision have for it."""
    pathologies: tuple[str, ...] = ()
    """Names of the label columns, in torchxrayvision's order; empty if they come from the owner's file."""
    parts: tuple[str, ...] = ("all",)
    """The label files to choose from, the usual one first."""
    views: tuple[str, ...] = ("*",)
    """torchxrayvision's choice, kept if none is made; ``*`` is all."""
    unique_patients: bool = False
    """Whether torchxrayvision keeps one image a patient if nothing else is said."""
    patients: str = ""
    """The dataset whose patients these are too; empty: its own."""
    patients_published: bool = True
    """Whether the owner's files tell which images are of one patient."""
    views_in: str = ""
    """What else says the views, where the label files do not; empty: they do, or nothing does."""
    subfolders: tuple[str, ...] = ()
    """Where below the folder the paths in the owner's file may begin."""


@dataclass(frozen=True, slots=True)
class Options:
    """Which rows of a dataset to read, and how."""

    part: str
    views: tuple[str, ...]
    unique_patients: bool
    xrv_compatible: bool = False
    views_asked: bool = True
    """Whether a person named the views; else they are the entry's."""


def _entry(row: dict[str, Any]) -> DatasetEntry:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return DatasetEntry(**values)


@cache
def entries() -> tuple[DatasetEntry, ...]:
    """Every dataset, in the order of the file."""
    text = files("dicom_config").joinpath("datasets.toml").read_text(encoding="utf-8")
    return tuple(_entry(row) for row in tomllib.loads(text)["dataset"])


def find(name: str) -> DatasetEntry:
    """Look a dataset up by its name, its title, torchxrayvision's class or one of its other names.

    Case, blanks, hyphens and underscores do not count.

    Raises
    ------
    DatasetError
        There is none; the sentence names those that are called much like it, and lists all.
    """
    names = _names()
    if entry := names.get(_letters(name)):
        return entry
    near = get_close_matches(_letters(name), names, n=3, cutoff=0.7)
    near += [known for known in names if len(_letters(name)) > 2 and _letters(name) in known]
    meant = list(dict.fromkeys(names[one].name for one in near))[:3]
    known = ", ".join(entry.name for entry in entries())
    guess = f"; did you mean {' or '.join(meant)}?" if meant else ";"
    raise DatasetError(f"there is no dataset {name[:60]!r}{guess} known are {known}")


@cache
def _names() -> dict[str, DatasetEntry]:
    """The datasets by all their names, as `_letters` has them."""
    return {
        _letters(name): entry
        for entry in entries()
        for name in (
            *entry.aliases,
            entry.title,
            entry.xrv_class,
            entry.xrv_class.removesuffix("_Dataset"),
            entry.name,
        )
    }


def _letters(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def without_patients(names: Iterable[str]) -> tuple[str, ...]:
    """Return the titles of those datasets, of the ones named, whose owners publish no patients."""
    wanted = set(names)
    return tuple(entry.title for entry in entries() if entry.name in wanted and not entry.patients_published)

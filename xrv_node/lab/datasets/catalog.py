"""Which public datasets can be read, from ``dicom_config/datasets.toml``. Imports nothing heavy."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
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
    subfolders: tuple[str, ...] = ()
    """Where below the folder the paths in the owner's file may begin."""


@dataclass(frozen=True, slots=True)
class Options:
    """Which rows of a dataset to read, and how."""

    part: str
    views: tuple[str, ...]
    unique_patients: bool
    xrv_compatible: bool = False


def _entry(row: dict[str, Any]) -> DatasetEntry:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return DatasetEntry(**values)


@cache
def entries() -> tuple[DatasetEntry, ...]:
    """Every dataset, in the order of the file."""
    text = files("dicom_config").joinpath("datasets.toml").read_text(encoding="utf-8")
    return tuple(_entry(row) for row in tomllib.loads(text)["dataset"])


def find(name: str) -> DatasetEntry:
    """Look a dataset up by its name or torchxrayvision's class, regardless of case.

    Raises
    ------
    DatasetError
        There is none; the sentence lists those that there are.
    """
    for entry in entries():
        if name.lower() in (entry.name.lower(), entry.xrv_class.lower()):
            return entry
    known = ", ".join(entry.name for entry in entries())
    raise DatasetError(f"there is no dataset {name!r}; known are {known}")

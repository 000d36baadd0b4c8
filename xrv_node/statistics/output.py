"""The statistics as a page (``templates/statistics.html``) and as CSV files, a table each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from xrv_node import durable
from xrv_node.errors import ConfigError
from xrv_node.statistics.rows import TABLES, TITLES, Statistics
from xrv_node.templates import render
from xrv_node.visible import cells


def table(found: Statistics, key: str) -> Sequence[Mapping[str, Any]]:
    """The rows of one of ``rows.TABLES``."""
    rows: Sequence[Mapping[str, Any]] = dict(found)[key]  # type: ignore[assignment]
    return rows


def write_page(found: Statistics, path: Path) -> None:
    """Write one page for people.

    Raises
    ------
    ConfigError
        It cannot be written.
    """
    parts = [
        {"title": TITLES[key], "columns": _columns(key), "rows": _rows(found, key)}
        for key in TABLES
        if table(found, key)
    ]
    text = render(
        "statistics.html",
        warning="",
        node=found["node"],
        since=f"{found['since']:%Y-%m-%d}",
        until=f"{found['until']:%Y-%m-%d}",
        studies=found["studies"],
        images=found["images"],
        parts=parts,
        missing=found["labels_without_study"],
    )
    _write(path, text)


def write_csv(found: Statistics, folder: Path) -> None:
    """Write ``days.csv``, ``stations.csv`` ..., those without rows too.

    Raises
    ------
    ConfigError
        They cannot be written.
    """
    for key in TABLES:
        made = io.StringIO(newline="")
        csv.writer(made).writerows(map(cells, [_columns(key), *_rows(found, key)]))
        _write(folder / f"{key}.csv", made.getvalue())


def _columns(key: str) -> list[str]:
    return list(get_type_hints(TABLES[key]))


def _rows(found: Statistics, key: str) -> list[list[Any]]:
    return [["" if row[name] is None else row[name] for name in _columns(key)] for row in table(found, key)]


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, [text.encode()])
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror})") from error

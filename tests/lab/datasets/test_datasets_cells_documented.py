"""The table in docs/datasets.md of what a cell may hold is what the readers declare."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path

from xrv_node.lab.datasets.catalog import entries
from xrv_node.lab.datasets.columns import Column

DOCS = Path(__file__).parents[3] / "docs/datasets.md"
HEAD = "| dataset | file | columns | may hold | blank |\n|---|---|---|---|---|\n"
NO_TABLES = {"nlm-tb"}


def lines() -> Iterator[str]:
    """The table as it must be in the docs, a line for the columns of a file that may hold the same."""
    for entry in entries():
        reader = import_module(f"xrv_node.lab.datasets.readers.{entry.name.replace('-', '_')}")
        for file, columns in getattr(reader, "TABLES", {}).items():
            for (allowed, blank), alike in groupby(columns, _may):
                headings = ", ".join(f"`{column.heading}`" for column in alike)
                yield f"| {entry.name} | {file} | {headings} | {allowed} | {blank} |\n"


def _may(column: Column) -> tuple[str, str]:
    return column.allowed().replace("|", "\\|"), column.blank or "refused"


def test_the_docs_say_what_every_column_may_hold() -> None:
    assert HEAD + "".join(lines()) in DOCS.read_text(encoding="utf-8")


def test_every_reader_of_tables_declares_them() -> None:
    for entry in entries():
        reader = import_module(f"xrv_node.lab.datasets.readers.{entry.name.replace('-', '_')}")
        assert hasattr(reader, "TABLES") is (entry.name not in NO_TABLES)

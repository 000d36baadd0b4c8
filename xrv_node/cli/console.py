"""What the commands share: options, tables for people, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xrv_node.visible import visible

if TYPE_CHECKING:
    from xrv_node.db.store import Store

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration.", show_default="$XRV_NODE_CONFIG, then ./node.toml"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for programs.")]


_NOT_ESCAPED = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls of terminals and of the direction of text, and bytes that are no text: `json` lets them pass."""


@contextmanager
def opened(config: Path | None) -> Iterator[Store]:
    """The configured node's database, for a command; what it changes is on record with who ran it."""
    from xrv_node import settings
    from xrv_node.audit import command_user
    from xrv_node.db import trail
    from xrv_node.db.store import Store

    store = Store(settings.load(config).database_url)
    try:
        store.require_current()
        with trail.asked_by(command_user.operator()):
            yield store
    finally:
        store.close()


def print_json(value: Any) -> None:
    """Print one JSON document."""
    written = json.dumps(value, indent=2, ensure_ascii=False, default=_shown)
    print(_NOT_ESCAPED.sub(lambda c: f"\\u{ord(c[0]):04x}", written))


def _shown(value: Any) -> Any:
    from xrv_node.reasons import Reason, explained

    return explained(value) if isinstance(value, Reason) else str(value)


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows under a heading; an empty table says so."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")  # a UID that is cut off cannot be copied
    for row in rows:
        table.add_row(*(Text(text(row.get(c))) for c in columns))  # markup in it is shown, not obeyed
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=1000)
    console.print(table if table.row_count else "none")


def say(line: object, **options: Any) -> None:
    """Print a line that may hold what came from outside."""
    print(visible(str(line)), **options)


def text(value: Any) -> str:
    """A value as a table cell."""
    return visible(_text(value))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return " ".join(f"{k}:{text(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(text(v) for v in value)
    if hasattr(value, "isoformat"):
        return str(value.strftime("%Y-%m-%d %H:%M:%S"))
    return str(value)


def print_fields(row: Mapping[str, Any], indent: int = 0) -> None:
    """Print one thing, a field a line, lists of things below one another."""
    pad = " " * indent
    for key, value in row.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            print(f"{pad}{key}:")
            for item in value:
                print_fields(item, indent + 2)
                print()
        else:
            print(f"{pad}{key}: {text(value)}")

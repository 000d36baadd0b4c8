"""What the commands share: options, and all that prints.

No other module of the command line writes to a terminal, so that nothing that came from outside reaches one
as anything but text: no markup, no escape sequence, no end of a line.
"""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar

import typer

from xrv_node import documents
from xrv_node.documents import words as text
from xrv_node.errors import ConfigError, XrvNodeError
from xrv_node.visible import cells, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

    from xrv_node.db.rows import Checked
    from xrv_node.db.store import Store
    from xrv_node.models.download import Progress as Download

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration.", show_default="$XRV_NODE_CONFIG, then ./node.toml"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for programs.")]

MINUTE = 60

T = TypeVar("T")


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


def say(*lines: object) -> None:
    """Print lines that may hold what came from outside, to standard output at once."""
    _write(lines, sys.stdout)


def tell(*lines: object) -> None:
    """Print lines beside the output, to standard error."""
    _write(lines, sys.stderr)


def complain(error: object) -> None:
    """Print what is wrong, to standard error: a line, or those of an error."""
    lines = error.lines if isinstance(error, XrvNodeError) else (error,)
    tell(f"error: {lines[0]}", *lines[1:])


def ask_secret(words: str, file: Path | None) -> str:
    """A secret: the first line of a file; else of a pipe; else asked for twice, and not shown.

    Raises
    ------
    ConfigError
        When the file cannot be read.
    """
    if file is None and sys.stdin.isatty():
        return str(typer.prompt(words, hide_input=True, confirmation_prompt=True, err=True))
    try:
        whole = sys.stdin.readline() if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(f"{file or 'standard input'}: cannot be read ({why})") from error
    return whole.partition("\n")[0].removesuffix("\r")


def terminal_width() -> int | None:
    """Columns of the terminal that reads the output; None where that is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _write(lines: Iterable[object], stream: TextIO) -> None:
    for line in lines:
        print(visible(str(line)), file=stream, flush=True)


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print the JSON document of a command, as ``docs/json.md`` describes it; of a list the ``items``."""
    print(documents.dumps(documents.document(value), indent=2))


def print_json_line(value: Mapping[str, Any]) -> None:
    """Print one of many things, each on a line of its own."""
    print(documents.dumps(value))


def print_document(written: str) -> None:
    """Print what is JSON already."""
    print(documents.escaped(written))


def print_csv(rows: Iterable[Iterable[object]]) -> None:
    """Print a table for a spreadsheet, its heading first."""
    csv.writer(sys.stdout).writerows(map(cells, rows))


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows under a heading; an empty table says so."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(Text(column), overflow="fold")  # a UID that is cut off cannot be copied
    for row in rows:
        table.add_row(*(Text(text(row.get(c))) for c in columns))  # markup in it is shown, not obeyed
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=1000)
    console.print(table if table.row_count else "none")


def print_checked(rows: Sequence[Checked], *, as_json: bool) -> None:
    """Print what was tried, and end the command: with 1 when one of it failed."""
    if as_json:
        print_json(rows)
    elif not rows:
        say("none")
    else:
        for row in rows:
            say(
                f"{row['name']}: {'good' if row['good'] else 'FAILED'}",
                *(f"  {line}" for line in row["says"]),
            )
    raise typer.Exit(0 if all(row["good"] for row in rows) else 1)


def print_fields(row: Mapping[str, Any], indent: int = 0) -> None:
    """Print one thing, a field a line, lists of things below one another."""
    pad = " " * indent
    for key, value in row.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            say(f"{pad}{key}:")
            for item in value:
                print_fields(item, indent + 2)
                say("")
        else:
            say(f"{pad}{key}: {text(value)}")


def in_zone(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event's row for people: its time in this machine's zone."""
    return {**row, "at": datetime.fromisoformat(row["at"])}


@contextmanager
def status_line(words: str) -> Iterator[Callable[[str], None]]:
    """A line on standard error that says what is done at present."""
    from rich.text import Text

    with _aside().status(Text(visible(words))) as status:
        yield lambda now: status.update(Text(visible(now)))


@contextmanager
def progress_bar(words: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error once the work has taken a second; a line a minute where that is no terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    bar = _bar(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True)
    bar.disable = not bar.console.is_terminal
    task, began, told, first = bar.add_task(visible(words)), monotonic(), monotonic(), None

    def show(done: int, total: int) -> None:
        nonlocal told, first
        bar.update(task, completed=done, total=total)
        now, first = monotonic(), done if first is None else first
        if now - began > 1:
            bar.start()
        if bar.disable and now - told > MINUTE and done > first:
            told = now
            left = (now - began) / (done - first) * (total - done) / MINUTE
            tell(f"{words}: {done} of {total}, about {left:.0f} minutes left")

    try:
        yield show
    finally:
        bar.stop()


def watched(items: Iterable[T], total: int, words: str) -> Iterator[T]:
    """Hand items on, and show on standard error how many are done."""
    with progress_bar(words) as show:
        for done, item in enumerate(items, 1):
            yield item
            show(done, total)


@contextmanager
def download_bar(words: str, size: int | None) -> Iterator[Download]:
    """A bar on standard error, from the first byte on."""
    from rich.progress import BarColumn, DownloadColumn, TransferSpeedColumn

    bar = _bar(BarColumn(), DownloadColumn(), TransferSpeedColumn())
    task = bar.add_task(visible(words), total=size)

    def show(received: int, total: int | None) -> None:
        bar.start()
        bar.update(task, completed=received, total=total)

    try:
        yield show
    finally:
        bar.stop()


def _bar(*columns: ProgressColumn, transient: bool = False) -> Progress:
    from rich.progress import Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False), *columns, console=_aside(), transient=transient
    )


def _aside() -> Console:
    from rich.console import Console

    return Console(stderr=True)

"""Markup, escape sequences and line ends of strangers: in every table, line and bar of the command line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import rich.console
import typer
from in_process import told
from made import incoming, radiograph
from rich.text import Text
from sqlalchemy import text
from test_cli_visible import CONTROLS

import xrv_node.cli
from xrv_node import doctor
from xrv_node.cli import console
from xrv_node.db import progress, queue, trail
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.reasons import as_is
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool

HOSTILE = "[/b][evil]\x1b[2J\x9b1m\r\nFORGED\u2028FORGED"
SHOWN = r"[/b][evil]\x1b[2J\x9b1m\r\nFORGED\u2028FORGED"
STUDY = "1.2.3.1"
STRANGERS_TEXT = {
    "instance": ("calling_ae", "view", "modality"),
    "delivery": ("destination", "status"),
    "job": ("owner",),
}
"""Columns that peers or the site fill in; they are overwritten for the test."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node in a folder whose name is markup, whose every stranger sent nothing else."""
    folder = tmp_path_factory.mktemp("site") / "[evil]\x1b[2J\n[b]"
    folder.mkdir()
    file = folder / "node.toml"
    file.write_text(
        f'[node]\nname = {_toml(HOSTILE)}\n[[destinations]]\nname = "out"\nkind = "folder"\npath = {_toml(str(folder / "out"))}\n'
        '[[destinations]]\nname = "gone"\nkind = "dimse"\nae_title = "[/b]"\nhost = "127.0.0.1"\nport = 1\n'
    )
    store = Store(f"sqlite:///{folder / 'data' / 'xrv-node.sqlite'}")
    store.migrate()
    spool = Spool(folder / "data")
    intake.accept(store, spool, FrontalSection(), incoming(radiograph()))
    (claim,) = queue.claim(store, "analyse", owner="t")
    with store.begin() as db:
        progress.failed(db, claim, as_is(HOSTILE), final=True)
        trail.record(
            db,
            "association.refused",
            study=STUDY,
            calling_ae=HOSTILE,
            address="192.0.2.1",
            why=as_is(HOSTILE),
        )
        for table, columns in STRANGERS_TEXT.items():
            for column in columns:
                db.execute(text(f"UPDATE {table} SET {column} = :hostile"), {"hostile": HOSTILE})
    store.close()
    return file


def _toml(value: str) -> str:
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" for c in value) + '"'


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("audit list", SHOWN),
        (f"audit show --study {STUDY}", r"[evil]"),
        ("audit export --format csv", ""),
        ("audit export --format jsonl", ""),
        ("audit export --format atna", ""),
        ("audit list --json", ""),
        ("audit verify", ""),
        ("jobs list", SHOWN),
        ("jobs show 1", SHOWN),
        ("jobs retry 7", ""),
        ("studies list", STUDY),
        (f"studies show {STUDY}", SHOWN),
        (f"studies purge {STUDY} --dry-run", STUDY),
        (f"studies reprocess {STUDY} --no-wait", STUDY),
        ("status", SHOWN),
        ("destinations list", "[evil]"),
        ("destinations check", "[/b]"),
        ("models list", "densenet"),
        ("models verify", ""),
        ("doctor", "[evil]"),
        ("config check", "[evil]"),
    ],
)
def test_no_command_obeys_a_stranger(
    site: Path, command: str, shows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slow in ("decoders", "devices"):
        monkeypatch.delitem(doctor.CHECKS, slow)
    said = told(*command.split(), "--config", site, codes=(0, 1, 2))
    assert not CONTROLS.search(said.replace("\r\n", "\n") if "csv" in command else said)
    assert not any(line.startswith("FORGED") for line in said.splitlines())
    assert shows in said


@pytest.mark.parametrize(
    "arguments",
    [
        [HOSTILE],
        ["jobs", HOSTILE],
        ["jobs", "show", HOSTILE],
        ["jobs", "list", f"--{HOSTILE}"],
        ["serve", "--only", HOSTILE],
        ["studies", "reprocess", "--all", "--since", HOSTILE],
        ["studies", "show", HOSTILE],
        ["status", "--config", HOSTILE],
        ["send", HOSTILE],
        ["send", "--to", HOSTILE, "x"],
        ["datasets", "list", HOSTILE],
        ["models", "verify", "--config", HOSTILE],
        ["classify", HOSTILE, "--weights", HOSTILE],
        ["acceptance", "--kind", HOSTILE],
        ["export", HOSTILE, "--deidentify", "--studies", HOSTILE],
        ["export", "out", "--deidentify", "--finding", HOSTILE],
    ],
)
def test_what_is_typed_wrong_is_repeated_as_text_in_one_line(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (line,) = told(*arguments, codes=(1, 2)).splitlines()
    assert line.startswith("error: ")
    assert not CONTROLS.search(line)


def test_bars_and_lines_of_status_show_markup_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    monkeypatch.setattr(
        console,
        "_aside",
        lambda: rich.console.Console(file=stream, force_terminal=True, color_system=None, width=200),
    )
    with console.progress_bar(HOSTILE) as show:
        show(1, 2)
    with console.download_bar(HOSTILE, 10) as show_bytes:
        show_bytes(5, 10)
    with console.status_line(HOSTILE) as now:
        now(HOSTILE)
    assert SHOWN in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()
    assert "\nFORGED" not in stream.getvalue()


def test_an_error_of_several_lines_keeps_them_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    console.complain(ConfigError(f"node.toml: {HOSTILE}", "node.toml: the second"))
    assert capsys.readouterr().err.splitlines() == [f"error: node.toml: {SHOWN}", "node.toml: the second"]


def test_only_one_module_prints() -> None:
    for path in Path(xrv_node.cli.__file__).parent.glob("*.py"):
        if path.name != "console.py":
            assert not list(_printing(ast.parse(path.read_text()))), path.name


def _printing(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield "print"
            case (
                ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr")
                | ast.Attribute(value=ast.Name(id="typer"), attr="echo" | "secho")
            ):
                yield node.attr
            case ast.Import(names=names) if any(n.name in ("rich", "csv") for n in names):
                yield "import"
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] == "rich":
                yield module


def test_help_is_shown_as_it_is_written() -> None:
    """Help texts pass through the markup that the library reads in them: none of ours is any."""
    for name, command in commands():
        for words in (command.help, *(getattr(one, "help", None) for one in command.params)):
            assert Text.from_markup(words or "").plain == (words or ""), name


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every command with its name."""
    root = typer.main.get_command(xrv_node.cli.app)
    yield from _below("xrv-node", root)


def _below(name: str, command: typer.core.TyperCommand) -> Iterator[tuple[str, typer.core.TyperCommand]]:
    yield name, command
    for key, one in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {key}", one)

"""What README and docs show is what runs: every block of Python, and every command as far as it can.

Blocks of Python run as they are printed, in a folder with what `surroundings` makes, `/data` being in it. Commands are
given to the real parser of their options; those of `RUN` run too, on the same things."""

from __future__ import annotations

import re
import shlex
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import small_networks
import typer
from lab.datasets import small_folders
from made import radiograph
from typer.core import TyperGroup

from xrv_node import cli, models
from xrv_node.lab.images import batches

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^|\n)\n((?: {4}[^\n]*\n|\n(?= {4}))+)")
IN_TEXT = re.compile(r"`(xrv-node [^`]+)`")
BEGINS_PYTHON = re.compile(r"(from [\w.]+ )?import [\w.]+")
COMMAND = re.compile(r"^(?:\.venv/bin/)?xrv-node ", re.MULTILINE)

USAGE = typer.BadParameter.__base__
"""What the parser raises."""

MEANT = {
    "PATHS": "folder",
    "DIR": "out",
    "FOLDER": "data/nih",
    "NAME": "nih",
    "FILES": "radiograph.dcm",
    "FILE": "radiograph.dcm",
    "FILE_OR_FOLDER": "folder",
}
"""What stands for what a user fills in."""
RUN = (
    "classify PATHS",
    "segment PATHS",
    "explain PATHS",
    "embed PATHS",
    "reconstruct PATHS",
    "init",
    "models list",
    "datasets list",
    "datasets stats nih",
    "datasets stats NAME",
    "datasets verify nih",
    "datasets sample nih",
    "datasets to-dicom nih",
)
"""The commands that need neither a node, released weights nor hours."""
NO_COMMANDS = {"xrv-node validation"}
"""Names of things."""


def blocks(document: Path) -> Iterator[tuple[str, str]]:
    """Yield the language and the text of each block; of an indented one, by what it looks like."""
    text = document.read_text(encoding="utf-8")
    for found in FENCED.finditer(text):
        yield found[1], found[2]
    for found in INDENTED.finditer(FENCED.sub("\n", text)):
        block = textwrap.dedent(found[1])
        yield "python" if BEGINS_PYTHON.match(block) else "", block


def commands(document: Path) -> Iterator[str]:
    """Yield each command, without what is behind it; `a | b` is two."""
    lines = [line for _, block in blocks(document) for line in block.splitlines() if COMMAND.match(line)]
    text = FENCED.sub("\n", document.read_text(encoding="utf-8"))
    for line in [*lines, *(found[1] for found in IN_TEXT.finditer(text))]:
        if line in NO_COMMANDS:
            continue
        first, *others = re.split(r" \| ", COMMAND.sub("", re.split(r" {2,}#|\s+#", line)[0]).strip())
        yield first
        group = first.split()[0]
        yield from (f"{group} {other}" for other in others)


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it: pictures, objects, two datasets."""
    here = tmp_path_factory.mktemp("docs")
    (here / "folder").mkdir()
    radiograph().save_as(here / "radiograph.dcm", enforce_file_format=True)
    radiograph(2).save_as(here / "folder" / "b.dcm", enforce_file_format=True)
    rows, columns = np.mgrid[0:300, 0:260]
    grey = (120 + 80 * np.sin(rows / 37) * np.cos(columns / 23)).astype(np.uint8)
    for name in ("chest.png", "folder/a.png"):
        cv2.imwrite(str(here / name), grey)
    (here / "folder" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    small_folders.nih(here / "data" / "nih")
    small_folders.padchest(here / "data" / "padchest")
    return here


@pytest.fixture
def there(surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in it, with small and untrained networks in place of the released ones."""

    def small(name: str, directory: Path | None = None, device: str = "cpu", **options: object) -> object:
        return small_networks.get_model(name, directory, "cpu", **options)

    monkeypatch.setattr(models, "get_model", small)
    monkeypatch.setattr(batches, "get_model", small)
    monkeypatch.delenv("XRV_NODE_CONFIG", raising=False)
    monkeypatch.chdir(surroundings)
    return surroundings


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_python_runs_as_it_is_printed(document: Path, there: Path) -> None:
    found = [block for language, block in blocks(document) if language == "python"]
    if not found:
        pytest.skip("it shows no Python")
    names: dict[str, object] = {}
    for block in found:
        exec(compile(block.replace('"/data/', f'"{there}/data/'), document.name, "exec"), names)


def test_the_documents_that_show_python_are_found() -> None:
    shown = [path.name for path in DOCS if any(language == "python" for language, _ in blocks(path))]
    assert {"README.md", "datasets.md", "models-use.md"} <= set(shown)


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_tables_of_configuration_are_toml(document: Path) -> None:
    for language, block in blocks(document):
        if language == "toml":
            assert tomllib.loads(block)


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_commands_and_their_options_are_there(document: Path) -> None:
    for line in commands(document):
        command = typer.main.get_command(cli.app)
        words = [word for word in shlex.split(line) if word != "..."]
        context = typer.Context(command, info_name="xrv-node")
        while isinstance(command, TyperGroup) and words:
            unnamed = words[0] not in command.commands and getattr(command, "unnamed", None)
            name = unnamed or words.pop(0)
            assert name in command.commands, f"{document.name}: {line}"
            command = command.commands[name]
            context = typer.Context(command, parent=context, info_name=name)
        try:
            _, left, _ = command.make_parser(context).parse_args(words)
        except USAGE as error:
            raise AssertionError(f"{document.name}: {line}: {error}") from error
        assert not left or isinstance(command, TyperGroup), f"{document.name}: {line}: {left}"


def runnable() -> list[str]:
    every = dict.fromkeys(line for document in DOCS for line in commands(document))
    return [line for line in every if line.startswith(RUN)]


def test_every_command_that_is_to_run_is_shown() -> None:
    assert {wanted for wanted in RUN if not any(line.startswith(wanted) for line in runnable())} == set()


@pytest.mark.parametrize("line", runnable())
def test_commands_run_as_they_are_printed(
    line: str, there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if line == "init":
        (there / "node.toml").unlink(missing_ok=True)
    words = [MEANT.get(word, word).replace("/data/", f"{there}/data/") for word in shlex.split(line)]
    words = [word if word != "NAME" else "nih" for word in words]
    monkeypatch.setattr(sys, "argv", ["xrv-node", *words])
    try:
        cli.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    damaged = "folder" in words  # one of its files is, and a command says so at the end
    assert code == int(damaged), said.err
    assert ("damaged.png: The PNG picture is damaged" in said.err) == damaged
    assert said.out

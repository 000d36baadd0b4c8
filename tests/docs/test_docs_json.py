"""``docs/json.md`` says what the commands print."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from json_document import DOCUMENTS, ELSEWHERE, whole
from made import incoming, radiograph
from typer.main import get_command
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.cli.console import print_fields, print_json
from xrv_node.db import queue
from xrv_node.db.store import Store
from xrv_node.documents import JSON_VERSION
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool

PAGE = Path(__file__).resolve().parents[2] / "docs" / "json.md"


def test_the_page_is_made_of_the_types() -> None:
    assert PAGE.read_text(encoding="utf-8") == whole(PAGE.read_text(encoding="utf-8")), "run `make json`"


def _commands(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for word, below in command.commands.items():
            yield from _commands(below, f"{name} {word}".strip())
    else:
        yield name, command


def test_every_command_with_json_is_described() -> None:
    printing = {
        name
        for name, command in _commands(get_command(app))
        if any({"--json", "--format"} & set(option.opts) for option in command.params)
    }
    assert printing == {name.removesuffix(" --format") for name in (*DOCUMENTS, *ELSEWHERE)}


@pytest.fixture
def site(tmp_path: Path, store: Store, spool: Spool) -> Path:
    """A node with a study, a job that was started, and a destination."""
    config = tmp_path / "node.toml"
    config.write_text(
        f'[node]\ndata_dir = "{tmp_path}"\n[database]\nurl = "sqlite:///{tmp_path}/audit.sqlite"\n'
        '[[destinations]]\nname = "out"\nkind = "folder"\npath = "out"\n'
    )
    intake.accept(store, spool, FrontalSection(), incoming(radiograph()))
    queue.claim(store, "analyse", owner="t")
    return config


@pytest.mark.parametrize(
    "words",
    [
        *(["jobs", "list"], ["jobs", "show", "1"], ["studies", "list"], ["studies", "show", "1.2.3.1"]),
        *(["audit", "list"], ["audit", "verify"], ["destinations", "check"], ["status"], ["jobs", "retry"]),
        ["audit", "show", "--study", "1.2.3.1"],
        *(["studies", "purge", "--older-than", "0", "--dry-run"], ["models", "list"], ["datasets", "list"]),
    ],
    ids=" ".join,
)
def test_a_document_has_the_fields_that_are_described(site: Path, words: list[str]) -> None:
    configured = [] if words[0] == "datasets" else ["--config", str(site)]
    done = CliRunner().invoke(app, [*words, "--json", *configured])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed.pop("json_version") == JSON_VERSION
    of = DOCUMENTS[" ".join(words[:2])] if " ".join(words[:2]) in DOCUMENTS else DOCUMENTS[words[0]]
    if typing.get_origin(of) is list:
        (of,), printed = typing.get_args(of), printed["items"]
        assert printed
    for one in printed if isinstance(printed, list) else [printed]:
        assert _as_described(of, one) is None


def _as_described(of: Any, value: Any) -> str | None:
    """The first field that is not there or not described."""
    if typing.is_typeddict(of):
        wanted = typing.get_type_hints(of)
    elif hasattr(of, "__dataclass_fields__"):
        hints = typing.get_type_hints(of)
        wanted = {field.name: hints[field.name] for field in fields(of)}
    else:
        return None
    if wrong := set(wanted) ^ set(value):
        return f"{of.__name__}: {sorted(wrong)}"
    for name, inner in wanted.items():
        if typing.get_origin(inner) is list:
            for each in value[name]:
                if why := _as_described(typing.get_args(inner)[0], each):
                    return why
    return None


def test_times_have_one_form_for_programs_and_say_their_zone_to_people(
    capsys: pytest.CaptureFixture[str],
) -> None:
    at = datetime(2026, 7, 1, 23, 30, 1, 5, tzinfo=timezone(timedelta(hours=2)))
    print_json({"at": at})
    assert json.loads(capsys.readouterr().out)["at"] == "2026-07-01T21:30:01.000005+00:00"
    print_fields({"at": at})
    shown = capsys.readouterr().out.removeprefix("at: ").strip()
    assert datetime.fromisoformat(shown) == at.replace(microsecond=0)
    assert datetime.fromisoformat(shown).utcoffset() == at.astimezone().utcoffset()


def test_every_time_of_a_document_has_that_form(site: Path) -> None:
    for words in (["jobs", "show", "1"], ["studies", "show", "1.2.3.1"], ["audit", "list"]):
        done = CliRunner().invoke(app, [*words, "--json", "--config", str(site)])
        times = list(_times(json.loads(done.stdout)))
        assert times
        for said in times:
            assert "T" in said
            assert datetime.fromisoformat(said).utcoffset() == timedelta(0)


def _times(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _times(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _times(one, name)
    elif isinstance(value, str) and (name == "at" or name.endswith("_at") or name == "not_before"):
        yield value

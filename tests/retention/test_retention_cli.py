"""``xrv-node studies purge``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from analysed import Site
from retained import done, files, kinds
from sqlalchemy import update
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.db import queries
from xrv_node.db.tables import Delivery
from xrv_node.errors import XrvNodeError


@pytest.fixture
def config(site: Site, tmp_path: Path) -> Path:
    file = tmp_path / "node.toml"
    file.write_text(f'[node]\ndata_dir = "."\n[database]\nurl = "{site.store.engine.url}"\n')
    return file


def run(config: Path, *arguments: str, answer: str | None = None) -> Any:
    return CliRunner().invoke(app, ["studies", *arguments, "--config", str(config)], input=answer)


def rows(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["items"]


def test_one_that_was_tried_dry_is_untouched(site: Site, config: Path) -> None:
    done(site, 1)
    before = files(site)
    found = rows(run(config, "purge", "--older-than", "39", "--dry-run", "--json"))
    assert [(r["study"], r["what"], r["files"], r["held"]) for r in found] == [
        ("1.2.3.1", "inputs", 2, None),
        ("1.2.3.1", "results", 3, None),
    ]
    assert rows(run(config, "purge", "--older-than", "41", "--dry-run", "--json")) == []
    assert files(site) == before


@pytest.mark.parametrize(
    ("option", "left"), [("--inputs", {"analyses", "results"}), ("--results", {"inputs"}), ("--yes", set())]
)
def test_what_is_asked_for_goes(site: Site, config: Path, option: str, left: set[str]) -> None:
    done(site, 1)
    result = run(config, "purge", "1.2.3.1", option, "--yes")
    assert result.exit_code == 0, result.output
    assert "removed 0." in result.stdout
    assert kinds(site) == left


def test_only_the_studies_that_are_named_go(site: Site, config: Path) -> None:
    done(site, 1, images=1)
    done(site, 2, images=1)
    run(config, "purge", "1.2.3.2", "--yes")
    assert {path.split("/")[2] for path in files(site)} == {"1.2.3.1"}


def test_it_asks_first(site: Site, config: Path) -> None:
    done(site, 1)
    assert run(config, "purge", "1.2.3.1", answer="n\n").exit_code == 1
    assert kinds(site) == {"inputs", "analyses", "results"}
    assert run(config, "purge", "1.2.3.1", answer="y\n").exit_code == 0
    assert kinds(site) == set()


def test_what_is_not_delivered_needs_force_and_is_on_record_with_who_did_it(site: Site, config: Path) -> None:
    done(site, 1)
    with site.store.begin() as db:
        db.execute(update(Delivery).values(state="waiting"))
    held = run(config, "purge", "1.2.3.1", "--yes")
    assert held.exit_code == 1
    assert "its report for out is waiting" in held.stdout
    assert kinds(site) == {"inputs", "analyses", "results"}
    assert run(config, "purge", "1.2.3.1", "--yes", "--force").exit_code == 0
    assert kinds(site) == set()
    with site.store.read() as db:
        (first, second) = [e["detail"] for e in queries.events(db, event="study.purged")]
    assert (first["what"], second["what"], first["forced"]) == ("inputs", "results", True)
    assert first["by"]


def test_a_purged_study_says_when(site: Site, config: Path) -> None:
    done(site, 1)
    run(config, "purge", "1.2.3.1", "--inputs", "--yes")
    shown = run(config, "show", "1.2.3.1").stdout.splitlines()
    assert next(line for line in shown if line.startswith("inputs_purged_at: 20"))
    assert "results_purged_at: " in shown


def test_neither_studies_nor_days_is_an_error(site: Site, config: Path) -> None:
    for arguments, why in (((), "name studies, or say how old"), (("9.9",), "no study 9.9 came here")):
        failed = run(config, "purge", *arguments)
        assert isinstance(failed.exception, XrvNodeError)
        assert why in str(failed.exception)

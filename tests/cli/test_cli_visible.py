"""What comes from outside is shown, and not obeyed: by a terminal, by a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
import structlog
from test_cli import xrv

from xrv_node import log
from xrv_node.cli.console import print_json, print_table, say
from xrv_node.lab.validate.csv_tables import as_csv
from xrv_node.settings import LogSection
from xrv_node.visible import cells, visible

ESCAPES = "\x1b[2J\x9b31m\x07\r\u202eimage\udcff.dcm"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


def test_escape_sequences_are_written_out() -> None:
    assert visible(ESCAPES) == r"\x1b[2J\x9b31m\x07\r\u202eimage\udcff.dcm"
    assert visible("Größe 気胸\nnext") == r"Größe 気胸\nnext"


def test_no_way_to_a_terminal_lets_them_through(capsys: pytest.CaptureFixture[str]) -> None:
    say(ESCAPES)
    print_table([{"file": ESCAPES}, {"file": "[red]plain[/red] [/]"}], ["file"])
    print_json({"file": ESCAPES})
    try:
        log.configure(LogSection(), "test")
        structlog.get_logger().warning("left out", file=ESCAPES)
    finally:
        structlog.reset_defaults()
    told = "".join(capsys.readouterr())
    assert not CONTROLS.search(told)
    assert "[red]plain[/red] [/]" in told
    assert json.loads(told[told.index("{") : told.index("}") + 1]) == {"json_version": 1, "file": ESCAPES}


def test_a_command_shows_a_hostile_name(tmp_path: Path) -> None:
    (tmp_path / "\x1b[31mred.toml").write_text("[receive]\nprot = 1")
    told = xrv("config", "check", "--config", tmp_path / "\x1b[31mred.toml", code=2)
    assert not CONTROLS.search(told)
    assert r"\x1b[31mred.toml" in told


@pytest.mark.parametrize("formula", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(formula: str) -> None:
    (row,) = csv.DictReader(
        io.StringIO(as_csv([{"image": formula, "score": "-0.5"}], ["image", "score"]).decode())
    )
    assert row == {"image": f"'{visible(formula)}", "score": "-0.5"}


def test_numbers_and_plain_text_stay_as_they_are() -> None:
    row = ["a", "", "-1.5e-3", "+2", "-inf", -3.0, None, "a=b"]
    assert cells(row) == row


def test_what_serve_makes_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('[node]\nname = "n"\n')
    xrv("serve", "--config", tmp_path / "node.toml", code=2)  # there are no weights
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0

"""The manual page and the completion of shells are those of the commands that there are."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    made: Callable[[], Any] = runpy.run_path(str(ROOT / "tools" / "manual.py"))["files"]
    return dict(made())


def test_what_is_in_share_is_what_the_commands_say(files: dict[str, str]) -> None:
    share = ROOT / "share"
    there = {str(path.relative_to(share)): path.read_text() for path in share.rglob("*") if path.is_file()}
    assert there == files, "run `make man`"


def test_the_manual_page_is_formatted_without_a_warning(files: dict[str, str]) -> None:
    groff = shutil.which("groff") or pytest.skip("groff is not installed")
    page = next(text for place, text in files.items() if place.startswith("man/"))
    done = subprocess.run(
        [groff, "-man", "-Tutf8", "-ww"], input=page, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "Run the node until SIGTERM." in " ".join(done.stdout.split())


def test_a_shell_is_told_what_may_follow() -> None:
    asked = {"_XRV_NODE_COMPLETE": "complete_bash", "COMP_WORDS": "xrv-node jobs re", "COMP_CWORD": "2"}
    code = "import sys; sys.argv = ['xrv-node']; from xrv_node.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["retry"]

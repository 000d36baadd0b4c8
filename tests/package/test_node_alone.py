"""The node without the laboratory: an environment that holds what ``requirements.lock`` names and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from made import phantom

from xrv_node.cli import LAB

ROOT = Path(__file__).resolve().parents[2]

PRELUDE = "import sys; sys.path += sys.argv[1:3]; sys.argv[1:3] = []\n"
"""With -I and -S nothing of the machine's own packages is on the path."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages that the lock of the node pins, as far as this platform has them."""
    there = tmp_path_factory.mktemp("installed")
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    for name in pinned:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:  # of another platform
            continue
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            if not (there / top).exists():
                (there / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    assert (there / "torch").is_dir()
    assert (there / "pynetdicom").is_dir()
    return there


def run(installed: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", PRELUDE + code, str(installed), str(ROOT), *words],
        check=False, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


def test_every_room_of_the_node_is_imported_without_the_laboratory(installed: Path) -> None:
    rooms = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "xrv_node").rglob("*.py")]
    modules = [
        ".".join(path.parts).removesuffix(".__init__")
        for path in rooms
        if path.parts[1] not in ("lab", "__main__") and "migrations" not in path.parts
    ]
    assert "xrv_node.node" in modules
    done = run(
        installed,
        "from importlib import import_module\n"
        "for name in sys.argv[1:]: import_module(name)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
        "print(*(name for name in sys.modules if name.startswith('xrv_node.lab')))",
        *modules,
    )
    assert done.returncode == 0, done.stderr
    tops, laboratory = done.stdout.splitlines()
    assert "pynetdicom" in tops.split()
    assert not LAB & set(tops.split())
    assert laboratory == ""


@pytest.mark.parametrize("words", [["datasets", "stats", "nih", "."], ["validate", "nih", "--images", "."]])
def test_a_command_of_the_laboratory_says_what_to_install(installed: Path, words: list[str]) -> None:
    done = run(installed, "from xrv_node.cli import main; main()", *words)
    assert done.returncode == 2
    said = re.fullmatch(
        r"error: this command needs (\w+): pip install 'xrv-node\[lab\]'", done.stderr.splitlines()[-1]
    )
    assert said
    assert said[1] in LAB


def test_files_are_read_by_the_networks_without_it(installed: Path, tmp_path: Path) -> None:
    phantom().save_as(tmp_path / "image.dcm", enforce_file_format=True)
    done = run(
        installed,
        "from xrv_node.cli import main; main()",
        "classify", str(tmp_path / "image.dcm"), "--commissioning", "--format", "json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Effusion" in done.stdout

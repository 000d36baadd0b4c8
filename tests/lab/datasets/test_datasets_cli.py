"""``datasets list`` and ``stats`` as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import forked
import owners
import pytest
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.lab.datasets.catalog import entries

RUN = CliRunner()


def test_list_names_every_dataset() -> None:
    xrv = pytest.importorskip("torchxrayvision")
    listed = json.loads(RUN.invoke(app, ["datasets", "list", "--json"]).stdout)["items"]
    assert [row["name"] for row in listed] == [entry.name for entry in entries()]
    assert len(listed) == 16
    for row in listed:
        assert hasattr(xrv.datasets, row["xrv_class"])
        assert row["name"] in RUN.invoke(app, ["datasets", "list"]).stdout


def test_list_of_one_tells_what_its_folder_holds() -> None:
    told = RUN.invoke(app, ["datasets", "list", "PC_Dataset"]).stdout
    assert "files: PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz" in told
    assert [
        row["name"]
        for row in json.loads(RUN.invoke(app, ["datasets", "list", "nih", "--json"]).stdout)["items"]
    ] == ["nih"]


def test_stats_are_torchxrayvisions_counts(tmp_path: Path) -> None:
    folder = str(owners.folder("nih-google", tmp_path))
    numbers = json.loads(RUN.invoke(app, ["datasets", "stats", "nih-google", folder, "--json"]).stdout)
    assert numbers["images"] == 810
    assert {row["label"]: row["present"] for row in numbers["labels"]} == {
        "Lung Opacity": 221,
        "Fracture": 28,
        "Nodule/Mass": 121,
        "Pneumothorax": 46,
    }
    whole = RUN.invoke(app, ["datasets", "stats", "nih-google", folder, "--view", "*", "--all-images"])
    assert "images: 4376" in whole.stdout
    assert "2166" in whole.stdout


def test_a_missing_file_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = [*forked.COMMAND, "datasets", "stats", "padchest", str(tmp_path)]
    done = forked.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: PadChest: PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv is not in"
    )
    assert done.stderr.count("\n") == 1


def test_help_and_list_load_nothing_heavy() -> None:
    program = (
        "import sys; from xrv_node.cli import app; import xrv_node.node\n"
        "try: app(['datasets', 'list', '--json'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('pandas', 'sklearn', 'matplotlib') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"

"""The whole way on the command line, with the network that a node runs: train, import, classify."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import trained
from safetensors.torch import load_file
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.models import trained_here
from xrv_node.models.densenet import DenseNet
from xrv_node.radiograph.prepare import prepare
from xrv_node.radiograph.read import read


def nih(folder: Path) -> LabelTable:
    """A folder as NIH publishes theirs, with drawn images."""
    table = trained.table(folder, 16)
    lines = ["Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"]
    for row, labels in enumerate(table.labels):
        found = "|".join(name for name, yes in zip(table.pathologies, labels, strict=True) if yes)
        lines.append(f"{row}.png,{found or 'No Finding'},0,{row},50,F,PA")
    (folder / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines))
    return table


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    return done.output


def test_train_import_classify(tmp_path):
    table = nih(tmp_path / "nih")
    out, directory = tmp_path / "site-mass", tmp_path / "models"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('init = "scratch"\nvalid_share = 0.25\ntest_share = 0.25\nlearning_rate = 0.0001\n')
    options = [
        "--epochs",
        1,
        "--batch",
        8,
        "--task",
        "one-vs-all:Mass",
        "--device",
        "cpu",
        "--recipe",
        recipe,
    ]
    output = invoke("train", "nih", "--images", tmp_path / "nih", "--out", out, *options, "--dir", directory)
    assert re.search(r"all +1 ", output)
    assert "On the test part" in output
    command = re.search(r"xrv-node (models import .*)", output)[1]
    invoke(*command.split(), "--dir", directory)

    image = table[0].image
    shown = json.loads(
        invoke(
            "classify",
            image,
            "--weights",
            "site-mass",
            "--format",
            "json",
            "--dir",
            directory,
            "--device",
            "cpu",
        )
    )
    known = trained_here.described(out / "site-mass.safetensors")
    assert shown["model"]["name"] == "site-mass"
    network = DenseNet(heads=1)
    network.load_state_dict(load_file(out / "site-mass.safetensors"))
    with torch.no_grad():
        p = network.eval()(torch.from_numpy(prepare(read(image), 224))[None, None]).sigmoid().item()
    assert known.thresholds == ()  # of four validation images
    assert re.search(r"Mass: no operating point: not told from chance in validation \(AUC \d", output)
    assert "nothing is called by its scores, and a node does not run it" in output
    assert shown["images"][0]["sigmoids"] == {"Mass": pytest.approx(p, abs=1e-6)}
    assert shown["images"][0]["scores"] == {"Mass": pytest.approx(p, abs=1e-6)}
    assert shown["images"][0]["present"] == []
    assert "NIH ChestX-ray14" in (out / "site-mass.md").read_text()


def test_folders_and_datasets_go_together(tmp_path):
    arguments = ["train", "nih", "rsna", "--images", str(tmp_path), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)
    assert "2 datasets and 1 folders: give --images once for each" in str(done.exception)

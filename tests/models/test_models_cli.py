"""``xrv-node models`` as it is typed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from xrv_node.cli.models import app
from xrv_node.errors import WeightsError
from xrv_node.models import catalog

NIH = "densenet121-res224-nih"


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, WeightsError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture
def source(released, tmp_path):
    """The classifier's file under the released name of ``nih``."""
    return Path(shutil.copy(released / catalog.find("all").file, tmp_path / catalog.find("nih").file))


def test_list_names_all_and_what_is_here(source, tmp_path):
    run("import", source, "--dir", tmp_path / "models")
    table = run("list", "--dir", tmp_path / "models")
    assert [line.split()[0] for line in table.splitlines()[1:]] == [entry.name for entry in catalog.entries()]
    rows = {
        row["name"]: row for row in json.loads(run("list", "--json", "--dir", tmp_path / "models"))["items"]
    }
    assert rows[NIH]["weights"]["source_file"] == source.name
    assert rows["chestx_det"]["weights"] is None
    assert rows["densenet121-res224-rsna"]["labels"] == ["Pneumonia", "Lung Opacity"]
    (tmp_path / "models" / f"{NIH}.safetensors").write_bytes(b"damage")
    assert "damaged" in run("list", "--dir", tmp_path / "models")


def test_configured_directory_is_used(source, tmp_path):
    config = tmp_path / "node.toml"
    config.write_text(f'[models]\ndir = "{tmp_path / "here"}"\n')
    run("import", source, "--config", config)
    assert (tmp_path / "here" / f"{NIH}.safetensors").is_file()


def test_import_recognises_by_name_or_is_told(source, tmp_path):
    text = run("import", source, "--dir", tmp_path / "models")
    assert NIH in text
    assert "trusted and recorded on first use" in text
    assert "not probabilities" in text
    unknown = source.rename(tmp_path / "downloaded.pt")
    with pytest.raises(WeightsError, match="--name"):
        run("import", unknown, "--dir", tmp_path / "models")
    (row,) = json.loads(run("import", unknown, "--name", "chex", "--json", "--dir", tmp_path / "models"))[
        "items"
    ]
    assert row["name"] == "densenet121-res224-chex"
    assert source.exists() or unknown.exists()  # what is imported stays where it is


def test_verify_tells_what_changed(source, tmp_path):
    directory = tmp_path / "models"
    run("import", source, "--dir", directory)
    assert json.loads(run("verify", "--json", "--dir", directory))["items"][0]["whole"] is True
    assert NIH in run("verify", "--dir", directory)
    path = directory / f"{NIH}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    (row,) = json.loads(run("verify", "--json", "--dir", directory, code=1))["items"]
    assert row["whole"] is False
    assert "models pull" in row["why"]


def test_pull_downloads_imports_and_keeps_no_pickle(served, tmp_path):
    text = run("pull", "nih", "--dir", tmp_path)
    assert NIH in text
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".safetensors", ".lock"}
    assert len(served) == 1
    assert json.loads(run("pull", "nih", "--json", "--dir", tmp_path))["items"] == []  # here already
    assert len(served) == 1
    (row,) = json.loads(run("pull", "nih", "--force", "--json", "--dir", tmp_path))["items"]
    assert row["weights"]["tensors_sha256"]
    assert len(served) == 2


def test_help_needs_nothing_heavy():
    import subprocess

    code = (
        "import sys, xrv_node.cli.models;"
        "print([name for name in ('torch', 'numpy', 'safetensors', 'pydicom') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []

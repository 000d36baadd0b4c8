"""Networks that were trained here: their files are checked like any other, and their names work everywhere."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import untrained
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from xrv_node import models, settings, starting
from xrv_node.cli import app
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.models import catalog, importing, trained_here, weights
from xrv_node.models.densenet import DenseNet

DESCRIBED = {
    "name": "site-1",
    "network": "densenet121",
    "input_size": 224,
    "training_data": ("NIH ChestX-ray14",),
    "cautions": ("For research.",),
    "labels": ("Effusion", "Mass", "Nodule"),
    "thresholds": (0.2, None, 0.4),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``train`` writes it."""
    torch.manual_seed(0)
    state = {key: value.numpy() for key, value in DenseNet(heads=3).state_dict().items()}
    path = tmp_path_factory.mktemp("trained") / "site-1.safetensors"
    importing.write_trained(state, trained_here.TrainedNetwork(**DESCRIBED), path)
    return path


@pytest.fixture(scope="module")
def directory(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory that has it."""
    place = tmp_path_factory.mktemp("models")
    importing.import_trained(file, trained_here.described(file), place)
    return place


def test_its_name_works_where_one_of_the_catalogue_does(directory):
    entry = catalog.find("Site-1", "classifier", directory)
    assert entry.trained_heads == (("Effusion", 0), ("Nodule", 2))  # Mass has no operating point
    assert weights.missing(["site-1", "all"], directory) == ["densenet121-res224-all"]
    assert weights.verify(entry, directory).source_file == "site-1.safetensors"
    model = models.get_model("site-1", directory)
    assert (model.pathologies, model.thresholds) == (("Effusion", "Nodule"), (0.2, 0.4))
    network = DenseNet(heads=3)
    network.load_state_dict(
        {k: torch.from_numpy(v) for k, v in load_file(entry.weights_path(directory)).items()}
    )
    x = torch.rand(1, 1, 224, 224, generator=torch.Generator().manual_seed(0)) * 2048 - 1024
    with torch.no_grad():
        expected = network.eval()(x).sigmoid()[0, [0, 2]]
        scores = model(x)[0]
    for score, p, t in zip(scores.tolist(), expected.tolist(), model.thresholds, strict=True):
        assert score == pytest.approx(p / (2 * t) if p < t else 1 - (1 - p) / (2 * (1 - t)), abs=1e-6)
    with pytest.raises(WeightsError, match=r"no classifier is called 'site-2': use one of .*, site-1"):
        catalog.find("site-2", "classifier", directory)
    with pytest.raises(WeightsError, match="no segmenter is called 'site-1'"):
        catalog.find("site-1", "segmenter", directory)


def test_the_worker_loads_it_and_serve_asks_for_codes(directory, file, tmp_path, monkeypatch):
    load = models._weights

    def others_untrained(entry, place):
        if entry.role == "classifier":
            return load(entry, place)
        return models._given(entry, entry.name, untrained.seeded_state(entry), entry.untrained)

    monkeypatch.setattr(models, "_weights", others_untrained)
    monkeypatch.setattr(models, "missing", lambda *_: [])
    networks = models.load_set("site-1", "chestx_det", "101-elastic", directory)
    assert networks.classifier.pathologies == ("Effusion", "Nodule")
    x = torch.zeros(1, 1, 224, 224)
    with torch.no_grad():
        scores = networks.classifier(x)
        assert torch.allclose(scores, models.get_model("site-1", directory)(x))
    assert scores.shape == (1, 2)

    chosen = settings.Settings(models={"classifier": "site-1", "dir": str(directory)})
    starting.check_weights(chosen)
    odd = trained_here.TrainedNetwork(
        **DESCRIBED | {"name": "odd", "labels": ("Effusion", "Mass", "Hilar Enlargement")}
    )
    importing.write_trained(load_file(file), odd, tmp_path / "odd.safetensors")
    with pytest.raises(ConfigError, match=r'finding "Hilar Enlargement" has no row in'):
        starting.check_weights(settings.Settings(models={"classifier": "odd", "dir": str(tmp_path)}))


def test_the_command_line(file, tmp_path):
    run = CliRunner()
    place = ["--dir", str(tmp_path / "models")]
    done = run.invoke(app, ["models", "import", str(file), *place])
    assert done.exit_code == 0, done.output
    assert "note: For research." in done.output
    rows = {
        row["name"]: row
        for row in json.loads(run.invoke(app, ["models", "list", "--json", *place]).output)["items"]
    }
    assert rows["site-1"]["here"].startswith("since")
    assert rows["site-1"]["labels"] == ["Effusion", "Nodule"]
    checked = run.invoke(app, ["models", "verify", *place, "--json"])
    assert [row["name"] for row in json.loads(checked.output)["items"] if row["whole"]] == ["site-1"]
    imported = tmp_path / "models" / "site-1.safetensors"
    data = bytearray(imported.read_bytes())
    data[-1] ^= 1
    imported.write_bytes(data)
    checked = run.invoke(app, ["models", "verify", *place])
    assert checked.exit_code == 1
    assert "run `xrv-node models import site-1.safetensors`" in checked.output


def test_another_network_of_the_same_name_needs_force(directory, file, tmp_path):
    other = tmp_path / "site-1.safetensors"
    tensors = load_file(file)
    tensors["classifier.bias"] = tensors["classifier.bias"] + 1
    importing.write_trained(tensors, trained_here.TrainedNetwork(**DESCRIBED), other)
    with pytest.raises(WeightsError, match=r"another network site-1 was imported on .*: use --force"):
        importing.import_trained(other, trained_here.described(other), directory)


def header(path: Path, **changes: object) -> Path:
    """A file whose header says something else of a network."""
    entry = json.dumps({**DESCRIBED, **changes})
    save_file({"classifier.bias": np.zeros(3, np.float32)}, path, {"entry": entry})
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "../up"}, "name: String should match pattern"),
        ({"name": "all"}, "is the name of a released network"),
        ({"network": "os.system"}, "network: Input should be"),
        ({"labels": ["Mass"]}, "each label needs"),
        ({"labels": ["A", "A", "B"]}, "each label needs"),
        ({"labels": ["A\n", "B", "C"]}, "labels.0: String should match pattern"),
        ({"thresholds": [0.0, 0.5, 0.5]}, "thresholds.0"),
        ({"thresholds": [None, None, None]}, "no label has an operating point"),
        ({"url": "http://x"}, "url: Extra inputs are not permitted"),
    ],
)
def test_a_description_that_cannot_be_is_refused(tmp_path, changes, words):
    with pytest.raises(WeightsError, match=words):
        trained_here.described(header(tmp_path / "x.safetensors", **changes))
    assert trained_here.entries(tmp_path) == ()


def test_a_file_without_the_tensors_that_it_says(tmp_path):
    path = header(tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="this is another network"):
        importing.import_trained(path, trained_here.described(path), tmp_path / "models")
    assert not (tmp_path / "models" / "site-1.safetensors").exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff" * 40, struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 4) + b"nope", b"\x80\x04K\x01."],
)
def test_bytes_that_are_no_safetensors(tmp_path, data):
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="is damaged: get it again"):
        trained_here.described(path)
    assert trained_here.entries(tmp_path) == ()


def test_a_path_is_no_name(directory, tmp_path):
    for name in ("../site-1", "/site-1", "a/../site-1", "site-1\x00", ""):
        assert trained_here.find(name, directory) is None

"""Training on the real radiographs of NIH that lie beside the project, and the node with what comes out."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import trained
import untrained
from pydicom import dcmread
from safetensors.numpy import save_file
from safetensors.torch import load_file
from serving import Node
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.errors import ConfigError
from xrv_node.lab.datasets import tools
from xrv_node.lab.datasets.load import load as load_table
from xrv_node.lab.train import image_batches, loss, network, rate_schedule
from xrv_node.lab.train.recipe import load
from xrv_node.models import catalog, convert, trained_here
from xrv_node.report import codes, read_back

FINDINGS = ("Pneumonia", "Infiltration", "Atelectasis")
ALL = ("--view", "PA", "--view", "AP", "--all-images")


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    return done.output


def seeded(name: str, directory: Path) -> None:
    """Put an untrained network into the model directory, as if it had been imported."""
    entry = catalog.find(name)
    state = {key: value.numpy() for key, value in untrained.seeded_state(entry).items()}
    record = {
        "name": entry.name,
        "source_file": entry.file,
        "source_sha256": "0" * 64,
        "tensors_sha256": convert.tensors_sha256(state),
        "imported_at": "2026-01-01T00:00:00+00:00",
        "xrv_node": "0",
    }
    save_file(state, entry.weights_path(directory), record)


@dataclass(frozen=True)
class Site:
    """A folder of radiographs, a model directory, and what was trained and imported there."""

    images: Path
    models: Path
    run: Path

    @property
    def test_part(self) -> list[str]:
        with (self.run / "split.csv").open() as file:
            return [row["image"] for row in csv.DictReader(file) if row["part"] == "test"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Site:
    """Pneumonia against all others: the last layer, then an epoch of all, from weights that nobody trained."""
    root = tmp_path_factory.mktemp("site")
    made = Site(trained.radiographs(data, root / "nih"), root / "models", root / "pneumonia-1")
    made.models.mkdir()
    seeded("rsna", made.models)
    recipe = root / "recipe.toml"
    recipe.write_text(
        'init = "rsna"\nbatch = 4\nepochs = 1\nvalid_share = 0.3\ntest_share = 0.4\nlearning_rate = 0.0001\n'
    )
    options = ("--recipe", recipe, "--task", "one-vs-all:Pneumonia", "--device", "cpu", "--dir", made.models)
    invoke("train", "nih", "--images", made.images, "--out", made.run, "--view", "PA", *options)
    invoke("models", "import", made.run / "pneumonia-1.safetensors", "--dir", made.models)
    return made


def classified(site: Site, *paths: Path, weights: str = "pneumonia-1") -> dict[str, dict[str, object]]:
    """What ``classify`` says of images, by their files' names."""
    options = ("--weights", weights, "--dir", site.models, "--device", "cpu", "--format", "json")
    shown = json.loads(invoke("classify", *paths, *options))
    assert shown["model"]["name"] == weights
    return {Path(image["file"]).name: image for image in shown["images"]}


def test_classify_says_of_the_test_part_what_the_training_measured(site: Site):
    table = load_table("nih", site.images, views=("PA",))
    label_of = dict(
        zip(table.csv["image"], table.labels[:, table.pathologies.index("Pneumonia")], strict=True)
    )
    found = classified(site, *(site.images / image for image in site.test_part))
    labels = np.array([label_of[image] for image in site.test_part])
    sigmoids = np.array([found[Path(image).name]["sigmoids"]["Pneumonia"] for image in site.test_part])

    (figure,) = json.loads((site.run / "figures.json").read_text())["findings"]
    assert figure["number"] == len(labels)
    assert figure["auc"]["value"] == pytest.approx(roc_auc_score(labels, sigmoids))


def test_so_few_radiographs_tell_nothing_from_chance_and_nothing_is_called(site: Site):
    known = trained_here.described(site.run / "pneumonia-1.safetensors")
    assert (known.thresholds, known.calls) == ((), False)
    found = classified(site, *(site.images / image for image in site.test_part))
    for image in found.values():
        assert image["present"] == []
        assert image["scores"] == image["sigmoids"]
    (figure,) = json.loads((site.run / "figures.json").read_text())["findings"]
    assert (figure["at_operating_point"], figure["suggestions"]) == (None, [])
    card = (site.run / "pneumonia-1.md").read_text()
    assert "| none: not told from chance in validation (AUC " in card
    with pytest.raises(
        ConfigError, match="the node does not run pneumonia-1: it told no finding from chance"
    ):
        catalog.served("pneumonia-1", "classifier", site.models)


def test_the_figures_of_images_that_the_first_weights_may_know_are_doubted(site: Site):
    known = trained_here.described(site.run / "pneumonia-1.safetensors")
    (caution,) = [words for words in known.cautions if "may have seen images of the test part" in words]
    card = (site.run / "pneumonia-1.md").read_text()
    assert caution in card
    assert "densenet121-res224-rsna" in card
    assert "trained on RSNA Pneumonia (Kaggle)" in card


@pytest.mark.slow
def test_a_node_reports_what_classify_says_by_its_own_operating_point(site: Site, tmp_path: Path):
    """Of a state dict that its user brings, with points of their own. With small ones for the other two
    networks: what they add to the report is not looked at."""
    torch.save(load_file(site.run / "pneumonia-1.safetensors"), tmp_path / "own.pt")
    own = ("--like", "rsna", "--findings", "Pneumonia", "--thresholds", "0.4", "--dir", site.models)
    invoke("models", "import", tmp_path / "own.pt", "--name", "own-1", *own)
    for name in ("chestx_det", "101-elastic"):
        seeded(name, site.models)
    invoke("datasets", "to-dicom", "nih", site.images, "--out", tmp_path / "dicom", "--view", "PA")
    with (tmp_path / "dicom" / "labels.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["image"] == site.test_part[0])
    image = tmp_path / "dicom" / row["file"]
    config = f'[models]\nclassifier = "own-1"\ndir = "{site.models}"\ndevice = "cpu"\n'
    node = Node(tmp_path / "node", config, small=True).start()
    try:
        invoke("send", image, "--to", f"XRVNODE@127.0.0.1:{node.port}")
        node.wait_for_results(1, seconds=200)
    finally:
        assert node.stop() == 0
    (path,) = [path for path in node.delivered() if path.name.startswith("report")]
    report = dcmread(path)
    ((uid, findings),) = read_back.findings(report).items()
    assert uid == row["sop_instance_uid"]
    said = classified(site, image, weights="own-1")[image.name]
    assert {one.label: one.score for one in findings} == pytest.approx(said["scores"], abs=1e-4)
    assert [one.label for one in findings if one.present] == said["present"]
    assert said["scores"] == pytest.approx(
        classified(site, site.images / row["image"], weights="own-1")[Path(row["image"]).name]["scores"],
        abs=1e-6,
    )
    (analysis,) = node.study(row["study_instance_uid"])["instances"][0]["analyses"]
    assert analysis["models"]["classifier"] == "own-1"
    (words,) = [text for text in read_back.texts(report, codes.MODEL) if text.startswith("classifier:")]
    assert "own-1" in words


@pytest.mark.usefixtures("small")
def test_eight_radiographs_are_learned_by_heart(data: Path, tmp_path: Path):
    """What anybody tries first: a loss that does not fall to nothing on a handful of images is a wrong loss."""
    table = load_table("nih", trained.radiographs(data, tmp_path), views=("*",), unique_patients=False)
    table = tools.relabel(FINDINGS, table)
    recipe = load(init="scratch", learning_rate=0.02)
    start = network.start(recipe, FINDINGS, tmp_path)
    rows = np.array([0, 1, 2, 3, 6, 9, 12, 17])  # with and without each finding
    (batch,) = image_batches.batches(image_batches.plain(table, 224), rows, 8, {})
    assert (batch.labels.mean(dim=0) > 0).all()
    assert (batch.labels.mean(dim=0) < 1).all()
    parameters = rate_schedule.prepared(start, rate_schedule.Stage("all", 400, 0.02))
    optimizer = rate_schedule.optimizer(parameters, recipe, 0.02)
    cycle = rate_schedule.one_cycle(optimizer, 0.02, 400)
    weights = (torch.ones(2, 3), torch.ones(3))
    losses = []
    for _ in range(400):
        value = loss.masked_bce(start.network(batch.images), batch.labels, *weights)
        losses.append(value.item())
        optimizer.zero_grad()
        torch.autograd.backward(value)
        optimizer.step()
        cycle.step()
    assert losses[0] > 0.5
    assert losses[-1] < 0.05


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--task", "one-vs-all:Pneumothorax"), "Pneumothorax is not both present and absent in the"),
        (("--labels", "Pneumonia,Cardiomegaly"), "Cardiomegaly is not both present and absent in the"),
        (("--labels", "Pneumonia,Cough"), "knows nothing of Cough; its labels are Atelectasis"),
        (("--init", "nowhere"), "no classifier is called 'nowhere': use one of"),
        (("--device", "cuda:77"), r"device .* is 'cuda:77', which this machine does not have: use one of"),
    ],
)
def test_what_cannot_be_trained_on_these_is_said_at_once(data: Path, tmp_path: Path, options, words):
    images = trained.radiographs(data, tmp_path / "nih")
    arguments = ["train", "nih", "--images", str(images), "--out", str(tmp_path / "out"), *ALL, *options]
    done = CliRunner().invoke(app, [*arguments, "--dir", str(tmp_path)])
    assert done.exit_code
    assert done.exception is not None
    with pytest.raises(type(done.exception), match=words):
        raise done.exception
    assert not (tmp_path / "out").exists()

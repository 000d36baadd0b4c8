"""From a table to a network that the node can use, on drawn images and with a small network."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trained
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from xrv_node import models
from xrv_node.errors import ConfigError, DatasetError, WeightsError
from xrv_node.lab.datasets import tools
from xrv_node.lab.images.classify import classify
from xrv_node.lab.train import image_batches, measure
from xrv_node.lab.train.recipe import load
from xrv_node.lab.train.run import train
from xrv_node.lab.train.splits import split
from xrv_node.models import importing, trained_here
from xrv_node.radiograph.prepare import prepare
from xrv_node.radiograph.read import read

pytestmark = pytest.mark.usefixtures("small")

STILL = {"rotation": 0, "translation": 0, "scaling": 0}
QUICK = {"init": "scratch", "batch": 8, "epochs": 1, "valid_share": 0.2, "test_share": 0.2}

LEARNED = QUICK | STILL | {"epochs": 25, "learning_rate": 0.02, "patience": 25}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory):
    return trained.table(tmp_path_factory.mktemp("drawn"), 48, unknown=0.1)


def test_it_learns_what_can_be_seen(drawn, tmp_path):
    recipe = load(**LEARNED)
    rows = []
    done = train([drawn], recipe, tmp_path / "seen-1", tmp_path, device="cpu", on_epoch=rows.append)
    assert [row["epoch"] for row in rows] == list(range(26))
    assert rows[-1]["loss"] < rows[1]["loss"]
    parts = split(drawn, 0.2, 0.2, 0)
    importing.import_trained(
        done.weights.path, trained_here.described(done.weights.path), tmp_path / "models"
    )
    model = models.get_model("seen-1", tmp_path / "models")
    found = measure.answers(model.network, image_batches.plain(drawn, 224), parts.train, 8, {})
    assert measure.aucs(found) == [1.0, 1.0]
    assert {one.finding: one.number for one in done.evaluation.findings}.keys() == {"Effusion", "Mass"}


def test_what_comes_out_is_a_network_of_the_node_with_the_same_scores(drawn, tmp_path):
    done = train([drawn], load(**LEARNED), tmp_path / "out", tmp_path, name="drawn-2", device="cpu")
    assert done.without_point == {}
    known = trained_here.described(done.weights.path)
    assert known.labels == ("Effusion", "Mass")
    record = importing.import_trained(done.weights.path, known, tmp_path / "models")
    assert record.tensors_sha256 == done.weights.tensors_sha256
    again = importing.import_trained(done.weights.path, known, tmp_path / "models")  # the same file again
    assert again.source_sha256 == record.source_sha256

    # the validation part, by hand: the small network, torch's sigmoid, and Youden's point on them
    network = trained.Small(2)
    network.load_state_dict(load_file(done.weights.path))
    network.eval()
    parts = split(drawn, 0.2, 0.2, 0)
    with torch.no_grad():
        pictures = np.stack([prepare(read(drawn[row].image), 224) for row in parts.valid])
        sigmoids = network(torch.from_numpy(pictures)[:, None]).sigmoid().numpy()
    for i, point in enumerate(known.thresholds):
        labels, outputs = drawn.labels[parts.valid, i], sigmoids[:, i]
        outputs, labels = outputs[~np.isnan(labels)], labels[~np.isnan(labels)]

        def youden(threshold, outputs=outputs, labels=labels):
            called = outputs >= threshold
            return called[labels == 1].mean() + (~called)[labels == 0].mean()

        best = max(youden(value) for value in outputs)
        assert youden(point) == pytest.approx(best)

    files = [drawn[row].image for row in parts.valid]
    scored = list(classify(files, "drawn-2", directory=tmp_path / "models"))
    for one, row in zip(scored, sigmoids, strict=True):
        assert list(one.sigmoids.values()) == pytest.approx(row.tolist(), abs=1e-6)
        for label, p, t in zip(known.labels, row.tolist(), known.thresholds, strict=True):
            expected = p / (2 * t) if p < t else 1 - (1 - p) / (2 * (1 - t))
            assert one.scores[label] == pytest.approx(expected, abs=1e-5)


def test_the_card_and_the_tables_say_what_was_done(drawn, tmp_path):
    out = tmp_path / "drawn-3"
    done = train([drawn], load(**QUICK), out, tmp_path, device="cpu")
    card = done.card.read_text()
    assert "Research software, not a medical device" in card
    assert done.weights.tensors_sha256 in card
    parts = split(drawn, 0.2, 0.2, 0)
    for i, (label, point) in enumerate(
        zip(drawn.pathologies, trained_here.described(done.weights.path).thresholds, strict=True)
    ):
        counts, figures = (line for line in card.splitlines() if line.startswith(f"| {label} |"))
        none = f"| none: {done.without_point.get(label)} |"
        assert (none if point is None else f"{np.float32(point):.4g}") in figures
        cells = [drawn.labels[rows, i] for rows in (parts.train, parts.valid, parts.test)]
        told = " | ".join(f"{np.nansum(cell):.0f} of {(~np.isnan(cell)).sum()}" for cell in cells)
        assert counts == f"| {label} | {told} |"
    assert "may have seen" not in card  # it was drawn
    with (out / "split.csv").open() as file:
        part_of = {row["image"]: row["part"] for row in csv.DictReader(file)}
    assert len(part_of) == len(drawn.take(np.flatnonzero((~np.isnan(drawn.labels)).any(axis=1))))
    with (out / "epochs.csv").open() as file:
        epochs = list(csv.DictReader(file))
    assert [row["stage"] for row in epochs] == ["start", "all"]
    figures = json.loads((out / "figures.json").read_text())
    network = models.get_model(
        "drawn-3", _imported(done.weights.path, tmp_path / "models"), device="cpu"
    ).network
    found = measure.answers(network, image_batches.plain(drawn, 224), parts.test, 8, {})
    for figure in figures["findings"]:
        i = drawn.pathologies.index(figure["finding"])
        known = ~np.isnan(found.labels[:, i])
        assert figure["number"] == known.sum()
        area = roc_auc_score(found.labels[known, i], found.logits[known, i])
        assert figure["auc"]["value"] == pytest.approx(area)


def _imported(file: Path, directory: Path) -> Path:
    importing.import_trained(file, trained_here.described(file), directory)
    return directory


def test_one_finding_against_all_others(drawn, tmp_path):
    recipe = load(**QUICK | {"task": "one-vs-all:Mass"})
    done = train([drawn], recipe, tmp_path / "mass", tmp_path, device="cpu")
    assert trained_here.described(done.weights.path).labels == ("Mass",)
    with (tmp_path / "mass" / "split.csv").open() as file:
        images = {row["image"] for row in csv.DictReader(file)}
    unknown = np.isnan(drawn.labels[:, 1])
    assert images == set(drawn.csv["image"][~unknown])  # not known is not absent
    assert unknown.any()


def test_two_datasets_are_trained_on_together(drawn, tmp_path):
    other = trained.table(tmp_path / "other", 24, seed=1)
    other = replace(tools.relabel(("Mass", "Fracture"), other), name="other")
    done = train([drawn, other], load(**QUICK), tmp_path / "both", tmp_path, device="cpu")
    assert trained_here.described(done.weights.path).labels == ("Effusion", "Mass")  # nobody has a Fracture


def test_images_that_cannot_be_read_are_named_and_left_out(tmp_path):
    table = trained.table(tmp_path / "images", 40)
    (tmp_path / "images" / "3.png").write_bytes(b"no picture")
    (tmp_path / "images" / "7.png").unlink()
    done = train([table], load(**QUICK), tmp_path / "holes", tmp_path, device="cpu")
    assert set(done.unread) <= {"3.png", "7.png"}
    assert done.unread
    assert "could not be read" in done.card.read_text()
    for image in table.csv["image"]:
        (tmp_path / "images" / image).unlink(missing_ok=True)
    with pytest.raises(DatasetError, match="images of drawn can be read: look for them in its folder"):
        train([table], load(**QUICK), tmp_path / "empty", tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("changes", "name", "error", "words"),
    [
        (
            {"labels": ("Hernia",)},
            "n",
            DatasetError,
            "knows nothing of Hernia; its labels are Effusion, Mass",
        ),
        ({}, "all", ConfigError, "a name that no released one has"),
        ({}, "../up", ConfigError, "cannot be called '../up'"),
        ({"init": "nobody"}, "n", WeightsError, "no classifier is called 'nobody': use one of"),
        ({"init": "densenet121-res224-rsna"}, "n", WeightsError, "models pull densenet121-res224-rsna"),
        ({"init": "jfhealthcare"}, "n", ConfigError, "cannot be trained here: name a classifier that is"),
        ({"init": "densenet121-res224-rsna"}, "n", WeightsError, "or begin with --init scratch"),
        ({"init": "nowhere.pth"}, "n", WeightsError, "nowhere.pth is not there"),
        ({"init": "runs/a/a.safetensors"}, "n", WeightsError, "models import runs/a/a.safetensors`, then"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(drawn, tmp_path, changes, name, error, words):
    with pytest.raises(error, match=words):
        train([drawn], load(**QUICK | changes), tmp_path / "out", tmp_path, name=name, device="cpu")
    assert not (tmp_path / "out" / "checkpoint.safetensors").exists()


def test_severities_and_findings_of_one_kind_are_refused(drawn, tmp_path):
    severe = replace(drawn, labels=drawn.labels * 3)
    with pytest.raises(DatasetError, match="neither 0 nor 1"):
        train([severe], load(**QUICK), tmp_path / "out", tmp_path, device="cpu")
    always = replace(drawn, labels=np.ones_like(drawn.labels))
    with pytest.raises(DatasetError, match="Mass is not both present and absent in the"):
        train([always], load(**QUICK | {"labels": ("Mass",)}), tmp_path / "out", tmp_path, device="cpu")
    rare = drawn.labels.copy()
    rare[:, 1] = 0
    rare[split(drawn, 0.2, 0.2, 0).train[0], 1] = 1
    named = load(**QUICK | {"labels": ("Effusion", "Mass")})
    with pytest.raises(
        DatasetError, match=r"Mass is not .* \d+ validation images: take more images, another"
    ):
        train([replace(drawn, labels=rare)], named, tmp_path / "out", tmp_path, device="cpu")
    with pytest.raises(DatasetError, match="no finding is both present and absent in the"):
        train([always], load(**QUICK), tmp_path / "out", tmp_path, device="cpu")


def test_half_precision_trains_weights_in_full_precision(drawn, tmp_path):
    found = {}
    for precision in ("float32", "bfloat16"):
        recipe = load(**QUICK | {"precision": precision})
        done = train([drawn], recipe, tmp_path / precision, tmp_path, name="any", device="cpu")
        found[precision] = load_file(done.weights.path)
    for key, full in found["float32"].items():
        half = found["bfloat16"][key]
        assert half.dtype == full.dtype
        assert torch.allclose(half.double(), full.double(), rtol=0.05, atol=2.0)
    assert not trained.equal(found["float32"], found["bfloat16"])


def test_a_loss_that_is_no_number_and_a_folder_that_cannot_be_written(drawn, tmp_path):
    state = {key: value.numpy() for key, value in trained.Small(1).state_dict().items()}
    state["classifier.weight"] = np.full_like(state["classifier.weight"], np.nan)
    known = trained_here.TrainedNetwork(
        name="broken",
        network="densenet121",
        input_size=224,
        training_data=(),
        cautions=(),
        labels=("Mass",),
        thresholds=(0.5,),
    )
    importing.write_trained(state, known, tmp_path / "broken.safetensors")
    recipe = load(**QUICK | {"init": "broken"})
    with pytest.raises(ConfigError, match="no longer a number: train with a lower learning_rate"):
        train([drawn], recipe, tmp_path / "any", tmp_path, device="cpu")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"file/any cannot be written \(.*\): make room"):
        train([drawn], load(**QUICK), tmp_path / "file" / "any", tmp_path, device="cpu")

"""A training ends at the first loss, output or weight that is no number, and says when the network was "
"sound."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trained
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from xrv_node.errors import ConfigError, DatasetError
from xrv_node.lab.train import checkpoint, image_batches, learning_rate_finder, measure
from xrv_node.lab.train.no_number import NoNumberError
from xrv_node.lab.train.recipe import load
from xrv_node.lab.train.run import train
from xrv_node.models import architectures

pytestmark = pytest.mark.usefixtures("small")

QUICK = {"init": "scratch", "batch": 8, "valid_share": 0.2, "test_share": 0.2}
ONE_OF_THEM = (float("nan"), float("inf"), float("-inf"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory):
    return trained.table(tmp_path_factory.mktemp("drawn"), 40)


class Breaks(trained.Small):
    """Puts out what is no number from a forward pass on, for one image and finding, in a mode."""

    training_too, after, value, finding = False, 0, float("nan"), 1
    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        if self.training == type(self).training_too:
            type(self).passes += 1
            if type(self).passes > type(self).after:
                logits = logits.clone()
                logits[-1, type(self).finding] = type(self).value
        return logits


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> type[Breaks]:
    """The network that is trained, fresh."""
    made = type("Broken", (Breaks,), {"passes": 0})
    monkeypatch.setitem(architectures.ARCHITECTURES, "densenet121", made)
    return made


def epochs(out: Path) -> list[dict[str, str]]:
    with (out / "epochs.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("value", ONE_OF_THEM)
def test_an_output_for_one_image_in_validation_ends_the_run(drawn, tmp_path, breaks, value):
    breaks.value, breaks.after = value, 2  # two epochs are measured before: the start, and the first
    recipe, out = load(**QUICK, epochs=6), tmp_path / "run"
    words = (
        r"the network's output for Mass on 1 of \d+ images is no longer a number: train with a lower "
        r"learning_rate into another folder, for --resume would come to the same; after epoch 1 of stage 'all' "
        "the network was sound"
    )
    with pytest.raises(ConfigError, match=words):
        train([drawn], recipe, out, tmp_path, device="cpu")
    assert [row["stage"] for row in epochs(out)] == ["start", "all"]
    kept = checkpoint.load(out / checkpoint.FILE)
    assert len(kept.position.history) == 2
    assert all(value.isfinite().all() for value in (*kept.network.values(), *kept.best.values()))
    assert not list(out.glob("run.*fetensors"))
    with pytest.raises(ConfigError, match="no longer a number: train with a lower learning_rate"):
        train([drawn], recipe, out, tmp_path, device="cpu", resume=True)
    slower = load(**QUICK, epochs=6, learning_rate=1e-4)
    with pytest.raises(
        ConfigError, match=r"begun with other learning_rate: .* or begin another run in another"
    ):
        train([drawn], slower, out, tmp_path, device="cpu", resume=True)


def test_an_output_in_training_ends_the_run_before_any_checkpoint(drawn, tmp_path, breaks):
    breaks.training_too = True
    with pytest.raises(ConfigError) as caught:
        train([drawn], load(**QUICK, epochs=2), tmp_path / "run", tmp_path, device="cpu")
    assert str(caught.value) == (
        "the loss is no longer a number: train with a lower learning_rate; before training the network was "
        "sound"
    )
    breaks.after = 10**6
    train([drawn], load(**QUICK, epochs=1), tmp_path / "run", tmp_path, device="cpu")  # the folder is free


def test_a_network_that_is_broken_from_the_start_is_told_as_that(drawn, tmp_path, breaks):
    breaks.finding = 0
    with pytest.raises(
        ConfigError, match=r"output for Effusion .* or name another init: it is so of drawn at ran"
    ):
        train([drawn], load(**QUICK, epochs=2), tmp_path / "run", tmp_path, device="cpu")
    assert not (tmp_path / "run" / checkpoint.FILE).exists()


def test_running_statistics_that_overflow_are_kept_in_no_checkpoint(drawn, tmp_path, monkeypatch):
    class Overflows(trained.Small):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                self.features.norm0.running_var.fill_(float("inf"))
            return super().forward(x)

    monkeypatch.setitem(architectures.ARCHITECTURES, "densenet121", Overflows)
    recipe = load(**QUICK, epochs=2, checkpoint_steps=1)
    with pytest.raises(ConfigError, match="a weight or running mean of the network is no longer a number"):
        train([drawn], recipe, tmp_path / "run", tmp_path, device="cpu")
    assert not (tmp_path / "run" / checkpoint.FILE).exists()


def test_a_learning_rate_that_is_too_high_ends_in_words(drawn, tmp_path):
    """Nothing is made up: the weights run away."""
    recipe = load(**QUICK, epochs=30, learning_rate=10.0, clip_norm=1e6, weight_decay=0)
    recipe = recipe.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(ConfigError, match="no longer a number: train with a lower learning_rate"):
        train([drawn], recipe, tmp_path / "run", tmp_path, device="cpu")
    assert all(row["auc"] and np.isfinite(float(row["valid_loss"])) for row in epochs(tmp_path / "run"))


def test_no_area_is_made_of_what_is_no_number():
    labels = np.tile(np.array([[1, 0], [0, 1]], np.float32), (10, 1))
    logits = np.where(labels > 0, 3, -3).astype(np.float32)
    logits[4, 1] = np.nan
    found = measure.Answers(np.arange(20), logits, labels, np.arange(20))
    assert measure.aucs(found) == [1.0, None]
    points = measure.operating_points(found)
    assert points[0] is not None
    assert points[1] is None
    assert measure.areas(found)[1].value is None


def test_measuring_says_for_which_findings(drawn, breaks):
    network = breaks(2)
    with pytest.raises(NoNumberError, match="output for Mass on 2 of 12 images is no longer a number"):
        measure.answers(network, image_batches.plain(drawn, 224), np.arange(12), 6, {})


def test_a_batch_that_cannot_be_read_has_no_loss(tmp_path):
    """The mean is of the steps that trained, and a run that reads nothing to train on ends."""
    table = trained.table(tmp_path / "images", 24)
    recipe = load(**QUICK | {"batch": 1}, epochs=1)
    whole: list[dict[str, object]] = []
    train([table], recipe, tmp_path / "whole", tmp_path, device="cpu", on_epoch=whole.append)
    with (tmp_path / "whole" / "split.csv").open() as file:
        used = [row["image"] for row in csv.DictReader(file) if row["part"] == "train"]
    for image in used[: len(used) // 2]:
        (tmp_path / "images" / image).write_bytes(b"none")
    half: list[dict[str, object]] = []
    train([table], recipe, tmp_path / "half", tmp_path, device="cpu", on_epoch=half.append)
    assert half[1]["loss"] > 0.75 * whole[1]["loss"]
    for image in used:
        (tmp_path / "images" / image).write_bytes(b"none")
    with pytest.raises(DatasetError, match=r"none of \d+ training images of drawn can be read"):
        train([table], recipe, tmp_path / "none", tmp_path, device="cpu")


def test_validation_images_of_one_class_that_can_be_read_end_the_run_at_once(tmp_path):
    table = trained.table(tmp_path / "images", 24)
    recipe = load(**QUICK, epochs=1)
    train([table], recipe, tmp_path / "run", tmp_path, device="cpu")
    with (tmp_path / "run" / "split.csv").open() as file:
        valid = [row["image"] for row in csv.DictReader(file) if row["part"] == "valid"]
    rows = [list(table.csv["image"]).index(image) for image in valid]
    for row in rows:
        if table.labels[row].any():
            (tmp_path / "images" / table.csv["image"].iloc[row]).write_bytes(b"none")
    with pytest.raises(DatasetError, match="no finding is both present and absent in the"):
        train([table], recipe, tmp_path / "again", tmp_path, device="cpu")


def test_the_finder_suggests_nothing_of_losses_that_are_no_numbers():
    rates = np.geomspace(1e-6, 1, 40).tolist()
    losses = np.linspace(1, 0.1, 40)
    assert learning_rate_finder.suggest(rates, losses.tolist()) is not None
    losses[30] = np.nan
    assert learning_rate_finder.suggest(rates, losses.tolist()) is None


def test_the_finder_ends_where_the_network_breaks(drawn, tmp_path, breaks):
    breaks.training_too, breaks.after = True, 4
    with pytest.raises(ConfigError, match="the loss falls at no learning rate: give learning_rate a number"):
        train(
            [drawn], load(**QUICK, epochs=1, learning_rate="find"), tmp_path / "run", tmp_path, device="cpu"
        )


def test_a_finding_of_one_class_in_validation_has_no_point_and_says_why(tmp_path):
    table = trained.table(tmp_path / "images", 48)
    recipe = load(**QUICK, epochs=1)
    first = train([table], recipe, tmp_path / "first", tmp_path, device="cpu")
    with (tmp_path / "first" / "split.csv").open() as file:
        valid = {row["image"] for row in csv.DictReader(file) if row["part"] == "valid"}
    labels = table.labels.copy()
    labels[table.csv["image"].isin(valid), 1] = np.nan
    assert first.without_point.keys() <= {"Effusion", "Mass"}
    found = measure.Answers(np.arange(48), np.zeros((48, 2), np.float32), labels, np.arange(48))
    points = measure.operating_points(found)
    why = measure.without_point(table.pathologies, points, measure.areas(found))
    assert why["Effusion"].startswith("not told from chance in validation (AUC 0.500, ")
    only = replace(found, labels=np.where(np.isnan(labels), np.nan, 0).astype(np.float32))
    assert set(measure.without_point(("A", "B"), (None, None), measure.areas(only)).values()) == {
        "not both present and absent in validation"
    }


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_gradients_that_overflow_end_the_run(drawn, tmp_path, monkeypatch, precision):
    class Steep(trained.Small):
        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x)
            return logits + (logits.abs() * 0).sqrt()  # 0, and of no gradient

    monkeypatch.setitem(architectures.ARCHITECTURES, "densenet121", Steep)
    recipe = load(**QUICK, epochs=1, precision=precision)
    with pytest.raises(ConfigError, match="the gradient of the loss is no longer a number"):
        train([drawn], recipe, tmp_path / "run", tmp_path, device="cpu")


def test_a_module_without_weights_that_are_no_numbers_is_taken():
    from xrv_node.lab.train.no_number import check_weights

    network = nn.BatchNorm2d(3)
    check_weights(network)
    network.running_mean[1] = torch.nan
    with pytest.raises(NoNumberError, match="a weight or running mean"):
        check_weights(network)


def test_a_checkpoint_whose_best_network_is_none_ends_in_words(drawn, tmp_path):
    """As versions before wrote it, that took an area of NaN for the best."""
    recipe, out = load(**QUICK, epochs=1), tmp_path / "run"
    train([drawn], recipe, out, tmp_path, device="cpu")
    path = out / checkpoint.FILE
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no mapping)
    for key, value in tensors.items():
        if key.startswith("best.") and value.is_floating_point():
            value.fill_(torch.nan)
    position = json.loads(header["position"])
    position["history"][-1] |= {"valid_loss": float("nan"), "best": True}
    del position["trained"]
    save_file(tensors, path, header | {"position": json.dumps(position)})
    with pytest.raises(ConfigError, match="is no longer a number: train with a lower learning_rate"):
        train([drawn], recipe, out, tmp_path, device="cpu", resume=True)

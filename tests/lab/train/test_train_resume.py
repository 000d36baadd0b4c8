"""A training that was cut off and goes on ends with the weights of one that was not, to the last bit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import killed_training
import pytest
import torch
import trained
from safetensors import safe_open
from safetensors.torch import load_file

from xrv_node.errors import ConfigError
from xrv_node.lab.train import checkpoint
from xrv_node.lab.train.recipe import load
from xrv_node.lab.train.run import train
from xrv_node.models import importing, trained_here

QUICK = {"init": "scratch", "batch": 4, "valid_share": 0.2, "test_share": 0.2, "checkpoint_steps": 1}


class Cut(Exception):
    """Ends a training from outside."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory):
    return trained.table(tmp_path_factory.mktemp("drawn"), 32)


def run(table, recipe, out, *, cut=0, resume=False):
    """Train; `cut`: end after so many steps. Returns the step at which it went on."""
    seen = []

    def on_step(done, _):
        seen.append(done)
        if done == cut:
            raise Cut

    train([table], recipe, out, out.parent, name="any", device="cpu", resume=resume, on_step=on_step)
    return seen[0] if seen else None


@pytest.fixture
def before(small, tmp_path) -> dict[str, torch.Tensor]:
    """The weights of a network that was trained before, and is in the model directory by that name."""
    torch.manual_seed(1)
    state = trained.Small(2).state_dict()
    known = trained_here.TrainedNetwork(
        name="before",
        network="densenet121",
        input_size=224,
        training_data=("drawn",),
        cautions=(),
        labels=("Mass", "Hernia"),
        thresholds=(0.3, 0.4),
    )
    importing.write_trained(
        {key: value.numpy() for key, value in state.items()}, known, tmp_path / "before.safetensors"
    )
    return state


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("cut", [2, 5, 6, 11])
def test_wherever_it_is_cut_off(drawn, tmp_path, cut):
    """Five steps an epoch; a checkpoint after each but the epoch's last, which has its own after measuring."""
    recipe = load(**QUICK, epochs=2, learning_rate=0.01)
    before = torch.get_rng_state()
    run(drawn, recipe, tmp_path / "whole")
    if cut < 10:
        with pytest.raises(Cut):
            run(drawn, recipe, tmp_path / "cut", cut=cut)
        # the step during which it was cut off was not saved yet
        assert run(drawn, recipe, tmp_path / "cut", resume=True) == cut
    else:
        run(drawn, recipe, tmp_path / "cut")
        assert run(drawn, recipe, tmp_path / "cut", resume=True) is None  # it was done
    assert torch.equal(before, torch.get_rng_state())
    for file in (checkpoint.FILE, "any.safetensors"):
        assert trained.equal(load_file(tmp_path / "whole" / file), load_file(tmp_path / "cut" / file))
    for file in ("epochs.csv", "split.csv", "figures.json", "run.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes()


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("cut", [3, 5, 7])
def test_with_a_frozen_stage_and_the_finder(drawn, tmp_path, cut):
    recipe = load(**QUICK | {"init": "before"}, epochs=1, frozen_epochs=1, learning_rate="find")
    run(drawn, recipe, tmp_path / "whole")
    with pytest.raises(Cut):
        run(drawn, recipe, tmp_path / "cut", cut=cut)
    run(drawn, recipe, tmp_path / "cut", resume=True)
    whole, other = (load_file(tmp_path / name / checkpoint.FILE) for name in ("whole", "cut"))
    assert trained.equal(whole, other)


def test_the_body_is_frozen_while_the_last_layer_is_trained(drawn, tmp_path, before):
    recipe = load(**QUICK | {"init": "before"}, epochs=0, frozen_epochs=2, frozen_learning_rate=0.1)
    run(drawn, recipe, tmp_path / "head")
    after = checkpoint.load(tmp_path / "head" / checkpoint.FILE).network
    body = {key for key in before if not key.startswith("classifier.")}
    assert all(torch.equal(after[key], before[key]) for key in body)  # running statistics too
    # Effusion is new, Mass goes on from where it was
    assert not torch.equal(after["classifier.weight"][1], before["classifier.weight"][0])
    rows = checkpoint.load(tmp_path / "head" / checkpoint.FILE).position.history
    assert [row["stage"] for row in rows] == ["start", "head", "head"]


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize(("labels", "first"), [(("Mass",), True), (("Mass", "Effusion"), False)])
def test_only_a_network_that_knows_every_finding_can_be_best_before_it_is_trained(
    drawn, tmp_path, labels, first
):
    recipe = load(**QUICK | {"init": "before", "labels": labels}, epochs=1, frozen_epochs=1)
    run(drawn, recipe, tmp_path / "run")
    history = checkpoint.load(tmp_path / "run" / checkpoint.FILE).position.history
    assert history[0]["best"] is first
    assert any(row["best"] for row in history)


@pytest.mark.usefixtures("small")
def test_it_stops_early_and_keeps_the_best(drawn, tmp_path):
    recipe = load(**QUICK, epochs=12, learning_rate=0.02, patience=2)
    run(drawn, recipe, tmp_path / "early")
    saved = checkpoint.load(tmp_path / "early" / checkpoint.FILE)
    history = saved.position.history
    best = max(row["auc"] for row in history[1:])
    last_best = max(number for number, row in enumerate(history) if row["best"])
    assert history[last_best]["auc"] == best == saved.position.best_auc
    assert len(history) - 1 - last_best == 2 or len(history) == 13
    assert trained.equal(saved.best, load_file(tmp_path / "early" / "any.safetensors"))


@pytest.mark.usefixtures("small")
def test_a_run_goes_on_only_as_what_it_was(drawn, tmp_path):
    recipe = load(**QUICK, epochs=1)
    out = tmp_path / "run"
    with pytest.raises(ConfigError, match="is not there: leave --resume out"):
        run(drawn, recipe, out, resume=True)
    run(drawn, recipe, out)
    with pytest.raises(ConfigError, match="holds a run: add --resume to go on with it"):
        run(drawn, recipe, out)
    for table, other, what in (
        (drawn, load(**QUICK | {"batch": 5}, epochs=2), "other batch, epochs: go on with the same"),
        (drawn.take(range(30)), recipe, "other images or labels: go on with the same"),
    ):
        with pytest.raises(ConfigError, match=what):
            run(table, other, out, resume=True)


@pytest.mark.usefixtures("small")
def test_a_checkpoint_is_tensors_and_json_and_a_damaged_one_is_said(drawn, tmp_path):
    run(drawn, load(**QUICK, epochs=1), tmp_path / "run")
    file = tmp_path / "run" / checkpoint.FILE
    with safe_open(file, framework="pt") as opened:
        assert {key: type(json.loads(value)) for key, value in opened.metadata().items()} == {
            "identity": dict,
            "position": dict,
            "groups": list,
            "schedule": dict,
        }
    whole = file.read_bytes()
    for damaged in (
        b"",
        whole[:100],
        whole[:-8],
        whole.replace(b'"position"', b'"positron"'),
        b"\x80\x04K\x01.",
    ):
        file.write_bytes(damaged)
        with pytest.raises(ConfigError, match="is damaged or no checkpoint"):
            checkpoint.load(file)


@pytest.mark.timeout(600)  # a second process imports everything once more
@pytest.mark.usefixtures("small")
def test_a_process_that_is_killed(tmp_path):
    images, out = tmp_path / "images", tmp_path / "killed"
    command = [sys.executable, killed_training.__file__, str(images), str(out), "9"]
    assert subprocess.run(command, check=False, timeout=280).returncode == -signal.SIGKILL
    assert not (out / "killed.safetensors").exists()
    killed_training.run(images, out, resume=True)
    killed_training.run(images, tmp_path / "whole")
    for file in (checkpoint.FILE, "killed.safetensors"):
        assert trained.equal(load_file(tmp_path / "whole" / file), load_file(out / file))

"""Networks that their user fine-tuned with torchxrayvision: found in their files, checked, and used by "
"name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchxrayvision
from recipes import recipe
from safetensors.torch import save_file
from torch import Tensor, nn
from typer.testing import CliRunner

from xrv_node import models
from xrv_node.cli import app
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.lab.train import network
from xrv_node.lab.train.recipe import load
from xrv_node.models import catalog, fine_tuned, weights

ALL, RESNET = catalog.find("all"), catalog.find("resnet50")
FINDINGS = ("Effusion", "Mass", "Nodule")


def tuned(outputs: int = 3) -> nn.Module:
    """As a user of torchxrayvision makes it: the released network with another last layer."""
    made = torchxrayvision.models.DenseNet(weights=None)
    made.load_state_dict(recipe("densenet121", "F"))
    torch.manual_seed(1)
    made.classifier = nn.Linear(1024, outputs)
    nn.init.normal_(made.classifier.bias)
    return made.eval()


@pytest.fixture(scope="module")
def made() -> nn.Module:
    return tuned()


@pytest.fixture(scope="module")
def state(made: nn.Module) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in made.state_dict().items()}


def same(found: fine_tuned.FineTuned, state: dict[str, np.ndarray]) -> bool:
    return found.tensors.keys() == state.keys() and all(
        np.array_equal(found.tensors[key], value) for key, value in state.items()
    )


@pytest.fixture(scope="module")
def directory(made: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with it, imported on the command line from a module that was saved whole."""
    place = tmp_path_factory.mktemp("own")
    torch.save(made, place / "Chest-1.pt")
    run = CliRunner()
    done = run.invoke(
        app,
        [
            *("models", "import", str(place / "Chest-1.pt"), "--dir", str(place / "models")),
            *("--like", "densenet121-res224-all", "--findings", "Effusion, Mass ,Nodule"),
        ],
    )
    assert done.exit_code == 0, done.output + str(done.exception)
    assert "scores are plain sigmoids" in done.output
    return place / "models"


@torch.no_grad()
def test_its_numbers_are_those_of_torchxrayvision(directory: Path, made: nn.Module, image: Tensor):
    model = models.get_model("chest-1", directory)
    assert (model.pathologies, model.thresholds, model.size) == (FINDINGS, None, 224)
    x = nn.functional.interpolate(image, 224)
    theirs = made(x)
    assert theirs.std() > 0.01
    assert torch.allclose(model.logits(x), theirs, atol=1e-5)
    assert torch.allclose(model(x), theirs.sigmoid(), atol=1e-6)


def test_it_is_one_of_the_networks(directory: Path):
    entry = catalog.find("Chest-1", "classifier", directory)
    assert (entry.status, entry.calls, entry.labels) == ("fine-tuned elsewhere", True, FINDINGS)
    assert "before: PadChest" in entry.training_data
    assert weights.verify(entry, directory).source_file == "Chest-1.pt"
    listed = CliRunner().invoke(app, ["models", "list", "--dir", str(directory), "--json"])
    (row,) = (one for one in json.loads(listed.stdout)["items"] if one["name"] == "chest-1")
    assert (row["labels"], row["status"]) == (list(FINDINGS), "fine-tuned elsewhere")
    assert catalog.served("chest-1", "classifier", directory) == entry


def test_a_training_begins_with_it(directory: Path, state):
    begun = network.start(load(init="chest-1"), ("Mass", "Hernia"), directory)
    head = begun.network.state_dict()
    assert np.array_equal(head["classifier.weight"][0], state["classifier.weight"][1])
    assert np.array_equal(head["features.conv0.weight"], state["features.conv0.weight"])
    assert not begun.knows_all


@torch.no_grad()
@pytest.mark.parametrize("kind", ["pickle", "safetensors"])
def test_a_state_dict_in_half_precision_with_operating_points(made, tmp_path: Path, image: Tensor, kind: str):
    """bfloat16, as a trainer saves it: torchxrayvision scales by the same numbers."""
    points = torch.tensor([0.125, float("nan"), 0.5])
    half = {f"model.{key}": value.to(torch.bfloat16) for key, value in made.state_dict().items()}
    half = {key: value if "num_batches" not in key else torch.tensor(7) for key, value in half.items()} | {
        "model.op_threshs": points
    }
    path = tmp_path / ("mine.ckpt" if kind == "pickle" else "mine.safetensors")
    if kind == "pickle":
        torch.save({"epoch": 3, "state_dict": half, "loops": {}, "hyper_parameters": {"lr": 1e-4}}, path)
    else:
        save_file(half, path)
    record, remarks = fine_tuned.import_fine_tuned(path, ALL, FINDINGS, tmp_path / "models", name="mine")
    assert (record.source_dtype, remarks) == (
        "bfloat16",
        ("Mass: without an operating point, and so in no result",),
    )
    model = models.get_model("mine", tmp_path / "models")
    assert model.pathologies == ("Effusion", "Nodule")  # as of Mass there is no operating point
    theirs = torchxrayvision.models.DenseNet(weights=None, num_classes=3, op_threshs=points)
    theirs.load_state_dict({key.removeprefix("model."): value.float() for key, value in half.items()})
    x = nn.functional.interpolate(image, 224)
    assert torch.allclose(model(x), theirs.eval()(x)[:, [0, 2]], atol=1e-5)


def test_a_state_in_half_precision_that_a_program_gives(made: nn.Module, image: Tensor):
    whole = recipe("densenet121", "F")
    half = {k: v.to(torch.bfloat16) if v.is_floating_point() else v for k, v in whole.items()}
    rounded = {k: v.float() if v.is_floating_point() else v for k, v in half.items()}
    x = nn.functional.interpolate(image, 224)
    one, other = (models.get_model("nih", state=state) for state in (half, rounded))
    assert one.sha256 == other.sha256
    with torch.no_grad():
        assert torch.equal(one(x), other(x))


def test_what_stands_around_a_network_is_left_out(state):
    wrapped = {f"module.model.{key}": value for key, value in state.items()}
    wrapped |= {"module.criterion.pos_weight": np.ones(3, np.float32)}
    found = fine_tuned.arranged(wrapped, ALL, 3)
    assert same(found, state)
    assert found.remarks == ("left out, as not of the network: 1 of the file's 728 tensors",)
    behind = {key.replace("classifier.", "classifier.1."): value for key, value in state.items()}
    assert same(fine_tuned.arranged(behind, ALL, 3), state)  # nn.Sequential(Dropout, Linear)
    bare = {key: value for key, value in state.items() if not key.endswith(("num_batches_tracked", "r.bias"))}
    assert fine_tuned.arranged(bare, ALL, 3).tensors["classifier.bias"].tolist() == [0, 0, 0]
    with_old = state | {"op_threshs": np.full(18, 0.3, np.float32)}
    found = fine_tuned.arranged(with_old, ALL, 3)
    assert found.points is None
    assert "18 operating points (op_threshs) are of other outputs" in found.remarks[0]


WRONG = {
    "fewer outputs than names": (lambda s: s, 4, "last layer has 3 outputs; 4 findings are named"),
    "more outputs than names": (lambda s: s, 1, "last layer has 3 outputs; 1 finding is named"),
    "three colours": (
        lambda s: s | {"features.conv0.weight": np.ones((64, 3, 7, 7), np.float32)},
        3,
        "takes 3 colours, and that of densenet121-res224-all one grey channel",
    ),
    "a head of two layers": (
        lambda s: s | {"classifier.0.weight": np.ones((8, 1024), np.float32)},
        3,
        "is not one linear layer, .* it holds classifier.0.weight",
    ),
    "no head": (lambda s: {k: v for k, v in s.items() if "classifier" not in k}, 3, "it holds nothing"),
    "a layer too few": (
        lambda s: {k: v for k, v in s.items() if "denselayer16" not in k},
        3,
        "tensors are missing and 0 are unknown, 'features.denseblock3.denselayer16",
    ),
    "of another width": (
        lambda s: s | {"classifier.weight": np.ones((3, 1000), np.float32)},
        3,
        r"'classifier.weight' is \[3, 1000\], not \[3, 1024\]",
    ),
    "no numbers": (
        lambda s: s | {"features.norm5.running_var": np.full(1024, np.nan, np.float32)},
        3,
        "values of 'features.norm5.running_var' are no finite numbers",
    ),
    "no network": (lambda _: {"a.weight": np.ones(3, np.float32)}, 3, "has no tensor .* example 'a.weight'"),
    "nothing": (lambda _: {}, 3, "it has no tensors"),
    "two networks": (
        lambda s: {f"{n}.{k}": v for n in ("student", "teacher") for k, v in s.items()},
        3,
        r"holds 2 networks \('student.', 'teacher.'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_such_a_network_is_told_by_what_was_found(name: str, state):
    change, outputs, words = WRONG[name]
    with pytest.raises(WeightsError, match=words):
        fine_tuned.arranged(change(dict(state)), ALL, outputs)


def test_a_resnet_as_torchxrayvision_saves_it_and_the_other_kind(state):
    own = {key: value.numpy() for key, value in recipe("resnet50_classifier", "F2").items()}
    wrapped = {f"model.{key}": value for key, value in own.items()}
    wrapped |= {"op_threshs": np.full(18, 0.5, np.float32)}
    found = fine_tuned.arranged(wrapped, RESNET, 18)
    assert same(found, own)
    assert found.points == (0.5,) * 18
    with pytest.raises(WeightsError, match="it is a densenet121, and resnet50-res512-all is a resnet50_cl"):
        fine_tuned.arranged(state, RESNET, 3)
    with pytest.raises(WeightsError, match="it is a resnet50_classifier, and densenet121-res224-all is a"):
        fine_tuned.arranged(wrapped, ALL, 18)


def test_operating_points_of_before_it_was_fine_tuned_are_told(state):
    found = fine_tuned.arranged(state, ALL, 3)
    old = fine_tuned.FineTuned(found.tensors, ALL.thresholds, ())
    known = fine_tuned.described("mine", ALL, ALL.labels, old, None)
    assert any("of before it was fine-tuned" in one for one in known.cautions)
    given = fine_tuned.described("mine", ALL, FINDINGS, found, (0.2, None, 0.4))
    assert given.thresholds == (0.2, None, 0.4)
    assert not any("before it was" in one for one in given.cautions)


@pytest.mark.parametrize(
    ("name", "findings", "points", "words"),
    [
        ("all", FINDINGS, None, "name: all is the name of a released network"),
        ("My Net", FINDINGS, None, "name: String should match"),
        ("mine", ("Mass", "Mass", "A"), None, "each label needs one name of its own"),
        ("mine", ("Mass", "", "A"), None, "labels.1: String should have at least 1"),
        ("mine", FINDINGS, (0.2, 1.0, 0.3), "thresholds.1"),
    ],
)
def test_names_findings_and_points_that_cannot_be(state, name, findings, points, words):
    found = fine_tuned.FineTuned(state, None, ())
    with pytest.raises(WeightsError, match=words):
        fine_tuned.described(name, ALL, findings, found, points)


def refused(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["models", "import", *map(str, arguments)])
    assert isinstance(done.exception, WeightsError | ConfigError), done.output
    return str(done.exception)


def test_the_command_line_says_what_to_change(tmp_path: Path):
    own = tmp_path / "mine.pt"
    torch.save({"a.weight": torch.ones(3)}, own)
    place = ("--dir", tmp_path / "models")
    assert "say with --like from which network, and with --findings" in refused(own, *place)
    assert "needs both: --like" in refused(own, *place, "--like", "all")
    whole = {key: (10 * value).to(torch.int8) for key, value in recipe("densenet121", "F").items()}
    torch.save(whole, tmp_path / "quantised.pt")
    said = refused(
        tmp_path / "quantised.pt", "--like", "all", "--findings", ",".join("abcdefghijklmnopqr"), *place
    )
    assert "'features.conv0.weight' holds int8, not float32: import the weights as they were" in said
    gone = refused(tmp_path / "gone.pt", "--like", "all", "--findings", "Mass", *place)
    assert "gone.pt cannot be read (No such file or directory): name a weights file" in gone
    assert "needs both: --like" in refused(own, *place, "--findings", "Mass")
    like = ("--like", "all", "--findings", "Mass,Effusion", *place)
    assert "mine.pt cannot be imported like densenet121-res224-all: it is no network" in refused(own, *like)
    assert "1 thresholds and 2 findings" in refused(own, *like, "--thresholds", "0.5")
    assert "neither a file that is there nor numbers" in refused(own, *like, "--thresholds", "a,b")
    other = refused(own, "--like", "jfhealthcare", "--findings", "Mass", *place)
    assert "jfhealthcare is nothing to fine-tune: name a classifier that is a densenet121" in other
    (tmp_path / "points.toml").write_text("[models.thresholds]\nHernia = 0.2\n")
    assert "operating points of Hernia" in refused(own, *like, "--thresholds", tmp_path / "points.toml")
    assert not (tmp_path / "models").exists()


class Runs:
    """What a pickle has run when it is read."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, (f"open({str(self.witness)!r}, 'w')",))


def test_harm_in_such_a_file_is_not_done(tmp_path: Path, made: nn.Module):
    torch.save(
        {"state_dict": made.state_dict(), "callbacks": Runs(tmp_path / "witness")}, tmp_path / "mine.pt"
    )
    with pytest.raises(WeightsError, match="which weights do not need: it was not read"):
        fine_tuned.import_fine_tuned(tmp_path / "mine.pt", ALL, FINDINGS, tmp_path / "models")
    assert not (tmp_path / "witness").exists()


def test_points_of_a_file_and_findings_without_a_code(made: nn.Module, tmp_path: Path):
    torch.save({"model": made.state_dict(), "epoch": 2}, tmp_path / "odd.pt")
    (tmp_path / "points.toml").write_text('[models.thresholds]\n"Mass" = 0.25\n"Hilum" = 0.75\n')
    done = CliRunner().invoke(
        app,
        [
            *("models", "import", str(tmp_path / "odd.pt"), "--dir", str(tmp_path / "models")),
            *("--like", "nih", "--findings", "Mass,Hilum,effusion"),
            *("--thresholds", str(tmp_path / "points.toml")),
        ],
    )
    assert done.exit_code == 0, done.output + str(done.exception)
    assert "'Hilum' has no row in dicom_config/findings.toml" in done.output
    assert "'effusion'" not in done.output  # which is in no result
    model = models.get_model("odd", tmp_path / "models")
    assert (model.pathologies, model.thresholds) == (("Mass", "Hilum"), (0.25, 0.75))

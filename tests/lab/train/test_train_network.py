"""What a training begins with, against torchvision's own networks."""

from __future__ import annotations

import re

import pytest
import torch
import torchvision
import untrained
from safetensors.numpy import save_file

from xrv_node.errors import WeightsError
from xrv_node.lab.train import network
from xrv_node.lab.train.recipe import load
from xrv_node.models import catalog, convert
from xrv_node.models.inputs import imagenet as normalised

BODIES = {
    "densenet121": (torchvision.models.densenet121, lambda n: (n.features.conv0, n.features.norm0)),
    "resnet50_classifier": (torchvision.models.resnet50, lambda n: (n.conv1, n.bn1)),
}


@pytest.mark.parametrize("architecture", BODIES)
def test_imagenet_weights_compute_in_grey_what_they_compute_in_colour(architecture, tmp_path):
    build, first_of = BODIES[architecture]
    torch.manual_seed(0)
    theirs = build(weights=None).eval()
    convolution, norm = first_of(theirs)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    recipe = load(init=str(tmp_path / "weights.pth"), network=architecture)
    start = network.start(recipe, ("Mass", "Effusion"), tmp_path)
    x = torch.rand(1, 1, 64, 64) * 2048 - 1024
    with torch.no_grad():
        expected = norm(convolution(normalised(x)))
        ours = start.network.eval()
        first, second = (ours.get_submodule(name) for name in network.FIRST[architecture])
        found = second(first(x))
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # borders are padded with other values
    assert torch.allclose(found[inner], expected[inner], atol=1e-4)
    others = {k: v for k, v in theirs.state_dict().items() if k.partition(".")[0] not in ("classifier", "fc")}
    changed = [key for key in others if not torch.equal(others[key], ours.state_dict()[key])]
    assert {key.rpartition(".")[0] for key in changed} == set(network.FIRST[architecture])
    assert start.head.out_features == 2


def test_the_names_of_torchvisions_older_files(tmp_path):
    """``densenet121-a639ec97.pth`` has norm.1 for norm1, and no counters of batches."""
    state = torchvision.models.densenet121(weights=None).state_dict()
    older = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
    assert older.keys() != state.keys()
    torch.save(state, tmp_path / "new.pth")
    torch.save(older, tmp_path / "older.pth")
    new, old = (network.imagenet(tmp_path / f"{name}.pth", "densenet121") for name in ("new", "older"))
    assert new.keys() == old.keys()
    assert all(torch.equal(new[key], old[key]) for key in new)


def test_another_networks_file_and_a_hostile_one_are_refused(tmp_path):
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "small.pth")
    recipe = load(init=str(tmp_path / "small.pth"))
    with pytest.raises(WeightsError, match="not torchvision's densenet121: name another file or `network`"):
        network.start(recipe, ("Mass",), tmp_path)
    with pytest.raises(WeightsError, match="are not those of a resnet50_classifier"):
        network.start(recipe.model_copy(update={"network": "resnet50_classifier"}), ("Mass",), tmp_path)
    torch.save({"x": print}, tmp_path / "small.pth")
    with pytest.raises(WeightsError, match="which weights do not need"):
        network.start(recipe, ("Mass",), tmp_path)


def test_released_weights_keep_the_outputs_of_findings_that_they_know(tmp_path):
    entry = catalog.find("nih")
    state = untrained.seeded_state(entry)
    arrays = {key: value.numpy() for key, value in state.items()}
    record = {
        "name": entry.name,
        "source_file": "drawn",
        "source_sha256": "0",
        "tensors_sha256": convert.tensors_sha256(arrays),
        "imported_at": "2026-01-01T00:00:00+00:00",
        "xrv_node": "0",
    }
    save_file(arrays, entry.weights_path(tmp_path), record)
    labels = ("Mass", "Lung Opacity", "Effusion")  # Lung Opacity is not among its findings
    random = torch.get_rng_state()
    start = network.start(load(init="nih"), labels, tmp_path)
    assert torch.equal(random, torch.get_rng_state())
    theirs = dict(entry.trained_heads)
    made = start.network.state_dict()
    for output, label in ((0, "Mass"), (2, "Effusion")):
        for key in ("classifier.weight", "classifier.bias"):
            assert torch.equal(made[key][output], state[key][theirs[label]])
    assert made["classifier.weight"].shape == (3, 1024)
    assert all(torch.equal(made[key], state[key]) for key in state if key.startswith("features."))
    assert all(parameter.requires_grad for parameter in start.network.parameters())
    again = network.start(load(init="nih"), labels, tmp_path).network.state_dict()
    other = network.start(load(init="nih", seed=1), labels, tmp_path).network.state_dict()
    assert torch.equal(made["classifier.weight"], again["classifier.weight"])
    assert not torch.equal(made["classifier.weight"][1], other["classifier.weight"][1])
    assert (start.licence, start.training_data) == ("Apache-2.0", ("NIH ChestX-ray14",))

"""What holds for every network; that its numbers are torchxrayvision's is in ``test_models_parity.py``."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from recipes import TINY_VQGAN, recipe

from xrv_node.errors import ImageError
from xrv_node.models import architectures, catalog

ENTRIES = {entry.network: entry for entry in catalog.entries() if entry.checkpoint != "program"}
SIZES = {"vqgan": TINY_VQGAN, "chexpert_ensemble": {"members": 1}}


def network(name: str, weights: str) -> torch.nn.Module:
    return architectures.assemble(ENTRIES[name], recipe(name, weights))


@cache
def skeleton(name: str) -> torch.nn.Module:
    return architectures.skeleton(name, SIZES.get(name))


def close(ours: torch.Tensor, theirs: torch.Tensor, relative: float) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= relative * theirs.abs().max()


def test_building_takes_no_random_numbers():
    before = torch.get_rng_state()
    for name in ENTRIES:
        architectures.skeleton(name, SIZES.get(name))
    assert torch.equal(before, torch.get_rng_state())


@torch.inference_mode()
def test_map_and_logits_come_from_one_pass(image):
    """The map is after its ReLU, as torchxrayvision's features are not, and the logits are those without it."""
    import torchxrayvision

    theirs = torchxrayvision.models.DenseNet(weights=None).eval()
    theirs.load_state_dict(recipe("densenet121", "F2"))
    ours, x = network("densenet121", "F2"), image[..., :224, :224].contiguous()
    logits, activation = ours.forward_with_map(x)
    close(activation, torch.relu(theirs.features(x)), 1e-4)
    assert activation.shape == (1, 1024, 7, 7)
    assert torch.equal(logits, ours(x))
    assert torch.equal(activation, ours.activation_map(x))
    close(ours.classifier(activation.mean(dim=(2, 3))), logits, 1e-6)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(1, 3, 224, 224), "batch, 1, height, width"),
        (torch.zeros(224, 224), "batch, 1, height, width"),
        (torch.zeros(0, 1, 224, 224), "batch, 1, height, width"),
        (torch.zeros(1, 1, 224, 224, dtype=torch.uint8), "floating point"),
        (torch.zeros(1, 1, 224, 200), "square"),
        (torch.full((1, 1, 224, 224), 4095.0), "1024"),
        (torch.full((1, 1, 224, 224), -1025.5), "1024"),
        (torch.full((1, 1, 224, 224), torch.nan), "1024"),
        (torch.full((1, 1, 224, 224), torch.inf), "1024"),
    ],
)
@pytest.mark.parametrize("name", ENTRIES)
def test_wrong_input_is_refused(name, x, words):
    with pytest.raises(ImageError, match=words):
        skeleton(name)(x)


def test_autoencoder_does_not_resize():
    with pytest.raises(ImageError, match="224 x 224"):
        architectures.skeleton("resnet_autoencoder")(torch.zeros(1, 1, 512, 512))

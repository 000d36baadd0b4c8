"""The network that a training begins with: released weights, torchvision's of ImageNet, or new ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from xrv_node.errors import ConfigError, WeightsError
from xrv_node.lab.train.recipe import SCRATCH
from xrv_node.models import catalog, densenet, resnet, weights
from xrv_node.models.architectures import ARCHITECTURES, HEAD, assemble
from xrv_node.models.importing import file_sha256
from xrv_node.models.inputs import IMAGENET_MEAN, IMAGENET_STD, LIMIT
from xrv_node.models.numbers import as_float32, floating

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from xrv_node.lab.train.recipe import Recipe

FIRST = {"densenet121": ("features.conv0", "features.norm0"), "resnet50_classifier": ("conv1", "bn1")}
"""Its first convolution, and the batch normalisation after it."""

SIZE = {"densenet121": densenet.SIZE, "resnet50_classifier": resnet.CLASSIFIER.size}
"""Rows and columns that it works on."""

IMAGENET = "ImageNet"

EPSILON = 1e-5
"""Of torchvision's batch normalisations."""


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A network with new outputs."""

    network: nn.Module
    """On the CPU, parameters with gradients."""
    architecture: str
    """A key of `HEAD`."""
    words: str
    """Where its weights come from, for the model card."""
    licence: str
    """Of those weights: SPDX, or a sentence."""
    training_data: tuple[str, ...]
    """What they were trained on before."""
    knows_all: bool
    """Whether they know every finding, so that no output was drawn."""

    @property
    def head(self) -> nn.Linear:
        """The last layer."""
        layer: nn.Linear = getattr(self.network, HEAD[self.architecture])
        return layer

    @property
    def caution(self) -> str:
        """What to mind of figures on the test part; empty where the weights had seen no radiograph before."""
        if not set(self.training_data) - {IMAGENET}:
            return ""
        return (
            "The weights that it began with may have seen images of the test part before, and its figures "
            "may be too good: measure it on a dataset that was not among their training data too."
        )

    @property
    def size(self) -> int:
        """Rows and columns of the input that it is trained on."""
        return SIZE[self.architecture]


def start(recipe: Recipe, labels: tuple[str, ...], directory: Path) -> Start:
    """Build the network of a recipe.

    Outputs of findings that the weights know already keep their weights; those of others are drawn, by the
    recipe's seed. No global random state is moved.

    Parameters
    ----------
    recipe
        ``init``, ``network`` and ``seed``.
    labels
        What the outputs are to stand for, in order.
    directory
        The model directory, for a named network.

    Raises
    ------
    WeightsError
        No such network, or weights that are missing, damaged or of another network.
    ConfigError
        A network that cannot be trained here.
    """
    if recipe.init == SCRATCH:
        made = _new(recipe.network, len(labels), recipe.seed)
        return Start(made, recipe.network, "drawn at random", "none: no weights were taken over", (), False)
    file = Path(recipe.init)
    if file.suffix in (".pth", ".pt"):
        made = _new(recipe.network, len(labels), recipe.seed)
        _load(made, recipe.network, imagenet(file, recipe.network))
        return Start(
            made,
            recipe.network,
            f"torchvision's ImageNet weights ({file.name}, SHA-256 {file_sha256(file)})",
            "those of torchvision's pre-trained weights and of ImageNet",
            (IMAGENET,),
            knows_all=False,
        )
    if file.suffix == ".safetensors":
        raise WeightsError(
            f"{file} cannot be begun with as a file: run `xrv-node models import {file}`, then give its name"
        )
    entry = catalog.find(recipe.init, "classifier", directory)
    if entry.network not in HEAD:
        raise ConfigError(
            f"{entry.name} cannot be trained here: name a classifier that is a {' or a '.join(HEAD)}"
        )
    if weights.installed(entry, directory) is None:
        raise WeightsError(
            f"weights of {entry.name} are not in {directory}: {catalog.remedy(entry)}; or begin with "
            f"--init {SCRATCH}"
        )
    state, record = weights.load(entry, directory)
    assemble(entry, state, record.dimensions)  # refuses weights of another network
    made = _new(entry.network, len(labels), recipe.seed)
    head = f"{HEAD[entry.network]}."
    _load(made, entry.network, {k: v for k, v in state.items() if not k.startswith(head)})
    known = dict(entry.trained_heads)
    with torch.no_grad():
        for output, label in enumerate(labels):
            if label in known:
                for key in ("weight", "bias"):
                    made.get_parameter(head + key)[output] = state[head + key][known[label]]
    words = f"{entry.name} (tensors SHA-256 {record.tensors_sha256})"
    return Start(made, entry.network, words, entry.licence, entry.training_data, known.keys() >= set(labels))


def _new(architecture: str, outputs: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = ARCHITECTURES[architecture](heads=outputs)
        first = made.get_submodule(FIRST[architecture][0])
        if isinstance(first, nn.Conv2d):  # the one layer that is not torchvision's, drawn as its others are
            nn.init.kaiming_normal_(first.weight)
    return made


def _load(network: nn.Module, architecture: str, state: Mapping[str, Tensor]) -> None:
    """Load everything but the last layer."""
    head = f"{HEAD[architecture]}."
    there = {key for key in network.state_dict() if not key.startswith(head)}
    own = network.state_dict()
    if there != state.keys() or any(own[key].shape != value.shape for key, value in state.items()):
        raise WeightsError(f"the weights are not those of a {architecture}: name another file or `network`")
    network.load_state_dict(dict(state), strict=False)


def imagenet(file: Path, architecture: str) -> dict[str, Tensor]:
    """Read torchvision's ImageNet weights as those of a network for one grey channel in [-1024, 1024].

    The first layer is summed over the colours, with ImageNet's normalisation taken in: away from the border
    the network computes from a grey image what torchvision's does from the same image in colours.

    Parameters
    ----------
    file
        As torchvision gives it out. Only its tensors are read (``pickles``).
    architecture
        A key of `HEAD`.

    Returns
    -------
    dict
        The state dict without the last layer.

    Raises
    ------
    WeightsError
        The file cannot be read, or is of another network.
    """
    from xrv_node.models.pickles import read_tensors

    if not file.is_file():
        raise WeightsError(f"{file} is not there: name a file of torchvision's ImageNet weights")
    read: dict[str, Any] = read_tensors(file)
    # torchvision's older files write norm.1 for norm1, and lack the counters of batches
    state = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key): torch.tensor(
            as_float32(value) if floating(value) else value
        )
        for key, value in read.items()
        if not key.startswith(f"{HEAD[architecture]}.")
    }
    for key in [key for key in state if key.endswith("running_mean")]:
        state.setdefault(key.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    convolution, norm = FIRST[architecture]
    kernel = state.get(f"{convolution}.weight")
    if kernel is None or kernel.shape[1:2] != (3,) or f"{norm}.running_var" not in state:
        raise WeightsError(
            f"{file} is not torchvision's {architecture}: name another file or `network`; a network that was "
            "made with torchxrayvision is imported first, with `xrv-node models import FILE --like NAME "
            "--findings A,B`, and its name given"
        )
    if damaged := [key for key, value in state.items() if not value.isfinite().all()]:
        raise WeightsError(f"values of {damaged[0]!r} in {file} are not finite: download it again")
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    grey = 2 * LIMIT  # kept out of the kernel: an optimiser's steps are of the size that kernels usually have
    offset = (kernel * (0.5 - mean) / std).sum(dim=(1, 2, 3))
    state[f"{convolution}.weight"] = (kernel / std).sum(dim=1, keepdim=True)
    state[f"{norm}.running_mean"] = (state[f"{norm}.running_mean"] - offset) * grey
    state[f"{norm}.running_var"] = (state[f"{norm}.running_var"] + EPSILON) * grey**2 - EPSILON
    return state

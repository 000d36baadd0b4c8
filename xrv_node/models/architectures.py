"""Which network an entry of the catalogue is, and how it is put together with its weights."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from xrv_node.errors import WeightsError
from xrv_node.models import resnet
from xrv_node.models.autoencoder import ResNetAE
from xrv_node.models.baselines import chexpert_members, vqgan_yaml
from xrv_node.models.baselines.chexpert import CheXpert
from xrv_node.models.baselines.cxas import CXAS
from xrv_node.models.baselines.jfhealthcare import JFHealthcare
from xrv_node.models.baselines.torchscript import Program
from xrv_node.models.baselines.vqgan import VQGAN
from xrv_node.models.catalog import remedy
from xrv_node.models.densenet import DenseNet
from xrv_node.models.pspnet import PSPNet
from xrv_node.models.pyramid import PyramidClassifier
from xrv_node.models.small_autoencoder import SmallAutoencoder
from xrv_node.models.unet import UNet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from xrv_node.models.convert import Layout
    from xrv_node.models.entry import ModelEntry

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "densenet121": DenseNet,
    "resnet50_classifier": partial(resnet.ResNet, resnet.CLASSIFIER),
    "resnet50_view": partial(resnet.ResNet, resnet.VIEW),
    "resnet34_race": partial(resnet.ResNet, resnet.RACE),
    "resnet34_sex": partial(resnet.ResNet, resnet.SEX),
    "jfhealthcare": JFHealthcare,
    "chexpert_ensemble": CheXpert,
    "torchscript": Program,
    "pspnet": PSPNet,
    "cxas": CXAS,
    "resnet_autoencoder": ResNetAE,
    "vqgan": VQGAN,
    "pyramid_classifier": PyramidClassifier,
    "unet": UNet,
    "small_autoencoder": SmallAutoencoder,
}
"""By the name that the catalogue uses."""

HEAD = {"densenet121": "classifier", "resnet50_classifier": "fc"}
"""By architecture that can be trained, here or with torchxrayvision: its last layer."""

SETTINGS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "chexpert_ensemble": lambda source: {"members": chexpert_members.count(source)},
    "torchscript": lambda source: {"length": source.stat().st_size},
    "vqgan": lambda source: vqgan_yaml.dimensions(vqgan_yaml.beside(source)),
}
"""By architecture: how its dimensions are found where only the released file knows them."""


def settings_of(network: str, source: Path) -> dict[str, Any]:
    """Return the dimensions that a released file gives its network, by the architecture's parameters.

    Raises
    ------
    WeightsError
        They cannot be found.
    """
    return SETTINGS[network](source) if network in SETTINGS else {}


def skeleton(network: str, settings: Mapping[str, Any] | None = None) -> nn.Module:
    """Build a network without storage. Takes no random numbers: meta tensors have nothing to fill."""
    with torch.device("meta"):
        return ARCHITECTURES[network](**(settings or {}))


def layout(network: str, settings: Mapping[str, Any] | None = None) -> Layout:
    """Name, numpy dtype and shape of everything in a network's state dict."""
    state = skeleton(network, settings).state_dict()
    return {
        key: (str(value.dtype).removeprefix("torch."), tuple(value.shape)) for key, value in state.items()
    }


def assemble(
    entry: ModelEntry, state: Mapping[str, Tensor], settings: Mapping[str, Any] | None = None
) -> nn.Module:
    """Put weights into their network.

    Parameters
    ----------
    entry
        Says which network.
    state
        The whole state dict; its tensors become the network's, uncopied.
    settings
        The network's dimensions, where the released file holds them.

    Returns
    -------
    nn.Module
        In evaluation mode, on the tensors' device, parameters without gradients.

    Raises
    ------
    WeightsError
        Keys or shapes are not this network's.
    """
    network = skeleton(entry.network, settings)
    try:
        network.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise WeightsError(
            f"the weights of {entry.name} are of another network: remove them and {remedy(entry)}"
        ) from error
    return network.eval().requires_grad_(False)

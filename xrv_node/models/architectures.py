"""Which network an entry of the catalogue is, and how it is put together with its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from xrv_node.errors import WeightsError
from xrv_node.models.autoencoder import ResNetAE
from xrv_node.models.densenet import DenseNet
from xrv_node.models.pspnet import PSPNet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from xrv_node.models.catalog import Entry
    from xrv_node.models.convert import Layout

ARCHITECTURES: dict[str, type[nn.Module]] = {
    "densenet121": DenseNet,
    "pspnet": PSPNet,
    "resnet_autoencoder": ResNetAE,
}
"""By the name that the catalogue uses."""


def skeleton(network: str) -> nn.Module:
    """Build a network without storage. Takes no random numbers: meta tensors have nothing to fill."""
    with torch.device("meta"):
        return ARCHITECTURES[network]()


def layout(network: str) -> Layout:
    """Name, numpy dtype and shape of everything in a network's state dict."""
    state = skeleton(network).state_dict()
    return {
        key: (str(value.dtype).removeprefix("torch."), tuple(value.shape)) for key, value in state.items()
    }


def assemble(entry: Entry, state: Mapping[str, Tensor]) -> nn.Module:
    """Put weights into their network.

    Parameters
    ----------
    entry
        Says which network.
    state
        The whole state dict; its tensors become the network's, uncopied.

    Returns
    -------
    nn.Module
        In evaluation mode, on the tensors' device, parameters without gradients.

    Raises
    ------
    WeightsError
        Keys or shapes are not this network's.
    """
    network = skeleton(entry.network)
    try:
        network.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise WeightsError(
            f"the weights of {entry.name} are of another network: run `xrv-node models pull {entry.name}`"
        ) from error
    return network.eval().requires_grad_(False)

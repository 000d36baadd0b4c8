"""The classifier: DenseNet121 for one grey channel (Huang et al. 2017; Cohen et al. 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional
from torchvision.models import densenet121

from xrv_node.models import inputs

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 224
"""Rows and columns of the images that the released weights were trained on."""

HEADS = 18
"""Outputs of every released weight set, trained or not."""


class DenseNet(nn.Module):
    """torchvision's DenseNet121 with a one-channel stem.

    The 727 keys of its state dict are torchvision's and the released files'.

    Parameters
    ----------
    heads
        Outputs; another number than ``HEADS`` in networks that were trained here.
    """

    def __init__(self, heads: int = HEADS) -> None:
        super().__init__()
        network = densenet121(weights=None, num_classes=heads)
        self.features: nn.Sequential = network.features
        self.features.conv0 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.classifier: nn.Linear = network.classifier

    @property
    def map_module(self) -> nn.Module:
        """The module whose output is the last map, before its ReLU."""
        return self.features

    def embed(self, x: Tensor) -> Tensor:
        """Return the last map's spatial mean, ``[B, 1024]``, non-negative; input as ``forward``.

        What torchxrayvision calls ``features2``.
        """
        return self.activation_map(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Score a batch.

        Parameters
        ----------
        x
            float ``[B, 1, H, H]`` in [-1024, 1024]; resized to 224 where H differs (``inputs.resize``).

        Returns
        -------
        Tensor
            Logits ``[B, heads]``, all of them, also those that the weights were not trained on
            (``entry.ModelEntry.trained_heads``); ``calibration.op_norm`` of their sigmoid is the score.

        Raises
        ------
        ImageError
            As ``inputs.check``.
        """
        return self.forward_with_map(x)[0]

    def activation_map(self, x: Tensor) -> Tensor:
        """Return the last feature map after its ReLU, ``[B, 1024, 7, 7]``; input as ``forward``."""
        # Not in place: a ReLU in place overwrites what a class activation map is computed from.
        return functional.relu(self.features(inputs.checked(x, SIZE)), inplace=False)

    def forward_with_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(logits [B, heads], activation map [B, 1024, 7, 7])`` from one pass; input as ``forward``.

        The logits are linear in the map's spatial mean, so ``classifier.weight[head]`` times the map is the
        class activation map of that head (Zhou et al. 2016), without a backward pass.
        """
        activation = self.activation_map(x)
        return self.classifier(activation.mean(dim=(2, 3))), activation

    def finding_maps(self, activation: Tensor) -> Tensor:
        """Return the class activation map of every head, ``[B, heads, h, w]``, at least 0.

        The network ends in global average pooling and one linear layer. There the gradient of a logit by the
        last map is the head's row of weights divided by the number of the map's pixels, everywhere. So
        Grad-CAM (Selvaraju et al., ICCV 2017, section 3) is the class activation map (Zhou et al., CVPR 2016,
        equation 2) up to that constant, and takes no backward pass. The bias has no place in it.
        """
        maps: Tensor = self.classifier.weight @ activation.flatten(2)
        return maps.relu().reshape(*maps.shape[:2], *activation.shape[2:])

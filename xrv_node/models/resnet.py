"""The networks that are torchvision's ResNets (He et al. 2015), and the table of what each changes.

One classifier of findings, and three that read an attribute off the image: its view (xinario's
chestViewSplit), the patient's recorded race (Gichoya et al. 2022) and sex (Glocker et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional
from torchvision.models import resnet34, resnet50

from xrv_node.models import inputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Design:
    """How a network departs from torchvision's."""

    body: Callable[..., nn.Module]
    """torchvision's constructor."""
    size: int
    """Rows and columns of the images that the released weights were trained on."""
    outputs: int
    """Rows of the last linear layer."""
    meant: int
    """The first outputs, which mean something."""
    scale: Callable[[Tensor], Tensor]
    """From ``[B, 1, H, W]`` in [-1024, 1024] to what the first convolution takes."""
    channels: int = 3
    """Of the first convolution."""
    log_softmax: bool = False
    """The outputs are log-probabilities, and the linear layer is ``fc.0``."""


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _bytes(x: Tensor) -> Tensor:
    """To [0, 255], three channels, without a mean taken off."""
    return inputs.rgb((x + inputs.LIMIT) / (2 * inputs.LIMIT) * 255)


CLASSIFIER = Design(resnet50, size=512, outputs=18, meant=18, scale=_as_it_is, channels=1)
"""``resnet50-res512-all``."""

VIEW = Design(resnet50, size=224, outputs=1000, meant=2, scale=inputs.imagenet)
"""Fine-tuned without a new last layer: 998 of the 1000 outputs mean nothing."""

RACE = Design(resnet34, size=320, outputs=3, meant=3, scale=inputs.imagenet, log_softmax=True)

SEX = Design(resnet34, size=224, outputs=2, meant=2, scale=_bytes)


class ResNet(nn.Module):
    """A torchvision ResNet after a ``Design``; its keys are torchvision's and the released files'.

    Parameters
    ----------
    design
        How it departs from torchvision's.
    heads
        Outputs, all of which mean something, in place of the design's: of networks that were trained here.
    """

    conv1: nn.Conv2d
    bn1: nn.Module
    maxpool: nn.Module
    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module
    fc: nn.Module

    def __init__(self, design: Design, heads: int | None = None) -> None:
        super().__init__()
        design = design if heads is None else replace(design, outputs=heads, meant=heads)
        self.design = design
        for name, child in design.body(weights=None, num_classes=design.outputs).named_children():
            self.add_module(name, child)
        if design.channels != self.conv1.in_channels:
            self.conv1 = nn.Conv2d(design.channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        if design.log_softmax:
            self.fc = nn.Sequential(self.fc, nn.LogSoftmax(dim=1))

    @property
    def map_module(self) -> nn.Module:
        """The module whose output is the last map; it ends in a ReLU."""
        return self.layer4

    def activation_map(self, x: Tensor) -> Tensor:
        """Return the last feature map.

        Parameters
        ----------
        x
            float ``[B, 1, H, H]`` in [-1024, 1024]; resized to ``design.size`` where H differs
            (``inputs.resize``).

        Returns
        -------
        Tensor
            ``[B, C, size / 32, size / 32]``, non-negative; C is 512 (resnet34) or 2048 (resnet50).

        Raises
        ------
        ImageError
            As ``inputs.check``.
        """
        y = self.design.scale(inputs.checked(x, self.design.size))
        y = self.maxpool(functional.relu(self.bn1(self.conv1(y))))
        activation: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(y))))
        return activation

    def embed(self, x: Tensor) -> Tensor:
        """Return the last map's spatial mean, ``[B, C]``, non-negative; input as ``activation_map``."""
        return self.activation_map(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs that mean something, ``[B, design.meant]``; input as ``activation_map``.

        Logits, or log-probabilities where ``design.log_softmax``.
        """
        return self.forward_with_map(x)[0]

    def forward_with_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(outputs [B, design.meant], activation map)`` from one pass."""
        activation = self.activation_map(x)
        outputs: Tensor = self.fc(activation.mean(dim=(2, 3)))
        return outputs[:, : self.design.meant], activation

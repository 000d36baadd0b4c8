"""The segmenter of 159 structures: a U-Net on ResNet50 (Seibold et al. 2023, CXAS).

Module names are those of the released state dict, so that it loads strictly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from torchvision.models import resnet50

from xrv_node.models import inputs

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 512
"""Rows and columns of the images that the released weights were trained on."""

STRUCTURES = 159
"""Output channels, in the order of the catalogue's labels."""

STEPS = ((512, 1024, 256), (256, 512, 64), (64, 128, 128))
"""Channels of the map that comes up, of both maps together, and out, of ``up2`` to ``up4``."""


def _resized(x: Tensor, size: torch.Size) -> Tensor:
    return functional.interpolate(x, size, mode="bilinear")


class ResNetEncoder(nn.Module):
    """torchvision's ResNet50 without its head; the stem is ``layer0``, its maximum pooling included."""

    def __init__(self) -> None:
        super().__init__()
        network = resnet50(weights=None)
        self.layer0 = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
        self.layer1, self.layer2 = network.layer1, network.layer2
        self.layer3, self.layer4 = network.layer3, network.layer4

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map ``[B, 3, H, H]`` to five maps: 64, 256, 512, 1024, 2048 channels; H / 4, 4, 8, 16, 32 rows."""
        maps = [self.layer0(x)]
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps.append(layer(maps[-1]))
        return maps


class Wrapped(nn.Module):
    """A module under another name, as the released keys have it."""

    def __init__(self, **inner: nn.Module) -> None:
        super().__init__()
        ((self.inner_name, module),) = inner.items()
        self.add_module(self.inner_name, module)

    def forward(self, x: Tensor) -> Tensor:
        """Call the module."""
        y: Tensor = self.get_submodule(self.inner_name)(x)
        return y


def _convolution(channels: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, kernel_size=3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]


def _double(channels: int, inside: int, out: int) -> Wrapped:
    return Wrapped(double_conv=nn.Sequential(*_convolution(channels, inside), *_convolution(inside, out)))


class FirstBlock(nn.Module):
    """The lowest map, halved in channels, joined with the one above it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Wrapped(conv=nn.Sequential(*_convolution(2048, 1024)))
        self.conv2 = _double(2048, 1024, 512)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        """Map ``[B, 2048, h, h]`` and ``[B, 1024, H, H]`` to ``[B, 512, H, H]``."""
        y: Tensor = self.conv2(torch.cat([skip, _resized(self.conv1(low), skip.shape[2:])], dim=1))
        return y


class UpStep(nn.Module):
    """A map, enlarged, joined with the one above it."""

    def __init__(self, inside: int, channels: int, out: int) -> None:
        super().__init__()
        self.conv = _double(channels, inside, out)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        """Map ``[B, c, h, h]`` and ``[B, channels - c, H, H]`` to ``[B, out, H, H]``."""
        y: Tensor = self.conv(torch.cat([skip, _resized(low, skip.shape[2:])], dim=1))
        return y


class Head(nn.Module):
    """From the encoder's maps to one channel for each structure."""

    def __init__(self) -> None:
        super().__init__()
        self.up1 = FirstBlock()
        self.up2, self.up3, self.up4 = (UpStep(*step) for step in STEPS)
        self.out = Wrapped(conv=nn.Conv2d(STEPS[-1][-1], STRUCTURES, kernel_size=1))

    def forward(self, maps: list[Tensor], size: torch.Size) -> Tensor:
        """Map ``ResNetEncoder``'s output to ``[B, 159, *size]``."""
        y = self.up1(maps[4], maps[3])
        for step, skip in zip((self.up2, self.up3, self.up4), maps[2::-1], strict=True):
            y = step(y, skip)
        logits: Tensor = self.out(_resized(y, size))
        return logits


class CXAS(nn.Module):
    """U-Net for 159 chest structures, 383 state dict keys."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Wrapped(backbone=ResNetEncoder())
        self.head = Head()

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch.

        Parameters
        ----------
        x
            float ``[B, 1, H, H]`` in [-1024, 1024]; resized to 512 where H differs (``inputs.resize``).

        Returns
        -------
        Tensor
            Logits ``[B, 159, 512, 512]``, 167 MB an image in float32. Structures overlap, and some are unions
            of others: each channel is its own decision, present where ``logit > 0``.

        Raises
        ------
        ImageError
            As ``inputs.check``.
        """
        rgb = inputs.imagenet(inputs.checked(x, SIZE))
        maps = self.backbone.get_submodule("backbone")(rgb)
        logits: Tensor = self.head(maps, rgb.shape[2:])
        return logits

"""The classifier of JF Healthcare: DenseNet121 with pyramid attention (Ye et al. 2020), trained on CheXpert.

Its paper describes probabilistic class activation map pooling; the released network pools by average and
maximum, and attends by a feature pyramid (Li et al. 2018). Module names are those of the released state dict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from torchvision.models import densenet121

from xrv_node.models import inputs

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 512
"""Rows and columns of the images that the released weights were trained on."""

HEADS = 5
"""Outputs, in the order of the catalogue's labels."""

CHANNELS = 1024
"""Of the last map."""

SCALE = 512.0
"""The network takes [-2, 2]: (grey level - 128) / 64 in training."""


class BiasedConvNormRelu(nn.Module):
    """Convolution with bias that keeps the size or halves it, batch normalisation, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        convolution = nn.Conv2d(channels, out, kernel, stride=stride, padding=kernel // 2)
        self.conv = nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, out, H/stride, W/stride]``, non-negative."""
        y: Tensor = self.conv(x)
        return y


def _enlarged(x: Tensor, height: int, width: int) -> Tensor:
    return functional.interpolate(x, (height, width), mode="bilinear")


class PyramidAttention(nn.Module):
    """The map times one channel of attention, gathered at a half, a quarter and an eighth of its size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gap_branch = nn.Sequential(nn.AdaptiveAvgPool2d(1), BiasedConvNormRelu(channels, channels, 1))
        self.mid_branch = BiasedConvNormRelu(channels, channels, 1)
        self.downsample1 = BiasedConvNormRelu(channels, 1, 7, stride=2)
        self.downsample2 = BiasedConvNormRelu(1, 1, 5, stride=2)
        self.downsample3 = BiasedConvNormRelu(1, 1, 3, stride=2)
        self.scale1 = BiasedConvNormRelu(1, 1, 7)
        self.scale2 = BiasedConvNormRelu(1, 1, 5)
        self.scale3 = BiasedConvNormRelu(1, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to the same shape, non-negative; H and W at least 4."""
        height, width = x.shape[2:]
        half = self.downsample1(x)
        quarter = self.downsample2(half)
        eighth = self.scale3(self.downsample3(quarter))
        attention = self.scale2(quarter) + _enlarged(eighth, height // 4, width // 4)
        attention = self.scale1(half) + _enlarged(attention, height // 2, width // 2)
        attended: Tensor = _enlarged(attention, height, width) * self.mid_branch(x) + self.gap_branch(x)
        return attended


class _Unused(nn.Module):
    """Layers whose weights are in the file and of which the network computes nothing."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


class AttentionMap(nn.Module):
    """Three kinds of attention, of which the released network uses the last."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel_attention = _Unused(
            fc1=nn.Linear(channels, channels // 2), fc2=nn.Linear(channels // 2, channels)
        )
        self.spatial_attention = _Unused(
            conv1=nn.Conv2d(channels, channels // 8, 1),
            conv2=nn.Conv2d(channels, channels // 8, 1),
            conv3=nn.Conv2d(channels, channels, 1),
        )
        self.spatial_attention.gamma = nn.Parameter(torch.zeros(1))
        self.pyramid_attention = PyramidAttention(channels)


class JFHealthcare(nn.Module):
    """The released network, 829 state dict keys."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = densenet121(weights=None)  # with its 1000-way layer: that is in the file, not used
        for head in range(HEADS):
            self.add_module(f"fc_{head}", nn.Conv2d(2 * CHANNELS, 1, kernel_size=1))
        for head in range(HEADS):
            self.add_module(f"bn_{head}", nn.BatchNorm2d(2 * CHANNELS))
        self.attention_map = AttentionMap(CHANNELS)

    @property
    def map_module(self) -> nn.Module:
        """The module whose output is the last map, before its ReLU."""
        module: nn.Module = self.backbone.features
        return module

    def activation_map(self, x: Tensor) -> Tensor:
        """Return the backbone's last map after its ReLU.

        Parameters
        ----------
        x
            float ``[B, 1, H, H]`` in [-1024, 1024]; resized to 512 where H differs (``inputs.resize``).

        Returns
        -------
        Tensor
            ``[B, 1024, 16, 16]``, non-negative.

        Raises
        ------
        ImageError
            As ``inputs.check``.
        """
        return functional.relu(self.map_module(inputs.rgb(inputs.checked(x, SIZE) / SCALE)))

    def embed(self, x: Tensor) -> Tensor:
        """Return the map's spatial mean, ``[B, 1024]``, non-negative; input as ``activation_map``."""
        return self.activation_map(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[B, 5]``; input as ``activation_map``."""
        return self.forward_with_map(x)[0]

    def forward_with_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(logits [B, 5], activation map)`` from one pass.

        The logits are not linear in the map: what each head says of it takes a gradient.
        """
        activation = self.activation_map(x)
        attended = activation
        logits = []
        for head in range(HEADS):
            # The same attention again for every head, on what the last one left: so it was trained.
            attended = self.attention_map.pyramid_attention(attended)
            pooled = torch.cat([attended.mean(dim=(2, 3)), attended.amax(dim=(2, 3))], dim=1)
            normed = self.get_submodule(f"bn_{head}")(pooled[:, :, None, None])
            logits.append(self.get_submodule(f"fc_{head}")(normed).flatten(1))
        return torch.cat(logits, dim=1), activation

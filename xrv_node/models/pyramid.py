"""A small classifier that says of each finding where it is: a feature pyramid with a map a finding.

A residual network goes down to a thirty-second of the input and a pyramid back up to a quarter (Lin et al.,
CVPR 2017, section 3). Each finding's map is one linear layer on its last features, and the image's score is
taken from the highest places of that map, so that what is supervised by the pixels is what the score rests
on (multiple instance learning; Li et al., CVPR 2018, is the nearest relative).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from xrv_node.models import inputs

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 192
"""Rows and columns of the input where nothing else is said."""
WIDTHS = (32, 64, 96, 96)
"""Channels of the residual stages, at a quarter, eighth, sixteenth and thirty-second of the input."""
BLOCKS = 2
"""Residual blocks of a stage."""
FEATURES = 48
"""Channels of the pyramid."""
HIGHEST = (6, 24)
"""How many of a map's highest places its score is the mean of: of 48 x 48, a nodule covers about six."""
AUXILIARY = 3
"""Outputs that help while training, one for each lung and one for the heart; nothing else is computed with
them."""


def conv_norm(channels: int, out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution without bias and batch normalisation, in the order in which engines fold them."""
    return [
        nn.Conv2d(channels, out, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out),
    ]


class Block(nn.Module):
    """Two 3x3 convolutions, added to the input or to its projection (He et al. 2016, figure 2)."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*conv_norm(channels, out, 3, stride), nn.ReLU(inplace=True))
        self.second = nn.Sequential(*conv_norm(out, out, 3))
        same = stride == 1 and channels == out
        self.shortcut: nn.Module = (
            nn.Identity() if same else nn.Sequential(*conv_norm(channels, out, 1, stride))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, out, H/stride, W/stride]``, non-negative."""
        return functional.relu(self.second(self.first(x)) + self.shortcut(x))


class PyramidClassifier(nn.Module):
    """A residual network, a feature pyramid, a map and a score a finding; 0.9 M parameters.

    Parameters
    ----------
    heads
        Outputs.
    size
        Rows and columns of the input, a multiple of 32.
    """

    def __init__(self, heads: int, size: int = SIZE) -> None:
        super().__init__()
        self.size = size
        # two further channels say where in the image a pixel lies (Liu et al., NeurIPS 2018)
        self.stem = nn.Sequential(*conv_norm(3, WIDTHS[0], 5, stride=2), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList(
            nn.Sequential(Block(before, out, 2), *(Block(out, out, 1) for _ in range(BLOCKS - 1)))
            for before, out in pairwise((WIDTHS[0], *WIDTHS))
        )
        self.laterals = nn.ModuleList(nn.Conv2d(width, FEATURES, 1) for width in WIDTHS)
        self.smooth = nn.Sequential(*conv_norm(FEATURES, FEATURES, 3), nn.ReLU(inplace=True))
        self.maps = nn.Linear(FEATURES, heads)
        """A finding's map is its row of weights times the last features, plus its bias."""
        self.classifier = nn.Linear(2 * (FEATURES + WIDTHS[-1]), heads)
        self.auxiliary = nn.Linear(FEATURES, AUXILIARY)
        nn.init.constant_(self.maps.bias, -3.0)  # most pixels are without: sigmoid(-3) is 0.05

    @property
    def map_module(self) -> nn.Module:
        """The module whose output is the last features; it ends in a ReLU."""
        return self.smooth

    def forward(self, x: Tensor) -> Tensor:
        """Score a batch.

        Parameters
        ----------
        x
            float ``[B, 1, H, H]`` in [-1024, 1024]; resized to ``size`` where H differs (``inputs.resize``).

        Returns
        -------
        Tensor
            Logits ``[B, heads]``.

        Raises
        ------
        ImageError
            As ``inputs.check``.
        """
        return self.forward_with_map(x)[0]

    def forward_with_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(logits [B, heads], features [B, 48, size / 4, size / 4])``; input as ``forward``.

        The features are non-negative; `map_logits` of them are the findings' maps.
        """
        logits, features, _ = self.everything(inputs.checked(x, self.size))
        return logits, features

    def embed(self, x: Tensor) -> Tensor:
        """Return the last features' spatial mean, ``[B, 48]``, non-negative; input as ``forward``."""
        return self.forward_with_map(x)[1].mean(dim=(2, 3))

    def everything(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, last features and map logits of ``[B, 1, size, size]``: no check, no resize."""
        deep, features = self._features(x)
        maps = self.map_logits(features)
        descending = maps.flatten(2).topk(max(HIGHEST), dim=2).values
        highest = torch.stack([descending[..., :n].mean(dim=2) for n in HIGHEST]).mean(dim=0)
        pooled = [f(part, (2, 3)) for part in (features, deep) for f in (torch.amax, torch.mean)]
        return highest + self.classifier(torch.cat(pooled, dim=1)), features, maps

    def map_logits(self, features: Tensor) -> Tensor:
        """Return ``[B, heads, h, w]``: the logit that a finding is at a place."""
        return _linear(self.maps, features)

    def auxiliary_logits(self, features: Tensor) -> Tensor:
        """Return ``[B, 3, h, w]``: left lung, right lung and heart, for the training alone."""
        return _linear(self.auxiliary, features)

    def finding_maps(self, features: Tensor) -> Tensor:
        """Return ``[B, heads, h, w]`` in [0, 1]: how sure a finding is of each place."""
        return self.map_logits(features).sigmoid()

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The deepest map ``[B, 96, size / 32, size / 32]`` and the pyramid's last."""
        along = torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype, device=x.device)
        down, across = (
            part.expand(len(x), 1, -1, -1) for part in torch.meshgrid(along, along, indexing="ij")
        )
        y = self.stem(torch.cat([x / inputs.LIMIT, down, across], dim=1))
        stages = []
        for stage in self.stages:
            y = stage(y)
            stages.append(y)
        top = self.laterals[-1](y)
        for lateral, stage in zip(reversed(self.laterals[:-1]), reversed(stages[:-1]), strict=True):
            top = lateral(stage) + functional.interpolate(top, scale_factor=2, mode="nearest")
        return y, self.smooth(top)


def _linear(layer: nn.Linear, features: Tensor) -> Tensor:
    """A linear layer at each place of ``[B, C, h, w]``."""
    maps = layer.weight @ features.flatten(2) + layer.bias[:, None]
    return maps.reshape(*maps.shape[:2], *features.shape[2:])

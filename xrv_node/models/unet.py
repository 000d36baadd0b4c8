"""A small segmenter: a U-Net (Ronneberger, Fischer, Brox, MICCAI 2015) at half the input's resolution.

Its first convolution halves the image and its last one gives each pixel of that four outputs, which are laid
out as the four pixels that it was made of (sub-pixel convolution; Shi et al., CVPR 2016): thin structures
keep their borders, and the costly convolutions at full resolution are spared.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from xrv_node.models import inputs
from xrv_node.models.pyramid import conv_norm

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 256
"""Rows and columns of the input where nothing else is said."""
WIDTHS = (16, 32, 64, 88, 96)
"""Channels at a half, quarter, ... of the input; each level has half the rows of the one before."""


def _double(channels: int, out: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch normalisation and ReLU."""
    first, second = conv_norm(channels, out, 3), conv_norm(out, out, 3)
    return nn.Sequential(*first, nn.ReLU(inplace=True), *second, nn.ReLU(inplace=True))


class UNet(nn.Module):
    """A U-Net of five levels, 0.7 M parameters.

    Parameters
    ----------
    structures
        Output channels.
    size
        Rows and columns of input and output, a multiple of 32.
    """

    def __init__(self, structures: int, size: int = SIZE) -> None:
        super().__init__()
        self.size = size
        self.stem = nn.Sequential(*conv_norm(3, WIDTHS[0], 5, stride=2), nn.ReLU(inplace=True))
        self.down = nn.ModuleList(_double(*pair) for pair in pairwise((WIDTHS[0], *WIDTHS)))
        self.up = nn.ModuleList(_double(deep + own, own) for own, deep in reversed(list(pairwise(WIDTHS))))
        self.outputs = nn.Conv2d(WIDTHS[0], 4 * structures, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch.

        Parameters
        ----------
        x
            float ``[B, 1, H, H]`` in [-1024, 1024]; resized to ``size`` where H differs (``inputs.resize``).

        Returns
        -------
        Tensor
            Logits ``[B, structures, size, size]``. Structures overlap: each channel is its own decision,
            present where ``logit > 0``.

        Raises
        ------
        ImageError
            As ``inputs.check``.
        """
        return self.segment(inputs.checked(x, self.size))

    def segment(self, x: Tensor) -> Tensor:
        """Logits of ``[B, 1, size, size]`` as it is: no check, no resize."""
        along = torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype, device=x.device)
        down, across = (
            part.expand(len(x), 1, -1, -1) for part in torch.meshgrid(along, along, indexing="ij")
        )
        y = self.stem(torch.cat([x / inputs.LIMIT, down, across], dim=1))
        levels = []
        for level, block in enumerate(self.down):
            y = block(functional.max_pool2d(y, 2) if level else y)
            levels.append(y)
        for block, beside in zip(self.up, reversed(levels[:-1]), strict=True):
            larger = functional.interpolate(y, scale_factor=2, mode="bilinear")
            y = block(torch.cat([larger, beside], dim=1))
        return functional.pixel_shuffle(self.outputs(y), 2)

"""The segmenter: PSPNet on a dilated ResNet101 (Zhao et al. 2017), trained on ChestX-Det (Lian et al. 2021).

Module names are those of the released state dict, so that it loads strictly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from xrv_node.models import inputs

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 512
"""Rows and columns of the images that the released weights were trained on."""

STRUCTURES = 14
"""Output channels, in the order of the catalogue's labels."""

STAGES = (
    # blocks, channels in, inside, out, stride, dilation
    (3, 128, 64, 256, 1, 1),
    (4, 256, 128, 512, 2, 1),
    (23, 512, 256, 1024, 1, 2),
    (3, 1024, 512, 2048, 1, 4),
)
"""The residual stages 2 to 5. Dilation in place of stride keeps the map at an eighth of the input."""

BINS = (6, 3, 2, 1)
"""Cells a side of the pyramid's poolings, in the order in which they are concatenated."""


def _conv_norm(channels: int, out: int, kernel: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    return [
        nn.Conv2d(channels, out, kernel, stride=stride, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(out),
    ]


class ConvNormRelu(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        layers = _conv_norm(channels, out, kernel, stride, dilation)
        self.cbr_unit = nn.Sequential(*layers, nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, out, H/stride, W/stride]``, non-negative."""
        y: Tensor = self.cbr_unit(x)
        return y


class ConvNorm(nn.Module):
    """1x1 convolution without bias, batch normalisation."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.cb_unit = nn.Sequential(*_conv_norm(channels, out, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, out, H/stride, W/stride]``."""
        y: Tensor = self.cb_unit(x)
        return y


class DilatedBottleneck(nn.Module):
    """1x1, 3x3 (stride and dilation), 1x1, added to the input or to its projection ``cb4``."""

    def __init__(
        self, channels: int, inside: int, out: int, stride: int, dilation: int, *, project: bool
    ) -> None:
        super().__init__()
        self.cbr1 = ConvNormRelu(channels, inside, 1)
        self.cbr2 = ConvNormRelu(inside, inside, 3, stride, dilation)
        self.cb3 = ConvNorm(inside, out)
        self.cb4 = ConvNorm(channels, out, stride) if project else None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, out, H/stride, W/stride]``, non-negative."""
        shortcut = x if self.cb4 is None else self.cb4(x)
        return functional.relu_(self.cb3(self.cbr2(self.cbr1(x))) + shortcut)


class ResidualStage(nn.Module):
    """A residual stage; its first block projects and strides."""

    def __init__(self, blocks: int, channels: int, inside: int, out: int, stride: int, dilation: int) -> None:
        super().__init__()
        first = DilatedBottleneck(channels, inside, out, stride, dilation, project=True)
        rest = (DilatedBottleneck(out, inside, out, 1, dilation, project=False) for _ in range(blocks - 1))
        self.layers = nn.Sequential(first, *rest)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, out, H/stride, W/stride]``, non-negative."""
        y: Tensor = self.layers(x)
        return y


class PyramidPooling(nn.Module):
    """The map beside its averages over coarser and coarser grids."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.path_module_list = nn.ModuleList(ConvNormRelu(channels, out, 1) for _ in BINS)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, channels + 4 out, H, W]``."""
        height, width = x.shape[2:]
        paths = [x]
        for bins, path in zip(BINS, self.path_module_list, strict=True):
            # Whole cells only: of 64 rows a sixth is 10, and 4 are left out. Adaptive pooling is not what
            # the weights were trained with.
            pooled = path(functional.avg_pool2d(x, (height // bins, width // bins)))
            paths.append(functional.interpolate(pooled, (height, width), mode="bilinear"))
        return torch.cat(paths, dim=1)


class PSPNet(nn.Module):
    """PSPNet for 14 chest structures, 676 state dict keys."""

    def __init__(self) -> None:
        super().__init__()
        self.convbnrelu1_1 = ConvNormRelu(3, 64, 3, stride=2)
        self.convbnrelu1_2 = ConvNormRelu(64, 64, 3)
        self.convbnrelu1_3 = ConvNormRelu(64, 128, 3)
        self.res_block2, self.res_block3, self.res_block4, self.res_block5 = (
            ResidualStage(*row) for row in STAGES
        )
        self.pyramid_pooling = PyramidPooling(2048, 512)
        self.cbr_final = ConvNormRelu(4096, 512, 3)
        self.classification = nn.Conv2d(512, STRUCTURES, 1)
        # The auxiliary head helped training only: its weights are in the file, nothing is computed with them.
        self.convbnrelu4_aux = ConvNormRelu(1024, 256, 3)
        self.aux_cls = nn.Conv2d(256, STRUCTURES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Segment a batch.

        Parameters
        ----------
        x
            float ``[B, 1, H, H]`` in [-1024, 1024]; resized to 512 where H differs (``inputs.resize``).
            ImageNet normalisation is applied here.

        Returns
        -------
        Tensor
            Logits ``[B, 14, 512, 512]``, always 512. Structures overlap: each channel is its own decision,
            present where ``logit > 0``.

        Raises
        ------
        ImageError
            As ``inputs.check``.
        """
        return self.segment(inputs.checked(x, SIZE))

    def segment(self, x: Tensor) -> Tensor:
        """Logits ``[B, 14, H, H]`` of ``[B, 1, H, H]`` in [-1024, 1024] as it is: no check, no resize."""
        y = self.convbnrelu1_3(self.convbnrelu1_2(self.convbnrelu1_1(inputs.imagenet(x))))
        y = functional.max_pool2d(y, kernel_size=3, stride=2, padding=1)
        y = self.res_block5(self.res_block4(self.res_block3(self.res_block2(y))))
        y = self.classification(self.cbr_final(self.pyramid_pooling(y)))
        return functional.interpolate(y, x.shape[2:], mode="bilinear")

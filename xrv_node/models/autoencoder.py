"""The autoencoder: a ResNet that squeezes an image into ``[512, 3, 3]`` and builds it up again.

It tells images unlike its training set by its reconstruction error; its latent follows drift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

from xrv_node.errors import ImageError
from xrv_node.models import inputs
from xrv_node.reasons import Reason

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 224
"""Rows and columns of input and reconstruction; no other size is accepted."""

ENCODER = ((3, 64, 1), (4, 128, 2), (23, 256, 2), (2, 128, 6))
"""Blocks, inner channels and stride of ``layer1`` to ``layer4``: 56, 28, 14, 3 rows."""

DECODER = ((2, 128, 512, 256, 6), (23, 64, 256, 128, 2), (4, 32, 128, 64, 2), (3, 16, 64, 32, 2))
"""Blocks, inner channels, channels in and out, and stride of ``uplayer1`` to ``uplayer4``: 14, 28, 56, 112
rows. The last block of a stage carries its stride."""

EXPANSION = 4
"""Outer channels per inner channel of a block that keeps the size."""


class Block(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut, down, up or at the same size.

    Not torchvision's block although the keys are the same: here a ReLU follows ``bn3`` *before* the
    shortcut is added, and another one after. torchvision's block loads the weights and gives wrong numbers.
    """

    def __init__(self, inside: int, out: int, conv1: nn.Module, conv2: nn.Module) -> None:
        super().__init__()
        self.conv1 = conv1
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv2 = conv2
        self.bn2 = nn.BatchNorm2d(inside)
        self.conv3 = nn.Conv2d(inside, out, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)

    def residual(self, x: Tensor) -> Tensor:
        """The three convolutions, ``[B, out, ...]``, non-negative."""
        y = functional.relu_(self.bn1(self.conv1(x)))
        y = functional.relu_(self.bn2(self.conv2(y)))
        return functional.relu_(self.bn3(self.conv3(y)))


class DownBlock(Block):
    """An encoder block."""

    def __init__(self, channels: int, inside: int, stride: int, *, project: bool) -> None:
        out = inside * EXPANSION
        conv1 = nn.Conv2d(channels, inside, kernel_size=1, bias=False)
        conv2 = nn.Conv2d(inside, inside, kernel_size=3, stride=stride, padding=1, bias=False)
        super().__init__(inside, out, conv1, conv2)
        projection = nn.Conv2d(channels, out, kernel_size=1, stride=stride, bias=False)
        self.downsample = nn.Sequential(projection, nn.BatchNorm2d(out)) if project else None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, 4 inside, H/stride, W/stride]``, non-negative."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu_(self.residual(x) + shortcut)


class UpBlock(Block):
    """A decoder block; ``stride`` above 1 enlarges."""

    def __init__(self, channels: int, inside: int, out: int, stride: int = 1) -> None:
        conv1 = nn.Conv2d(channels, inside, kernel_size=1, bias=False)
        conv2: nn.Module = nn.Conv2d(inside, inside, kernel_size=3, padding=1, bias=False)
        if stride > 1:
            conv2 = nn.ConvTranspose2d(
                inside, inside, kernel_size=3, stride=stride, padding=1, output_padding=1, bias=False
            )
        super().__init__(inside, out, conv1, conv2)
        self.upsample: nn.Module | None = None
        if stride > 1:
            enlarge = nn.ConvTranspose2d(
                channels, out, kernel_size=1, stride=stride, output_padding=1, bias=False
            )
            self.upsample = nn.Sequential(enlarge, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, out, ...]``, non-negative; stride s: (H - 1) s + 2 rows."""
        shortcut = x if self.upsample is None else self.upsample(x)
        return functional.relu_(self.residual(x) + shortcut)


def _down_stage(channels: int, blocks: int, inside: int, stride: int) -> nn.Sequential:
    first = DownBlock(channels, inside, stride, project=True)
    rest = (DownBlock(inside * EXPANSION, inside, 1, project=False) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def _up_stage(blocks: int, inside: int, channels: int, out: int, stride: int) -> nn.Sequential:
    same = (UpBlock(channels, inside, inside * EXPANSION) for _ in range(blocks - 1))
    return nn.Sequential(*same, UpBlock(channels, inside, out, stride))


class ResNetAE(nn.Module):
    """The autoencoder ``101-elastic``, 1231 state dict keys."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        widths = (64, *(inside * EXPANSION for _, inside, _ in ENCODER[:-1]))
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _down_stage(channels, *row) for channels, row in zip(widths, ENCODER, strict=True)
        )
        self.uplayer1, self.uplayer2, self.uplayer3, self.uplayer4 = (_up_stage(*row) for row in DECODER)
        self.uplayer_top = UpBlock(32, 64, 64, stride=2)
        self.conv1_1 = nn.ConvTranspose2d(64, 1, kernel_size=1, bias=False)

    def encode(self, x: Tensor) -> Tensor:
        """Latent of a batch.

        Parameters
        ----------
        x
            float ``[B, 1, 224, 224]`` in [-1024, 1024].

        Returns
        -------
        Tensor
            ``[B, 512, 3, 3]``, non-negative.

        Raises
        ------
        ImageError
            As ``inputs.check``, and for another size: like torchxrayvision's, this network does not resize,
            for a reconstruction is compared with what was put in.
        """
        inputs.check(x)
        if x.shape[-1] != SIZE:
            raise ImageError(
                Reason("not-of-the-autoencoder", size=SIZE, rows=x.shape[-2], columns=x.shape[-1])
            )
        y = functional.relu_(self.bn1(self.conv1(x)))
        y = functional.max_pool2d(y, kernel_size=3, stride=2, padding=1)
        z: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(y))))
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Image of a latent: ``[B, 512, 3, 3]`` to ``[B, 1, 224, 224]``, about [-1024, 1024], not clipped."""
        y = self.uplayer4(self.uplayer3(self.uplayer2(self.uplayer1(z))))
        x: Tensor = self.conv1_1(self.uplayer_top(y))
        return x

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(reconstruction [B, 1, 224, 224], latent [B, 512, 3, 3])``; input as ``encode``.

        torchxrayvision returns the two as a dict, ``out`` and ``z``.
        """
        z = self.encode(x)
        return self.decode(z), z

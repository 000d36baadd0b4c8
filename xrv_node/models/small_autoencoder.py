"""A small autoencoder: strided convolutions down to a seventh of a hundredth of the image, and up again.

It does what the large one is for (a reconstruction error, a latent to follow) for images of one kind.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn

from xrv_node.errors import ImageError
from xrv_node.models import inputs
from xrv_node.models.pyramid import conv_norm
from xrv_node.reasons import Reason

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 224
"""Rows and columns of input and reconstruction where nothing else is said."""
WIDTHS = (16, 32, 48, 64, 96)
"""Channels at a half, quarter, ... of the input."""
LATENT = 64
"""Channels of the latent."""


class SmallAutoencoder(nn.Module):
    """Convolutions down to ``[64, size / 32, size / 32]`` and up again, 0.5 M parameters.

    Parameters
    ----------
    size
        Rows and columns of the input, a multiple of 32; no other is accepted.
    """

    def __init__(self, size: int = SIZE) -> None:
        super().__init__()
        self.size = size
        self.down = nn.Sequential(
            *(layer for pair in pairwise((1, *WIDTHS)) for layer in _smaller(*pair)),
            nn.Conv2d(WIDTHS[-1], LATENT, 1),
        )
        self.up = nn.Sequential(
            *conv_norm(LATENT, WIDTHS[-1], 1),
            nn.ReLU(inplace=True),
            *(layer for pair in pairwise((*reversed(WIDTHS), WIDTHS[0])) for layer in _larger(*pair)),
            nn.Conv2d(WIDTHS[0], 1, 3, padding=1),
        )

    def encode(self, x: Tensor) -> Tensor:
        """Latent of a batch.

        Parameters
        ----------
        x
            float ``[B, 1, size, size]`` in [-1024, 1024].

        Returns
        -------
        Tensor
            ``[B, 64, size / 32, size / 32]``.

        Raises
        ------
        ImageError
            As ``inputs.check``, and for another size: a reconstruction is compared with what was put in.
        """
        inputs.check(x)
        if x.shape[-1] != self.size:
            raise ImageError(
                Reason("not-of-the-autoencoder", size=self.size, rows=x.shape[-2], columns=x.shape[-1])
            )
        z: Tensor = self.down(x / inputs.LIMIT)
        return z

    def rebuilt(self, x: Tensor) -> Tensor:
        """Return what becomes of ``[B, 1, size, size]``, as ``decode``: no check."""
        return self.decode(self.down(x / inputs.LIMIT))

    def decode(self, z: Tensor) -> Tensor:
        """Image of a latent, ``[B, 1, size, size]``, about [-1024, 1024], not clipped."""
        image: Tensor = self.up(z) * inputs.LIMIT
        return image

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return reconstruction and latent; input as ``encode``."""
        z = self.encode(x)
        return self.decode(z), z


def _smaller(channels: int, out: int) -> list[nn.Module]:
    return [*conv_norm(channels, out, 3, stride=2), nn.ReLU(inplace=True), *_same(out)]


def _larger(channels: int, out: int) -> list[nn.Module]:
    enlarged = nn.Upsample(scale_factor=2, mode="bilinear")
    return [enlarged, *conv_norm(channels, out, 3), nn.ReLU(inplace=True)]


def _same(channels: int) -> list[nn.Module]:
    return [*conv_norm(channels, channels, 3), nn.ReLU(inplace=True)]

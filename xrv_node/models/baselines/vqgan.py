"""A VQGAN (Esser et al. 2021) of radiographs: an image as a grid of entries of a codebook, and back.

Module names are those of the released state dict (taming-transformers' ``VQModel``). Its dimensions are in a
YAML file that was released beside it (``vqgan_yaml``).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from xrv_node.models import inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

GROUPS = 32
"""Of the group normalisations."""

EPSILON = 1e-6
"""Of the group normalisations."""


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=EPSILON)


class Residual(nn.Module):
    """Two convolutions, each after normalisation and swish, and a shortcut."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.norm1 = _norm(channels)
        self.conv1 = nn.Conv2d(channels, out, kernel_size=3, padding=1)
        self.norm2 = _norm(out)
        self.conv2 = nn.Conv2d(out, out, kernel_size=3, padding=1)
        self.nin_shortcut = nn.Conv2d(channels, out, kernel_size=1) if channels != out else None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, out, H, W]``."""
        shortcut = x if self.nin_shortcut is None else self.nin_shortcut(x)
        y = self.conv1(functional.silu(self.norm1(x)))
        residual: Tensor = self.conv2(functional.silu(self.norm2(y)))
        return shortcut + residual


class SelfAttention(nn.Module):
    """Attention of every pixel to every other, one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to the same shape."""
        y = self.norm(x)
        query, key, value = (layer(y).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        seen = functional.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj_out(seen.transpose(1, 2).reshape(x.shape))
        return x + projected


class Resample(nn.Module):
    """Halves or doubles the size."""

    def __init__(self, channels: int, *, double: bool) -> None:
        super().__init__()
        self.doubles = double
        stride, padding = (1, 1) if double else (2, 0)
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, stride=stride, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to ``[B, C, 2 H, 2 W]`` or ``[B, C, H / 2, W / 2]``."""
        # Halving pads right and below only; a padded convolution would sample other pixels.
        x = functional.interpolate(x, scale_factor=2.0) if self.doubles else functional.pad(x, (0, 1, 0, 1))
        y: Tensor = self.conv(x)
        return y


class Level(nn.Module):
    """The blocks at one size, each followed by attention where the level has it."""

    def __init__(self, channels: int, out: int, blocks: int, *, attends: bool, leaves: str = "") -> None:
        super().__init__()
        self.block = nn.ModuleList(Residual(a, b) for a, b in pairwise([channels, *([out] * blocks)]))
        self.attn = nn.ModuleList(SelfAttention(out) for _ in range(blocks if attends else 0))
        self.leaves = leaves
        if leaves:
            self.add_module(leaves, Resample(out, double=leaves == "upsample"))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, channels, H, W]`` to ``[B, out, h, w]``: the same size, half or double, by ``leaves``."""
        for index, block in enumerate(self.block):
            x = block(x)
            if self.attn:
                x = self.attn[index](x)
        return self.get_submodule(self.leaves)(x) if self.leaves else x


class Middle(nn.Module):
    """The blocks at the smallest size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = Residual(channels, channels)
        self.attn_1 = SelfAttention(channels)
        self.block_2 = Residual(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to the same shape."""
        y: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return y


class VQEncoder(nn.Module):
    """Down from an image to ``z_channels`` at its smallest size."""

    def __init__(
        self,
        z_channels: int,
        resolution: int,
        ch: int,
        ch_mult: Sequence[int],
        blocks: int,
        at: Sequence[int],
    ) -> None:
        super().__init__()
        widths = [ch, *(ch * factor for factor in ch_mult)]
        self.conv_in = nn.Conv2d(3, ch, kernel_size=3, padding=1)
        self.down = nn.ModuleList()
        for depth, (channels, out) in enumerate(pairwise(widths)):
            leaves = "downsample" if depth < len(ch_mult) - 1 else ""
            attends = resolution >> depth in at
            self.down.append(Level(channels, out, blocks, attends=attends, leaves=leaves))
        self.mid = Middle(widths[-1])
        self.norm_out = _norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], z_channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, 3, H, H]`` to ``[B, z_channels, h, h]``, h half of H for each level after the first."""
        y = self.conv_in(x)
        for level in self.down:
            y = level(y)
        z: Tensor = self.conv_out(functional.silu(self.norm_out(self.mid(y))))
        return z


class VQDecoder(nn.Module):
    """Up again; one block more at each size than the encoder has."""

    def __init__(
        self,
        z_channels: int,
        resolution: int,
        ch: int,
        ch_mult: Sequence[int],
        blocks: int,
        at: Sequence[int],
    ) -> None:
        super().__init__()
        widths = [ch * factor for factor in ch_mult]
        incoming = [*widths[1:], widths[-1]]
        self.conv_in = nn.Conv2d(z_channels, widths[-1], kernel_size=3, padding=1)
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList()
        for depth, (channels, out) in enumerate(zip(incoming, widths, strict=True)):
            attends = resolution >> depth in at
            leaves = "upsample" if depth > 0 else ""
            self.up.append(Level(channels, out, blocks + 1, attends=attends, leaves=leaves))
        self.norm_out = _norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, kernel_size=3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Map ``[B, z_channels, h, h]`` to ``[B, 3, H, H]``."""
        y = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            y = level(y)
        x: Tensor = self.conv_out(functional.silu(self.norm_out(y)))
        return x


class Codebook(nn.Module):
    """The vectors that a latent may consist of."""

    def __init__(self, entries: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(entries, channels)

    def nearest(self, z: Tensor) -> Tensor:
        """Index of the nearest vector at every place: ``[B, C, h, w]`` to int64 ``[B, h, w]``.

        Of two at the same distance the first.
        """
        flat = z.permute(0, 2, 3, 1).flatten(0, 2)
        book = self.embedding.weight
        distances = (flat**2).sum(dim=1, keepdim=True) + (book**2).sum(dim=1) - 2 * flat @ book.T
        return distances.argmin(dim=1).view(z.shape[0], *z.shape[2:])

    def forward(self, z: Tensor) -> Tensor:
        """Replace every vector of ``[B, C, h, w]`` by the nearest; the gradient passes as if it had not."""
        nearest: Tensor = self.embedding(self.nearest(z)).permute(0, 3, 1, 2)
        return z + (nearest - z).detach()


class VQGAN(nn.Module):
    """Encoder, codebook and decoder.

    Parameters
    ----------
    resolution
        Rows and columns of the images that the weights were trained on.
    z_channels, ch, ch_mult, num_res_blocks, attn_resolutions
        Of the encoder and decoder, by the names of the released YAML (``ddconfig``).
    n_embed, embed_dim
        Entries of the codebook, and their length.
    """

    def __init__(
        self,
        resolution: int,
        z_channels: int,
        ch: int,
        ch_mult: Sequence[int],
        num_res_blocks: int,
        attn_resolutions: Sequence[int],
        n_embed: int,
        embed_dim: int,
    ) -> None:
        super().__init__()
        self.size = resolution
        dimensions: tuple[Any, ...] = (z_channels, resolution, ch, ch_mult, num_res_blocks, attn_resolutions)
        self.encoder = VQEncoder(*dimensions)
        self.decoder = VQDecoder(*dimensions)
        self.quantize = Codebook(n_embed, embed_dim)
        self.quant_conv = nn.Conv2d(z_channels, embed_dim, kernel_size=1)
        self.post_quant_conv = nn.Conv2d(embed_dim, z_channels, kernel_size=1)

    def encode(self, x: Tensor) -> Tensor:
        """Latent of a batch.

        Parameters
        ----------
        x
            float ``[B, 1, H, H]`` in [-1024, 1024]; brought to ``size`` by bilinear interpolation without
            antialiasing, as in training.

        Returns
        -------
        Tensor
            ``[B, embed_dim, h, h]``: codebook vectors, h half of ``size`` for each level after the first.

        Raises
        ------
        ImageError
            As ``inputs.check``.
        """
        inputs.check(x)
        y = functional.interpolate(x / inputs.LIMIT, size=(self.size, self.size), mode="bilinear")
        z: Tensor = self.quantize(self.quant_conv(self.encoder(inputs.rgb(y))))
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Image of a latent: ``[B, embed_dim, h, h]`` to ``[B, 1, size, size]`` in [-1024, 1024]."""
        y: Tensor = self.decoder(self.post_quant_conv(z))[:, :1]
        return (y * inputs.LIMIT).clamp(-inputs.LIMIT, inputs.LIMIT)

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction, as ``decode``; input as ``encode``."""
        return self.decode(self.encode(x))

    def codes(self, x: Tensor) -> Tensor:
        """Return the codebook indices of a batch, int64 ``[B, h, h]``; input as ``encode``."""
        with torch.no_grad():
            return self.quantize.nearest(self.encode(x))

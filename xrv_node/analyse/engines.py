"""How a network is made ready for a device: the same weights, in the form that runs fastest there.

An engine changes a network in place and promises the same numbers within a tolerance. ``benchmark`` holds it
to that, on the machine and with the weights that are to run. Plain torch is always there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from xrv_node.models.pspnet import BINS, PSPNet

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_TAPS = 3
"""Rows and columns of the kernel behind the pyramid."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One way to run a network."""

    name: str
    about: str
    prepare: Callable[[nn.Module], nn.Module]
    """Changes a network that is in evaluation mode on its device, and returns it, for inference only."""
    devices: tuple[str, ...] = ("cpu", "cuda", "mps")
    """Kinds of device that it is for."""
    half: torch.dtype | None = None
    """What it convolves in, where that is 16 bits: bfloat16 rounds to 8 bits, float16 to 11 and overflows
    beyond 65504. It is never chosen unless it is asked for."""
    declines: Callable[[str], str | None] = lambda _device: None
    """Why it does not run on a device of this machine, or None."""

    def precision(self, device: str) -> AbstractContextManager[object]:
        """Return the context that the forward passes run in."""
        return torch.autocast(device.partition(":")[0], self.half) if self.half else nullcontext()


def channels_last(network: nn.Module) -> nn.Module:
    """Lay weights out in the order that convolutions are fastest in, on CPUs and GPUs."""
    return network.to(memory_format=torch.channels_last)


def folded(network: nn.Module) -> nn.Module:
    """Fold batch normalisations into the convolutions before them, PSPNet's pyramid into the one after it."""
    _fold(network)
    if isinstance(network, PSPNet):
        network.add_module("pyramid_pooling", FoldedPyramid(network))
        network.add_module("cbr_final", nn.Identity())
    return channels_last(network)


def packed(network: nn.Module) -> nn.Module:
    """``folded``, with the weights in oneDNN's own layout, which torch otherwise makes anew in every call."""
    network = folded(network)
    _pack(network, torch.float32)
    return network


def no_bfloat16(device: str) -> str | None:
    """Return why a device does not convolve in bfloat16 with packed weights, or None where it does."""
    try:
        lacks = device == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    except AttributeError:
        return "this torch was built without oneDNN"
    return "this processor has no AVX-512 (BW, VL, DQ) for bfloat16" if lacks else None


def packed_half(network: nn.Module) -> nn.Module:
    """``packed`` in bfloat16 on a CPU, ``folded`` on a GPU, where autocast rounds."""
    network = folded(network)
    if next(network.parameters()).device.type == "cpu":
        _pack(network, torch.bfloat16)
    return network


ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("torch", "as it is, channels last", channels_last),
        Engine("torch-folded", "batch normalisation and pyramid folded into convolutions", folded),
        Engine("torch-packed", "folded, weights in oneDNN's layout", packed, devices=("cpu",)),
        Engine(
            "torch-bf16",
            "folded, convolutions in bfloat16",
            packed_half,
            ("cpu", "cuda"),
            torch.bfloat16,
            no_bfloat16,
        ),
        Engine("torch-fp16", "folded, convolutions in float16", folded, ("cuda",), torch.float16),
    )
}
"""By name. Runtimes that take an exported network (ONNX Runtime, OpenVINO) would be rows of this table."""

PLAIN = ENGINES["torch"]
"""What every other engine is compared with, and what runs where none was chosen."""


def available(device: str) -> tuple[Engine, ...]:
    """Return the engines for a device (``cpu``, ``cuda``, ``cuda:1``, ``mps``), plain torch first."""
    return tuple(engine for engine in ENGINES.values() if device.partition(":")[0] in engine.devices)


def _fold(module: nn.Module) -> None:
    """Fold along the order of registration, which in these networks is the order of execution.

    (A network where it is not would give other numbers, and ``benchmark`` would not choose the engine.)
    """
    children = list(module.named_children())
    for (name, conv), (after, norm) in pairwise(children):
        if (
            isinstance(conv, _CONVOLUTIONS)
            and isinstance(norm, nn.BatchNorm2d)
            and conv.out_channels == norm.num_features
        ):
            fused = fuse_conv_bn_eval(conv, norm, transpose=isinstance(conv, nn.ConvTranspose2d))
            setattr(module, name, fused.requires_grad_(False))
            setattr(module, after, nn.Identity())
    for _, child in children:
        _fold(child)


class FoldedPyramid(nn.Module):
    """PSPNet's pyramid pooling and the 3x3 convolution on it, without the large map between them.

    Half of that convolution's inputs are grids of 6x6 to 1x1 cells, enlarged to 64x64. Enlarging is linear
    and acts on one axis at a time, so the kernel's taps are applied to the cells, and what comes out is
    enlarged and added up: 75 of the network's 523 GFLOP become 2.

    Parameters
    ----------
    network
        With batch normalisation folded; its modules are used, not copied.
    """

    def __init__(self, network: PSPNet) -> None:
        super().__init__()
        final = cast("nn.Conv2d", network.cbr_final.cbr_unit[0])
        self.paths = network.pyramid_pooling.path_module_list
        own = final.in_channels // 2
        self.conv = nn.Conv2d(own, final.out_channels, _TAPS, padding=1, device="meta")
        self.conv.weight = nn.Parameter(final.weight[:, :own].clone(), requires_grad=False)
        self.conv.bias = final.bias
        self.taps = nn.ParameterList(
            nn.Parameter(part.clone(), requires_grad=False)
            for part in final.weight[:, own:].chunk(len(BINS), 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, 2048, H, W]`` to ``[B, 512, H, W]``, non-negative: ``cbr_final(pyramid_pooling(x))``."""
        height, width = x.shape[2:]
        y: Tensor = self.conv(x)
        for bins, path, taps in zip(BINS, self.paths, self.taps, strict=True):
            cells = path(functional.avg_pool2d(x, (height // bins, width // bins)))
            tapped = torch.einsum("oijk,bixy->bojxky", taps, cells.to(taps.dtype))
            down, across = _enlarged(bins, height, taps), _enlarged(bins, width, taps)
            y = y + torch.einsum("bojxky,jxh,kyw->bohw", tapped, down, across)
        return functional.relu_(y)


def _enlarged(cells: int, size: int, like: Tensor) -> Tensor:
    """``[3, cells, size]``: what each cell adds to each pixel, as seen by the three taps of an axis."""
    unit = torch.eye(cells, dtype=like.dtype, device=like.device)[None, :, :, None]
    enlarged = functional.interpolate(unit, (size, 1), mode="bilinear")[0, :, :, 0]
    padded = functional.pad(enlarged, (1, 1))
    return torch.stack([padded[:, tap : tap + size] for tap in range(_TAPS)])


class PackedConvolution(nn.Module):
    """A convolution whose weights are laid out for this processor once, and with it the ReLU that follows.

    The operators are those that torch's compiler puts in the place of a convolution on a CPU. They have no
    public name: a torch without them fails here, and the benchmark does not choose this engine.
    """

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype, *, relu: bool) -> None:
        super().__init__()
        padding = [int(p) for p in conv.padding]
        self.geometry = (padding, list(conv.stride), list(conv.dilation), conv.groups)
        self.bias = None if conv.bias is None else conv.bias.to(dtype)
        self.weight: Tensor = conv.weight.detach().to(dtype)
        self.then = "relu" if relu else "none"

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution, and the ReLU where there was one; in the dtype of the weights."""
        if not self.weight.is_mkldnn:  # which layout is best depends on the size of the map
            reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            self.weight = reorder(self.weight.to_mkldnn(), *self.geometry, list(x.shape))
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x.to(self.weight.dtype), self.weight, self.bias, *self.geometry, self.then, [], ""
        )
        return y


def _pack(module: nn.Module, dtype: torch.dtype) -> None:
    children = [
        (name, child) for name, child in module.named_children() if not isinstance(child, nn.Identity)
    ]
    for (name, child), (after, follower) in zip(children, [*children[1:], ("", module)], strict=False):
        if isinstance(child, nn.Conv2d):
            # elsewhere a ReLU that is registered next may be called after the shortcut is added
            relu = isinstance(module, nn.Sequential) and isinstance(follower, nn.ReLU)
            setattr(module, name, PackedConvolution(child, dtype, relu=relu))
            if relu:
                setattr(module, after, nn.Identity())
        else:
            _pack(child, dtype)

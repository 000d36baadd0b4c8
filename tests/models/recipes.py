"""Weights that need no download: every tensor drawn from a generator seeded with its name (recipes F and F2).

torchxrayvision was run with them elsewhere and its outputs written down; here it is run with them too, on files
of the released kind.
"""

from __future__ import annotations

import json
import math
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from xrv_node.models import architectures

SHARED = Path(__file__).resolve().parents[3] / "shared"


def fact(name: str):
    path = SHARED / "xrv" / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return json.loads(path.read_text())


@cache
def recipe(network: str, name: str) -> dict[str, torch.Tensor]:
    """A network's state dict after recipe ``F`` or ``F2``."""
    gain, scale = {"F": (1, 0.5), "F2": (2, 1.0)}[name]
    state = {}
    for key, (_, shape) in architectures.layout(network).items():
        n = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)
        last = key.rpartition(".")[2]
        if last == "num_batches_tracked":
            state[key] = torch.zeros(shape, dtype=torch.int64)
            continue
        if last == "running_mean":
            value = 0.1 * n
        elif last == "running_var":
            value = np.exp(0.2 * n)
        elif len(shape) >= 2:
            value = n * math.sqrt(gain / math.prod(shape[1:]))
        elif last == "weight":
            value = scale + 0.1 * n
        else:
            value = 0.05 * n
        state[key] = torch.from_numpy(np.asarray(value, np.float32))
    return state


def mitchell_half(pixels: np.ndarray) -> np.ndarray:
    """Halve an image with the filter of Mitchell and Netravali (1988), as the 512 x 512 file was made."""
    rows, half = pixels.shape[0], pixels.shape[0] // 2
    x = np.abs((np.arange(rows)[None] - (2 * np.arange(half)[:, None] + 0.5)) / 2)
    near = (7 * x**3 - 12 * x**2 + 16 / 3) / 6
    far = (-7 / 3 * x**3 + 12 * x**2 - 20 * x + 32 / 3) / 6
    w = np.where(x < 1, near, np.where(x < 2, far, 0))
    w /= w.sum(axis=1, keepdims=True)
    return np.floor(w @ pixels.astype(float) @ w.T + 0.5).clip(0, 255)

"""Weights and inputs that need no download, the same on every machine.

Every tensor is drawn from a generator seeded with its name (recipes F and F2). torchxrayvision was run with them
elsewhere, on an image of its own tests, and its outputs were written down.
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
from xrv_node.models.baselines import chexpert_members

SHARED = Path(__file__).resolve().parents[3] / "shared"

RECIPES = {"F": (1, 0.5), "F2": (2, 1.0)}
"""Gain of matrices, and mean of the gains of normalisations; F2 is sensitive to any error, and saturates sigmoids."""

TINY_VQGAN = {
    "resolution": 64,
    "z_channels": 4,
    "ch": 32,
    "ch_mult": [1, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [32],
    "n_embed": 16,
    "embed_dim": 4,
}
"""Dimensions of the VQGAN whose outputs were written down."""

LABELS = tuple(
    [
        "No Finding",
        "Enlarged Cardiomediastinum",
        "Cardiomegaly",
        "Lung Lesion",
        "Airspace Opacity",
        "Edema",
        "Consolidation",
        "Pneumonia",
        "Atelectasis",
        "Pneumothorax",
        "Pleural Effusion",
        "Pleural Other",
        "Fracture",
        "Support Devices",
    ]
)
"""The CheXpert data set's, in the order of its table: rows of the ensemble's last layers."""


def fact(name: str) -> dict:
    """A file of facts about torchxrayvision; a test is skipped where it is not beside the project."""
    path = SHARED / "xrv" / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return json.loads(path.read_text())


def drawn(key: str, shape: tuple[int, ...], name: str, seed: str | None = None) -> torch.Tensor:
    """One tensor of recipe ``F`` or ``F2``; `seed` in place of the key where the recipe has another name."""
    gain, scale = RECIPES[name]
    n = np.random.Generator(np.random.PCG64(zlib.crc32((seed or key).encode()))).standard_normal(shape)
    last = key.rpartition(".")[2]
    if last == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    if last == "running_mean":
        value = 0.1 * n
    elif last == "running_var":
        value = np.exp(0.2 * n)
    elif len(shape) >= 2:
        value = n * math.sqrt(gain / math.prod(shape[1:]))
    elif last == "weight":
        value = scale + 0.1 * n
    elif last == "bias":
        value = 0.05 * n
    else:
        value = 0.1 * n
    return torch.from_numpy(np.asarray(value, np.float32))


@cache
def recipe(network: str, name: str) -> dict[str, torch.Tensor]:
    """A network's state dict after recipe ``F`` or ``F2``."""
    settings = TINY_VQGAN if network == "vqgan" else None
    return {
        key: drawn(key, shape, name) for key, (_, shape) in architectures.layout(network, settings).items()
    }


def member(path: str, three_class: bool, name: str) -> dict[str, torch.Tensor]:
    """The state dict of one network of the CheXpert ensemble, with rows for all ``LABELS``."""
    rows = len(LABELS) * (3 if three_class else 1)
    state = {}
    for key, (_, shape) in architectures.layout("densenet121").items():
        sizes = (64, 3, 7, 7) if key == "features.conv0.weight" else shape
        sizes = (rows, *sizes[1:]) if key.startswith("classifier.") else sizes
        state[key] = drawn(key, sizes, name, f"{path}:model.{key}")
    return state


def ensemble(name: str, members: int) -> dict[str, dict]:
    """The ensemble's checkpoints, by their paths in the zip."""
    return {
        path: {
            "task_sequence": {label: index for index, label in enumerate(LABELS)},
            "model_state": {f"module.model.{k}": v for k, v in member(path, group.three_class, name).items()},
            "ckpt_info": {"epoch": 1, "iteration": 4800},
        }
        for group in chexpert_members.groups()
        for path in group.members[:members]
    }


def mitchell_half(pixels: np.ndarray) -> np.ndarray:
    """Halve an image with the filter of Mitchell and Netravali (1988), as the 512 x 512 file was made."""
    rows, half = pixels.shape[0], pixels.shape[0] // 2
    x = np.abs((np.arange(rows)[None] - (2 * np.arange(half)[:, None] + 0.5)) / 2)
    near = (7 * x**3 - 12 * x**2 + 16 / 3) / 6
    far = (-7 / 3 * x**3 + 12 * x**2 - 20 * x + 32 / 3) / 6
    w = np.where(x < 1, near, np.where(x < 2, far, 0))
    w /= w.sum(axis=1, keepdims=True)
    return np.floor(w @ pixels.astype(float) @ w.T + 0.5).clip(0, 255)


def golden_image() -> torch.Tensor:
    """``[1, 1, 512, 512]``: 00000001_000.png of torchxrayvision's tests.

    The PNG is not here, the 1024 x 1024 original is: halved, its pixel sum is that of the PNG to 1 in 10**6, so
    a few of its 262144 pixels differ by one grey level.

    Raises
    ------
    FileNotFoundError
        The original is not beside the project.
    """
    from pydicom import dcmread

    pixels = mitchell_half(dcmread(SHARED / "data/dicom/chest/tfio_nih_00000001_000.dcm").pixel_array)
    assert abs(pixels.sum() - 33590126) < 100
    return torch.from_numpy((2 * (pixels.astype(np.float32) / 255) - 1) * 1024)[None, None]


def shrunk(image: torch.Tensor, size: int) -> torch.Tensor:
    """``[1, 1, H, H]`` at another size by the resampler of the written down numbers (scikit-image)."""
    from skimage.transform import resize

    small = resize(image[0].numpy(), (1, size, size), mode="constant", preserve_range=True)
    return torch.from_numpy(small.astype(np.float32))[None]


def smooth_image() -> torch.Tensor:
    """``[1, 1, 512, 512]`` in [-1024, 1024]: smooth structure, from a generator of its own."""
    noise = np.random.Generator(np.random.PCG64(1)).uniform(-1024, 1024, (1, 1, 32, 32)).astype(np.float32)
    return torch.nn.functional.interpolate(torch.from_numpy(noise), (512, 512), mode="bilinear")

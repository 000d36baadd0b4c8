"""Weights that need no download: every tensor drawn from a generator seeded with its name (recipes F and F2).

torchxrayvision was run with them elsewhere and its outputs written down; here it is run with them too, on files
of the released kind.
"""

from __future__ import annotations

import json
import math
import shutil
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from xrv_node.models import architectures, catalog

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Threads that wait for a busy core cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


@pytest.fixture(scope="session")
def golden_image() -> torch.Tensor:
    """``[1, 1, 512, 512]``: 00000001_000.png of torchxrayvision's tests.

    The PNG is not here, the 1024 x 1024 original is: halved, its pixel sum is that of the PNG to 1 in 10**6, so
    a few of its 262144 pixels differ by one grey level.
    """
    path = SHARED / "data/dicom/chest/tfio_nih_00000001_000.dcm"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    from pydicom import dcmread

    pixels = mitchell_half(dcmread(path).pixel_array)
    assert abs(pixels.sum() - 33590126) < 100
    return torch.from_numpy((2 * (pixels.astype(np.float32) / 255) - 1) * 1024)[None, None]


@pytest.fixture(scope="session")
def golden_224(golden_image: torch.Tensor) -> torch.Tensor:
    """The same at 224 by the resampler of the written down numbers (scikit-image)."""
    from skimage.transform import resize

    small = resize(golden_image[0].numpy(), (1, 224, 224), mode="constant", preserve_range=True)
    return torch.from_numpy(small.astype(np.float32))[None]


@pytest.fixture(scope="session")
def image() -> torch.Tensor:
    """``[1, 1, 512, 512]`` in [-1024, 1024]: smooth structure, from a generator of its own."""
    noise = np.random.Generator(np.random.PCG64(1)).uniform(-1024, 1024, (1, 1, 32, 32)).astype(np.float32)
    return torch.nn.functional.interpolate(torch.from_numpy(noise), (512, 512), mode="bilinear")


@pytest.fixture
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue without digests, for files that only stand in for the released ones."""
    entries = tuple(replace(entry, sha256=None, bytes=None) for entry in catalog.entries())
    monkeypatch.setattr(catalog, "entries", lambda: entries)


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory):
    """A folder with three files named and made as the released ones are, which torchxrayvision loads too.

    DenseNet: the whole module in the format before PyTorch 1.6. Autoencoder: a state dict (zip). PSPNet: a
    state dict of DataParallel.
    """
    import torchxrayvision

    folder = tmp_path_factory.mktemp("released")
    module = torchxrayvision.models.DenseNet(weights=None)
    module.load_state_dict(recipe("densenet121", "F"))
    torch.save(module, folder / catalog.find("all").file, _use_new_zipfile_serialization=False)
    torch.save(recipe("resnet_autoencoder", "F2"), folder / catalog.find("101-elastic").file)
    wrapped = {f"module.{key}": value for key, value in recipe("pspnet", "F2").items()}
    torch.save(wrapped, folder / catalog.find("chestx_det").file)
    yield folder
    shutil.rmtree(folder)

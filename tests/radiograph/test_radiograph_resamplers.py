"""Each resampler against the one of torchxrayvision that it stands for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from radiograph_files import SHARED

from xrv_node.errors import ConfigError
from xrv_node.radiograph.prepare import prepare, prepare_all
from xrv_node.radiograph.read import Radiograph, read
from xrv_node.radiograph.resample import RESAMPLERS

xrv = pytest.importorskip("torchxrayvision")
TOLERANCE = 1e-3


def antialias(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """What a network of torchxrayvision does inside with an image that is not of its size."""

    class Host(torch.nn.Module):
        weights = "densenet121-res224-all"

    small = xrv.utils.fix_resolution(torch.from_numpy(image)[None], size, Host())
    return small[0].numpy()


REFERENCES: dict[str, Callable[[NDArray[np.float32], int], NDArray[np.float32]]] = {
    "skimage": lambda image, size: xrv.datasets.XRayResizer(size)(image),
    "area": lambda image, size: xrv.datasets.XRayResizer(size, engine="cv2")(image),
    "antialias": antialias,
}


def textured(rows: int, columns: int, high: int) -> NDArray[Any]:
    rng = np.random.default_rng(rows * 10_000 + columns)
    pixels = rng.integers(0, high + 1, (rows, columns))
    pixels[: rows // 10] = high
    pixels[:, : columns // 20] = 0
    return pixels.astype(np.uint16)


@pytest.mark.parametrize("name", RESAMPLERS)
@pytest.mark.parametrize(
    ("rows", "columns", "high"),
    [(1024, 1024, 255), (885, 1036, 255), (1211, 997, 4095), (224, 300, 255), (131, 100, 65535)],
)
def test_equals_torchxrayvision(name: str, rows: int, columns: int, high: int) -> None:
    pixels = textured(rows, columns, high)
    image = xrv.datasets.XRayCenterCrop()(xrv.datasets.normalize(pixels, high)[None])
    both = prepare_all(Radiograph(pixels, 0, high), (224, 512), name)
    for size, result in both.items():
        assert result.dtype == np.float32
        assert np.abs(result - REFERENCES[name](image, size)[0]).max() < TOLERANCE
        assert -1024 <= result.min() <= result.max() <= 1024


@pytest.mark.parametrize("name", RESAMPLERS)
def test_a_real_radiograph_equals_torchxrayvision(name: str) -> None:
    pictures = sorted((SHARED / "data" / "nih" / "images").glob("*.png"))[:3]
    if not pictures:
        pytest.skip("the shared NIH images are not installed")
    for path in pictures:
        image = xrv.datasets.XRayCenterCrop()(xrv.utils.load_image(str(path)))
        assert np.abs(prepare(read(path), 224, name) - REFERENCES[name](image, 224)[0]).max() < TOLERANCE


def test_they_differ_and_each_has_words_of_its_own() -> None:
    image = Radiograph(textured(600, 500, 255), 0, 255)
    results = {name: prepare(image, 224, name) for name in RESAMPLERS}
    assert np.abs(results["skimage"] - results["area"]).max() > 10
    assert np.abs(results["skimage"] - results["antialias"]).max() > 10
    assert np.abs(results["area"] - results["antialias"]).max() > 10
    assert len({resampler.words for resampler in RESAMPLERS.values()}) == len(RESAMPLERS)


def test_the_image_is_left_as_it_was() -> None:
    pixels = textured(300, 300, 255).astype(np.float32)
    before = pixels.copy()
    for name in RESAMPLERS:
        prepare(Radiograph(pixels, 0, 255), 64, name)
        assert np.array_equal(pixels, before)


def test_another_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="'cv2': use one of skimage, area, antialias"):
        prepare(Radiograph(textured(30, 30, 255), 0, 255), 224, "cv2")


def test_the_default_needs_no_torch() -> None:
    code = (
        "import sys, numpy; from xrv_node.radiograph.prepare import prepare;"
        "from xrv_node.radiograph.image import Radiograph;"
        "prepare(Radiograph(numpy.ones((9, 9), 'u1'), 0, 255), 4); print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"

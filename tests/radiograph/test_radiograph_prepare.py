"""The networks' input against torchxrayvision's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from radiograph_files import SHARED, corpus_file, image, ramp, write

from xrv_node.radiograph.prepare import frame, prepare, prepare_all
from xrv_node.radiograph.read import Radiograph, read
from xrv_node.values import Frame

xrv = pytest.importorskip("torchxrayvision")
TOLERANCE = 1e-3


def reference(pixels: NDArray[Any], high: float, size: int) -> NDArray[np.float32]:
    """What torchxrayvision's own pipeline makes of the same pixels."""
    normalised = xrv.datasets.normalize(pixels, high)[None]
    cropped = xrv.datasets.XRayCenterCrop()(normalised)
    result: NDArray[np.float32] = xrv.datasets.XRayResizer(size)(cropped)[0]
    return result


def textured(rows: int, columns: int, dtype: str, high: int) -> NDArray[Any]:
    """Noise, gradients and hard edges: everything that a resampler can get wrong."""
    rng = np.random.default_rng(rows * 10_000 + columns)
    pixels = rng.integers(0, high // 2 + 1, (rows, columns)) + np.linspace(0, high // 2, columns).astype(int)
    pixels[: rows // 10] = high
    pixels[:, : columns // 20] = 0
    return pixels.astype(dtype)


@pytest.mark.parametrize(
    ("rows", "columns", "dtype", "high"),
    [
        (1024, 1024, "u1", 255),
        (885, 1036, "u1", 255),
        (1211, 997, "u2", 4095),
        (513, 511, "u2", 65535),
        (512, 512, "u1", 255),
        (225, 224, "u1", 255),
        (100, 131, "u1", 255),
        (17, 9, "u1", 255),
        (2, 3, "u1", 255),
    ],
)
def test_equals_torchxrayvision(rows: int, columns: int, dtype: str, high: int) -> None:
    pixels = textured(rows, columns, dtype, high)
    both = prepare_all(Radiograph(pixels, 0, high), (224, 512))
    for size, result in both.items():
        assert result.dtype == np.float32
        assert result.shape == (size, size)
        assert np.abs(result - reference(pixels, high, size)).max() < TOLERANCE
        assert -1024 <= result.min() <= result.max() <= 1024


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(2, 300), st.integers(2, 300), st.sampled_from([64, 224, 225]))
def test_equals_torchxrayvision_at_any_size(rows: int, columns: int, size: int) -> None:
    pixels = textured(rows, columns, "u1", 255)
    assert np.abs(prepare(Radiograph(pixels, 0, 255), size) - reference(pixels, 255, size)).max() < TOLERANCE


def test_a_dicom_file_equals_torchxrayvision_s_reading_of_it() -> None:
    one_step = 2048 / 255  # decoders of lossy JPEG may differ by it (ISO/IEC 10918-2)
    for name, tolerance in (
        ("chest/nhsx_nih_dx.dcm", TOLERANCE),
        ("chest/xrv_siim_pa_mono2.dcm", one_step),
        ("edge/xrv_fake_mono1.dcm", one_step),
    ):
        path = corpus_file(name)
        image = xrv.utils.load_image(str(path))
        expected = xrv.datasets.XRayResizer(224)(xrv.datasets.XRayCenterCrop()(image))[0]
        assert np.abs(prepare(read(path), 224) - expected).max() < tolerance, name


def test_a_picture_equals_torchxrayvision_s_reading_of_it() -> None:
    pictures = sorted((SHARED / "data" / "nih" / "images").glob("*.png"))
    if not pictures:
        pytest.skip("the shared NIH images are not installed")
    for path in pictures[:4]:
        image = xrv.utils.load_image(str(path))
        expected = xrv.datasets.XRayResizer(224)(xrv.datasets.XRayCenterCrop()(image))[0]
        assert np.abs(prepare(read(path), 224) - expected).max() < TOLERANCE, path.name


def test_the_worked_example() -> None:
    """Statistics that torchxrayvision 1.5.7 left on its own test image, where that image is installed."""
    facts = SHARED / "xrv" / "xrv-worked-example.json"
    images = {p.name: p for p in SHARED.rglob("*") if p.name in ("00000001_000.png", "16747_3_1.jpg")}
    if not facts.exists() or not images:
        pytest.skip("neither of the worked example's images is installed")
    examples = json.loads(facts.read_text())["images"]
    for name, path in images.items():
        expected = examples[name]["resized"]["skimage224"]
        result = prepare(read(path), 224)
        for statistic in ("min", "max", "mean", "std"):
            assert getattr(result, statistic)() == pytest.approx(expected[statistic], abs=TOLERANCE)
        assert np.allclose(result[0, :5], expected["first5"], atol=TOLERANCE)


def test_monochrome1_and_its_negative_are_one_image(tmp_path: Path) -> None:
    pixels = ramp(12)
    one = read(write(image(pixels, 12), tmp_path / "2.dcm"))
    other = read(write(image(4095 - pixels, 12, PhotometricInterpretation="MONOCHROME1"), tmp_path / "1.dcm"))
    assert np.abs(prepare(one, 224) - prepare(other, 224)).max() < TOLERANCE


@pytest.mark.parametrize(
    ("rows", "columns"), [(885, 1036), (1036, 885), (7, 4), (4, 7), (5, 8), (1, 9), (512, 512)]
)
def test_frame_is_torchxrayvision_s_crop(rows: int, columns: int) -> None:
    numbers = np.arange(rows * columns, dtype=np.float32).reshape(1, rows, columns)
    cropped = xrv.datasets.XRayCenterCrop()(numbers)[0]
    square = frame(rows, columns)
    assert (square.rows, square.columns) == (rows, columns)
    ours = numbers[0, square.top : square.top + square.side, square.left : square.left + square.side]
    assert np.array_equal(ours, cropped)


def test_frame_of_a_known_image() -> None:
    assert frame(885, 1036) == Frame(rows=885, columns=1036, top=0, left=76, side=885)


def test_one_value_everywhere() -> None:
    for value in (0, 7, 255):
        pixels = np.full((300, 300), value, np.uint8)
        assert (
            np.abs(prepare(Radiograph(pixels, 0, 255), 224) - reference(pixels, 255, 224)).max() < TOLERANCE
        )


def test_the_header_reader_imports_no_pixel_library() -> None:
    code = (
        "import sys; from xrv_node.radiograph.header import read_header;"
        "print([m for m in ('numpy', 'cv2', 'torch', 'highdicom') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # pydicom itself imports numpy
    assert set(json.loads(answer.stdout.replace("'", '"'))) <= {"numpy"}


def test_the_picture_is_not_turned_or_mirrored(tmp_path: Path) -> None:
    pixels = np.zeros((300, 200), np.uint8)
    pixels[60:100, 10:50] = 255
    cv2.imwrite(str(tmp_path / "image.png"), pixels)
    result = prepare(read(tmp_path / "image.png"), 200)
    rows, columns = np.nonzero(result > 0)
    # the crop starts at row 50
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 49, 10, 49)

"""The mark of a phantom: found where it was put, after what happens to images, and nowhere else."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from xrv_node.phantom.mark import SIDE, STRENGTH, THRESHOLD, find, stamp
from xrv_node.radiograph.read import read

Plane = NDArray[np.float32]
WHITE = 4095.0
REAL = Path("../shared/data/views/images")


def scene(rows: int = SIDE, columns: int = SIDE, seed: int = 0) -> Plane:
    """Return what a radiograph looks like to a filter: broad shapes, hard edges, a black border and noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(2000, 500, (9, 8)).astype(np.float32)
    image = np.asarray(cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC), np.float32)
    for _ in range(12):
        at = rng.uniform(0, (columns, rows), (2, 2)).astype(int)
        cv2.line(image, at[0].tolist(), at[1].tolist(), float(rng.uniform(800, 3200)), 9)
    noisy = cv2.GaussianBlur(image, (0, 0), rows / 500) + rng.normal(0, 8, (rows, columns))
    noisy[:, : columns // 20] = 0
    return np.clip(noisy, 0, WHITE).astype(np.float32)


def jpeg(image: Plane, quality: int) -> Plane:
    levels = (image / WHITE * 255).round().astype(np.uint8)
    data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)


def resized(image: Plane, share: float) -> Plane:
    way = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, None, fx=share, fy=share, interpolation=way), np.float32)


def turned(image: Plane, degrees: float) -> Plane:
    rows, columns = image.shape
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(image, matrix, (columns, rows)), np.float32)


WAYS: dict[str, tuple[Callable[[Plane], Plane], float]] = {
    "as it is": (lambda image: image, 200),
    "JPEG 75": (lambda image: jpeg(image, 75), THRESHOLD),
    "half and back": (lambda image: resized(resized(image, 0.5), 2), 20),
    "gamma": (lambda image: (image / WHITE) ** np.float32(0.5), 200),
    "inverted": (lambda image: WHITE - image, 200),
    "window": (lambda image: np.clip((image - 1200) / 1600, 0, 1), 100),
    "shifted": (lambda image: np.roll(image, (17, -40), (0, 1)), 150),
    "a tenth cut off": (lambda image: image[: SIDE * 9 // 10, SIDE // 10 :], 80),
    "a tenth cut off and enlarged": (lambda image: resized(image[20:-30, 30:-20], 1.1), 80),
    "turned by a degree": (lambda image: turned(image, 1), 100),
    "turned by two": (lambda image: turned(image, -2), 100),
    "turned and cut": (lambda image: turned(image, 1.3)[20:-20, 20:-20], 80),
}
"""What is done to an image and the least z thereafter; docs/phantom.md has what was measured."""


@pytest.mark.parametrize("way", WAYS)
def test_the_mark_is_found_after(way: str) -> None:
    change, least = WAYS[way]
    match = find(np.ascontiguousarray(change(stamp(scene(), WHITE)), np.float32))
    assert match.z > least
    assert match.marked


@pytest.mark.parametrize("way", ["as it is", "JPEG 75", "a tenth cut off", "turned by two"])
def test_no_mark_is_found_where_there_is_none(way: str) -> None:
    match = find(np.ascontiguousarray(WAYS[way][0](scene(seed=1)), np.float32))
    assert match.z < 7
    assert not match.marked


def test_size_and_turn_are_told() -> None:
    match = find(turned(stamp(scene(), WHITE), 1.5))
    assert match.turn == pytest.approx(1.5, abs=0.1)
    assert match.scale == pytest.approx(1, abs=0.003)


@pytest.mark.parametrize("shape", [(1024, 860), (300, 400), (256, 256), (700, 512)])
def test_images_of_any_shape_bear_it(shape: tuple[int, int]) -> None:
    assert find(stamp(scene(*shape), WHITE), search=False).z > 25


def test_a_stamp_is_a_step_of_a_screen_and_keeps_shape_kind_and_range() -> None:
    image = scene().round().astype(np.uint16)
    before = image.copy()
    marked = stamp(image, WHITE)
    assert marked.dtype == np.uint16
    assert (image == before).all()
    assert marked.max() <= WHITE
    inside = marked[:, 40:].astype(float) - image[:, 40:]
    assert np.sqrt((inside**2).mean()) == pytest.approx(WHITE * STRENGTH, rel=0.1)
    assert stamp(image.astype(np.float32), WHITE).dtype == np.float32


def test_another_noise_as_strong_is_no_mark() -> None:
    noise = np.random.default_rng(7).normal(0, 40, (SIDE, SIDE))
    assert find((scene() + noise).astype(np.float32)).z < 7


@pytest.mark.parametrize(
    "image", [np.zeros((64, 64)), np.full((600, 500), 7.0), np.eye(9), np.ones((3, 900))]
)
def test_an_image_of_nothing_is_no_mark(image: NDArray[np.float64]) -> None:
    assert find(image.astype(np.float32), search=False).z < THRESHOLD


@pytest.mark.skipif(not REAL.is_dir(), reason="the real radiographs are not on this machine")
def test_real_radiographs_have_none_and_get_one() -> None:
    for file in sorted(REAL.iterdir())[:4]:
        picture = np.asarray(read(file).pixels, np.float32)
        assert find(picture).z < 7
        assert find(stamp(picture, float(picture.max())), search=False).z > 20

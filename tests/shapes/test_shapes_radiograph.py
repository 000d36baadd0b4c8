"""What a synthetic radiograph shows, measured where a radiologist would look."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shapes import FEATURES, VIEWS, radiograph

ROWS = 256
TESTS = Path(__file__).parents[1]


def shot(view: str = "PA", *features: str, seed: int = 0) -> NDArray[np.float64]:
    return radiograph(view, rows=ROWS, seed=seed, features=features).astype(float)


def region(image: NDArray[np.float64], top: float, bottom: float, left: float, right: float) -> float:
    """Mean grey value of a part of the image, given in fractions of its height and width."""
    rows, columns = image.shape
    return float(
        image[int(top * rows) : int(bottom * rows), int(left * columns) : int(right * columns)].mean()
    )


@pytest.mark.parametrize("view", VIEWS)
def test_shape_type_and_range(view: str) -> None:
    image = radiograph(view, rows=ROWS)
    assert image.dtype == np.uint16
    assert image.shape == (ROWS, ROWS if view != "LATERAL" else 215)
    assert image.max() <= 4095
    assert len(np.unique(image)) > 1000
    assert radiograph(view, rows=200, columns=170).shape == (200, 170)


@pytest.mark.parametrize("view", ["PA", "AP"])
def test_air_is_dark_lungs_are_grey_and_the_abdomen_is_bright(view: str) -> None:
    image = shot(view)
    corner, abdomen = region(image, 0.0, 0.03, 0.0, 0.03), region(image, 0.88, 0.98, 0.3, 0.7)
    right_lung, left_lung = region(image, 0.35, 0.5, 0.22, 0.36), region(image, 0.35, 0.5, 0.64, 0.78)
    mediastinum = region(image, 0.35, 0.5, 0.47, 0.53)
    assert corner < 200
    for lung in (right_lung, left_lung):
        assert corner + 300 < lung < min(abdomen, mediastinum) - 800


@pytest.mark.parametrize("view", ["PA", "AP"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_heart_lies_on_the_right_of_the_image(view: str, seed: int) -> None:
    image = shot(view, seed=seed)
    assert region(image, 0.58, 0.7, 0.6, 0.66) > region(image, 0.58, 0.7, 0.34, 0.4) + 400


def test_the_right_diaphragm_is_the_higher_one() -> None:
    image = shot()
    assert region(image, 0.71, 0.75, 0.3, 0.36) > region(image, 0.71, 0.75, 0.72, 0.78) + 200


def test_the_lateral_view_has_the_front_on_the_left() -> None:
    """The spine is at the back and the lungs reach lower behind the dome than in front of it."""
    image = shot("LATERAL")
    rear, front = region(image, 0.76, 0.82, 0.7, 0.76), region(image, 0.76, 0.82, 0.3, 0.36)
    assert rear < front - 200


@pytest.mark.parametrize(
    ("feature", "part", "sign"),
    [
        ("effusion", (0.62, 0.72, 0.18, 0.24), 1),
        ("cardiomegaly", (0.6, 0.66, 0.73, 0.76), 1),
        ("pneumothorax", (0.3, 0.4, 0.24, 0.27), -1),
        ("nodule", (0.4, 0.42, 0.69, 0.71), 1),
    ],
)
def test_features_change_their_place(feature: str, part: tuple[float, ...], sign: int) -> None:
    plain, changed = shot(), shot("PA", feature)
    assert sign * (region(changed, *part) - region(plain, *part)) > 150
    elsewhere = (0.3, 0.36, 0.7, 0.8)
    assert abs(region(changed, *elsewhere) - region(plain, *elsewhere)) < 150


def test_the_heart_is_larger_in_bed() -> None:
    """One metre from the source and in front of the plate, the heart throws a larger shadow."""

    def width(image: NDArray[np.float64]) -> int:
        band = image[int(0.6 * ROWS) : int(0.64 * ROWS)].mean(axis=0)
        middle = ROWS // 2
        lung = region(image, 0.6, 0.64, 0.22, 0.28)
        bright = band > (lung + band[middle]) / 2
        return int(bright[middle // 2 : ROWS - middle // 2].sum())

    assert width(shot("AP")) > width(shot("PA"))


def test_the_same_arguments_give_the_same_pixels() -> None:
    first = radiograph("PA", rows=128, seed=7, features=("nodule",))
    assert np.array_equal(first, radiograph("PA", rows=128, seed=7, features=("nodule",)))
    assert not np.array_equal(first, radiograph("PA", rows=128, seed=8, features=("nodule",)))
    assert not np.array_equal(first, radiograph("PA", rows=128, seed=7))


def test_another_process_gives_the_same_pixels() -> None:
    script = "from shapes import radiograph; print(radiograph('AP', rows=96, seed=3).tobytes().hex())"
    again = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=TESTS
    )
    assert bytes.fromhex(again.stdout.strip()) == radiograph("AP", rows=96, seed=3).tobytes()


def test_resolution_does_not_change_the_picture() -> None:
    small, large = shot(), radiograph("PA", rows=4 * ROWS).astype(float)
    reduced = large.reshape(ROWS, 4, ROWS, 4).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), reduced.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("letter", ["L", "R"])
def test_the_marker_is_on_its_side(letter: str) -> None:
    plain, marked = radiograph("PA", rows=ROWS), radiograph("PA", rows=ROWS, marker=letter)
    changed = np.argwhere(plain != marked)
    assert len(changed) > 5
    assert (changed[:, 0] < ROWS / 4).all()
    assert (changed[:, 1] > ROWS / 2).all() == (letter == "L")
    assert marked[tuple(changed[0])] == 4095


@pytest.mark.parametrize(
    "arguments",
    [
        {"view": "LL"},
        {"view": "PA", "features": ("tumour",)},
        {"view": "PA", "rows": 20},
        {"view": "PA", "marker": "X"},
    ],
)
def test_what_is_not_there_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="one of"):
        radiograph(**arguments)


def test_all_features_together() -> None:
    assert radiograph("AP", rows=96, features=FEATURES).shape == (96, 96)

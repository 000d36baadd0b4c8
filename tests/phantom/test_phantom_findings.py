"""What is drawn into a phantom is there, is nothing else, and is what its truth says."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from xrv_node.phantom import findings, structures
from xrv_node.phantom.changes import LARGE
from xrv_node.phantom.composition import Composed, compose
from xrv_node.phantom.findings import DRAWABLE
from xrv_node.phantom.pose import draw
from xrv_node.phantom.projection import Layers, project
from xrv_node.phantom.stream import Sample, Stream
from xrv_node.phantom.template import load

SIZE = 96


@cache
def layers(person: int = 1) -> Layers:
    return project(load("a"), draw(np.random.default_rng(person)), "PA", SIZE)


def composed(*names: str, seed: int = 3, conspicuity: float = 1.0) -> Composed:
    return compose(layers(), names, np.random.default_rng(seed), conspicuity=conspicuity)


@pytest.mark.parametrize("name", DRAWABLE)
def test_a_finding_is_where_its_truth_says(name: str) -> None:
    """Its place holds more of the change than as much of the image elsewhere would."""
    without, with_it = composed(), composed(name)
    place = with_it.places[name]
    assert set(with_it.places) == {name}
    assert without.places == {}
    assert place.mask.any()
    assert 5 < place.size_mm < 350
    changed = np.abs(with_it.picture - without.picture)
    near = cv2.dilate(place.mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert changed[near].mean() > 1.3 * changed[~near].mean()


@pytest.mark.parametrize("name", sorted(set(DRAWABLE) - {"Cardiomegaly"}))
def test_a_fainter_finding_changes_less(name: str) -> None:
    faint, strong = composed(name, conspicuity=0.3), composed(name)
    plain = composed().picture
    mask = strong.places[name].mask
    assert np.abs(faint.picture - plain)[mask].mean() < np.abs(strong.picture - plain)[mask].mean()


def test_the_size_of_a_heart_is_measured_and_decides() -> None:
    for seed in range(4):
        assert composed(seed=seed).cardiothoracic_ratio < 0.52
        assert composed("Cardiomegaly", seed=seed).cardiothoracic_ratio > LARGE


def test_sides_are_the_person_s() -> None:
    sides = set()
    for seed in range(8):
        place = composed("Effusion", seed=seed).places["Effusion"]
        columns = np.nonzero(place.mask)[1]
        assert (columns.mean() < SIZE / 2) == (place.side == "right")
        sides.add(place.side)
    assert sides == {"right", "left"}


def test_what_is_chosen_can_be_together() -> None:
    dice = np.random.default_rng(5)
    chosen = [findings.choose(dice) for _ in range(300)]
    assert all(findings.can_be_together(names) for names in chosen)
    assert {name for names in chosen for name in names} == set(DRAWABLE)
    assert {len(names) for names in chosen} == {0, 1, 2, 3}


def test_truth_follows_and_pneumonia_has_none() -> None:
    told = findings.truth(["Nodule"], ["Nodule", "Mass", "Lung Lesion", "Lung Opacity", "Pneumonia"])
    assert told == {
        "Nodule": True,
        "Mass": False,
        "Lung Lesion": True,
        "Lung Opacity": True,
        "Pneumonia": None,
    }


def test_outlines_lie_as_in_a_chest() -> None:
    masks = dict(zip(structures.STRUCTURES, composed().masks, strict=True))
    middle = {name: np.argwhere(mask).mean(axis=0) for name, mask in masks.items()}
    assert all(mask.any() for mask in masks.values())
    for name in ("Lung", "Clavicle", "Scapula", "Hilus Pulmonis"):
        assert middle[f"Right {name}"][1] < SIZE / 2 < middle[f"Left {name}"][1]
    assert middle["Heart"][1] > middle["Spine"][1]  # to the left
    assert middle["Left Clavicle"][0] < middle["Aorta"][0] < middle["Facies Diaphragmatica"][0]
    assert not (masks["Left Lung"] & (masks["Heart"] | masks["Mediastinum"])).any()
    assert not (masks["Right Lung"] & masks["Facies Diaphragmatica"]).any()


def test_the_same_number_is_the_same_image() -> None:
    one, other = (Stream(poses=1, size=64, seed=4) for _ in range(2))
    other.sample(8)
    first, second = one.sample(7), other.sample(7)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.findings, second.findings)
    assert -1024 <= first.image.min() < first.image.max() <= 1024
    assert first.places.any(axis=(1, 2)).tolist() == first.findings.astype(bool).tolist()


def auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> NDArray[np.float64]:
    above = (positive[:, None] > negative[None]).mean(axis=(0, 1))
    return np.asarray(above + 0.5 * (positive[:, None] == negative[None]).mean(axis=(0, 1)))


def side_marks(sample: Sample) -> list[float]:
    """Noise of the abdomen and of a corner, means of the corners: what no finding has anything to do with."""
    image = sample.image
    fine = image - cv2.GaussianBlur(image, (0, 0), 1)
    corners = (image[:8, :8], image[:8, -8:], image[-8:, :8], image[-8:, -8:])
    return [float(fine[-18:, 30:45].std()), float(fine[:10, -10:].std()), *(float(c.mean()) for c in corners)]


def histogram(sample: Sample) -> list[float]:
    """Grey levels of all but lungs, heart and mediastinum, and the finding."""
    within = [structures.STRUCTURES.index(n) for n in ("Left Lung", "Right Lung", "Heart", "Mediastinum")]
    elsewhere = sample.image[~(sample.places.any(axis=0) | sample.masks[within].any(axis=0))]
    return [float(v) for v in np.percentile(elsewhere, (5, 10, 25, 50, 75, 90, 95))]


@pytest.mark.slow  # 400 images
def test_no_finding_is_betrayed_by_anything_but_itself() -> None:
    """A network that learned the noise, a corner or the grey scale would be right here and nowhere else."""
    stream, count = Stream(poses=2, size=SIZE, wide=0.0), 25
    without = [stream.sample(number, ()) for number in range(count)]
    for name in DRAWABLE:
        images = [stream.sample(100 + number, (name,)) for number in range(count)]
        for of, low, high in ((side_marks, 0.25, 0.75), (histogram, 0.1, 0.9)):
            areas = auc(np.array([of(i) for i in images]), np.array([of(i) for i in without]))
            assert low < areas.min(), (name, of.__name__, areas)
            assert areas.max() < high, (name, of.__name__, areas)

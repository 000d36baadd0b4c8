"""The anatomies: whose left is left, how large they are, and that nothing of a tumour is left."""

from __future__ import annotations

import numpy as np
import pytest

from xrv_node.errors import ConfigError
from xrv_node.phantom import template
from xrv_node.phantom.template import ORGANS, Template, load

LOBES = [name for name in ORGANS if name.startswith("lung_") and name != "lung_vessels"]


@pytest.fixture(params=template.NAMES)
def anatomy(request: pytest.FixtureRequest) -> Template:
    return load(request.param)


def middle(anatomy: Template, name: str) -> np.ndarray:
    """Of an organ, in mm from the grid's first corner: z, y, x."""
    return np.argwhere(anatomy.labels == ORGANS[name]).mean(axis=0) * anatomy.spacing


def litres(anatomy: Template, *names: str) -> float:
    return float(np.isin(anatomy.labels, [ORGANS[n] for n in names]).sum() * np.prod(anatomy.spacing) / 1e6)


def test_it_is_a_grid_of_tissue_and_labels(anatomy: Template) -> None:
    assert anatomy.hu.dtype == np.int16
    assert anatomy.labels.dtype == np.uint8
    assert anatomy.hu.shape == anatomy.labels.shape
    assert set(np.unique(anatomy.labels)) <= {0, *ORGANS.values()}
    assert anatomy.hu.min() == -1000
    assert not anatomy.hu.flags.writeable


def test_left_front_and_head_are_where_they_belong(anatomy: Template) -> None:
    right, left = "liver", "spleen"
    assert middle(anatomy, right)[2] < middle(anatomy, "vertebrae")[2] < middle(anatomy, left)[2]
    assert middle(anatomy, "heart")[2] > middle(anatomy, "vertebrae")[2] + 10
    assert middle(anatomy, "stomach")[2] > middle(anatomy, "liver")[2]
    assert middle(anatomy, "sternum")[1] < middle(anatomy, "heart")[1] < middle(anatomy, "vertebrae")[1]
    assert middle(anatomy, "liver")[0] < middle(anatomy, "heart")[0] < middle(anatomy, "trachea")[0]
    for number in range(4, 9):
        right, left = f"rib_right_{number}", f"rib_left_{number}"
        assert middle(anatomy, right)[2] < middle(anatomy, left)[2]
        assert middle(anatomy, right)[0] > middle(anatomy, f"rib_right_{number + 2}")[0]


def test_organs_are_as_large_as_an_adult_s(anatomy: Template) -> None:
    assert 3 < litres(anatomy, *LOBES, "lung_vessels") < 7.5
    assert 0.3 < litres(anatomy, "heart") < 1.1
    assert 0.7 < litres(anatomy, "liver") < 2.4
    assert 0.03 < litres(anatomy, "lung_vessels") < 0.5


def test_tissue_is_that_of_its_label(anatomy: Template) -> None:
    def mean(name: str) -> float:
        return float(anatomy.hu[anatomy.labels == ORGANS[name]].mean())

    assert all(-950 < mean(name) < -750 for name in LOBES)
    assert all(20 < mean(name) < 80 for name in ("heart", "aorta", "great_vessels"))  # no contrast medium
    assert mean("vertebrae") > 150
    assert mean("trachea") < -700


def test_there_is_no_table_behind_the_back(anatomy: Template) -> None:
    back = np.flatnonzero((anatomy.labels == ORGANS["vertebrae"]).any(axis=(0, 2)))[-1]
    behind = np.flatnonzero((anatomy.hu > -300).any(axis=(0, 2)))[-1]
    assert (behind - back) * anatomy.spacing[1] < 60


def test_no_lump_is_left_in_a_lung(anatomy: Template) -> None:
    """A ball of 20 mm that is denser than lung is no vessel: the nodule of anatomy a had 32."""
    import cv2

    lungs = np.isin(anatomy.labels, [*(ORGANS[name] for name in LOBES), ORGANS["lung_vessels"]])
    dense = (lungs & (anatomy.hu > -400)).astype(np.uint8)
    size = [round(20 / mm) for mm in anatomy.spacing[:0:-1]]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size)
    assert not any(cv2.erode(plane, disc).any() for plane in dense)


def test_the_two_are_different_people() -> None:
    assert load("a").hu.shape != load("b").hu.shape
    assert template.digest("a") != template.digest("b")


def test_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="a, b"):
        load("c")

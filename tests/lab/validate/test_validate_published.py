"""The published figures: names are the catalogues', values are areas."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from xrv_node.lab.datasets import catalog as datasets
from xrv_node.lab.validate.published import published, published_structures
from xrv_node.lab.validate.structures import whole
from xrv_node.models import catalog as models

TABLE = tomllib.loads(files("dicom_config").joinpath("published.toml").read_text(encoding="utf-8"))
ROWS = [(row["dataset"], network, auc) for row in TABLE["dataset"] for network, auc in row["auc"].items()]


@pytest.mark.parametrize(("dataset", "network", "auc"), ROWS)
def test_every_name_is_one_of_the_catalogues_and_every_finding_one_that_the_network_knows(
    dataset, network, auc
):
    assert datasets.find(dataset).name == dataset
    entry = models.find(network)
    assert entry.name == network
    assert set(auc) <= {label for label, _ in entry.trained_heads}
    assert all(0.5 < value < 1 for value in auc.values())


def test_one_figure_and_none():
    assert published("nih", "densenet121-res224-all").auc["Pneumothorax"] == 0.75
    assert published("nih", "densenet121-res224-rsna") is None


def test_the_segmenters_figures_are_of_structures_that_it_outlines():
    assert {row["segmenter"] for row in TABLE["structure"]} == {"chestx_det"}
    known = whole(label for label, _ in models.find("chestx_det").trained_heads)
    found = {one.structure: (one.dice, one.iou) for one in published_structures("chestx_det")}
    assert found == {"Lungs": (0.870, 0.770), "Clavicles": (None, 0.7533)}
    assert set(found) <= set(known)
    assert published_structures("chestx_anatomy") == ()

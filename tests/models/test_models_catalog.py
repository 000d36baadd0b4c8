"""The table of models against torchxrayvision's own."""

from __future__ import annotations

import math

import pytest
from recipes import fact

from xrv_node.errors import WeightsError
from xrv_node.models import catalog
from xrv_node.models.architectures import ARCHITECTURES

CLASSIFIERS = [entry for entry in catalog.entries() if entry.role == "classifier"]


@pytest.mark.parametrize("entry", CLASSIFIERS, ids=lambda e: e.name)
def test_classifiers_are_torchxrayvisions(entry):
    from torchxrayvision.models import model_urls

    theirs = model_urls[entry.name]
    assert theirs["weights_url"] == entry.url
    assert list(entry.labels) == theirs["labels"]
    assert list(map(str, entry.thresholds)) == list(map(str, theirs["op_threshs"]))
    assert model_urls[entry.aliases[0]]["weights_url"] == entry.url


def test_segmenter_and_autoencoder_are_torchxrayvisions():
    from torchxrayvision.autoencoders import model_urls

    assert catalog.find("101-elastic").url == model_urls["101-elastic"]["weights_url"]
    facts = {model["name"]: model for model in fact("xrv-models.json")["models"]}
    assert list(catalog.find("chestx_det").labels) == facts["chestx_det.PSPNet"]["labels"]


def test_digests_and_sizes_are_the_published_ones():
    facts = {model["name"]: model for model in fact("xrv-models.json")["models"]}
    for entry in catalog.entries():
        theirs = facts.get(entry.name) or facts[entry.aliases[0]]
        assert (entry.sha256, entry.bytes, entry.file) == (
            theirs["sha256"],
            theirs["bytes"],
            theirs["file_name"],
        )


def test_every_entry_can_be_built_and_downloaded():
    names = [name.lower() for entry in catalog.entries() for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))
    for entry in catalog.entries():
        assert entry.network in ARCHITECTURES
        assert entry.cautions
        assert all(url.startswith("https://") for url in entry.sources)
        assert len(entry.thresholds) in (0, len(entry.labels))


def test_untrained_heads_are_left_out():
    assert catalog.find("rsna").trained_heads == (("Pneumonia", 8), ("Lung Opacity", 16))
    for entry in CLASSIFIERS:
        channels = {index for _, index in entry.trained_heads}
        for index, (label, threshold) in enumerate(zip(entry.labels, entry.thresholds, strict=True)):
            assert (index in channels) == bool(label) == (not math.isnan(threshold))


def test_names_are_found_by_alias_and_in_any_case():
    assert catalog.find("ALL") is catalog.find("densenet121-res224-all")
    with pytest.raises(WeightsError, match="no segmenter is called 'all': use one of chestx_det"):
        catalog.find("all", "segmenter")
    with pytest.raises(WeightsError, match="101-elastic"):
        catalog.find("vgg")

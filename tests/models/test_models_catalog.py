"""The table of models against torchxrayvision's own."""

from __future__ import annotations

import math

import pytest
from recipes import fact

from xrv_node.errors import WeightsError
from xrv_node.models import catalog
from xrv_node.models.architectures import ARCHITECTURES

CLASSIFIERS = [entry for entry in catalog.entries() if entry.role == "classifier"]
CORE = [entry for entry in CLASSIFIERS if entry.network in ("densenet121", "resnet50_classifier")]
BASELINES = [entry for entry in catalog.entries() if "." in entry.aliases[0] and ":" not in entry.aliases[0]]


@pytest.mark.parametrize("entry", CORE, ids=lambda e: e.name)
def test_classifiers_are_torchxrayvisions(entry):
    from torchxrayvision.models import model_urls

    theirs = model_urls[entry.name]
    points = entry.operating_points(published=True)
    assert theirs["weights_url"] == entry.url
    assert list(entry.labels) == theirs["labels"]
    assert list(map(str, points.thresholds)) == list(map(str, theirs["op_threshs"]))
    assert list(map(str, points.ppv80)) == list(map(str, theirs.get("ppv80_thres", [])))
    if entry.network == "densenet121":
        assert model_urls[entry.aliases[0]]["weights_url"] == entry.url
        assert entry.operating_points() == points


def test_the_resnets_operating_points_are_brought_to_its_outputs_scale():
    """Published ones lie between sigmoid(0) and sigmoid(1): they are sigmoids of sigmoids."""
    entry = catalog.find("resnet50-res512-all")
    for derived, published in (
        (entry.thresholds, entry.published_thresholds),
        (entry.ppv80, entry.published_ppv80),
    ):
        assert len(derived) == len(published) == 18
        for ours, theirs in zip(derived, published, strict=True):
            if math.isnan(theirs):
                assert math.isnan(ours)
            else:
                assert 0.5 < theirs < 1 / (1 + math.exp(-1))
                assert 1 / (1 + math.exp(-ours)) == pytest.approx(theirs, abs=1e-8)
    both = zip(entry.thresholds, entry.ppv80, strict=True)
    assert all(low < high for low, high in both if not math.isnan(low))


@pytest.mark.parametrize("entry", BASELINES, ids=lambda e: e.name)
def test_baselines_are_torchxrayvisions(entry):
    import torchxrayvision

    module, _, name = entry.aliases[0].partition(".")
    theirs = getattr(getattr(torchxrayvision.baseline_models, module), name)
    assert list(entry.labels) == theirs.targets


def test_autoencoders_are_torchxrayvisions():
    from torchxrayvision.autoencoders import model_urls
    from torchxrayvision.baseline_models.ieee8023 import model_urls as vqgans

    assert catalog.find("101-elastic").url == model_urls["101-elastic"]["weights_url"]
    for name, theirs in vqgans.items():
        entry = catalog.find(name)
        assert (entry.url, entry.settings_url) == (theirs["weights_url"], theirs["config_url"])
        assert entry.input_size == theirs["resolution"]


def test_every_model_of_torchxrayvision_is_there():
    facts = fact("xrv-models.json")["models"]
    assert {catalog.find(model["name"]).name for model in facts} == {
        entry.name for entry in catalog.entries()
    }
    for model in facts:
        entry = catalog.find(model["name"])
        assert entry.url == model["weights_url"]
        assert entry.input_size == model["input_resolution"]


def test_the_ensembles_members_are_torchxrayvisions():
    from xrv_node.models.baselines.chexpert_members import groups

    facts = {model["name"]: model for model in fact("xrv-models.json")["models"]}
    theirs = facts["chexpert.DenseNet"]["ensemble"].values()
    assert [(list(g.tasks), g.three_class, list(g.members)) for g in groups()] == [
        (group["tasks"], group["is_3class"], group["members"]) for group in theirs
    ]


def test_digests_and_sizes_are_the_published_ones():
    facts = {model["name"]: model for model in fact("xrv-models.json")["models"]}
    for entry in catalog.entries():
        theirs = facts.get(entry.name) or facts[entry.aliases[0]]
        assert (entry.sha256, entry.bytes, entry.file) == (
            theirs["sha256"],
            theirs["bytes"],
            theirs["file_name"].split(" ")[0],
        )


def test_every_entry_can_be_built_and_downloaded():
    names = [name.lower() for entry in catalog.entries() for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))
    for entry in catalog.entries():
        assert entry.network in ARCHITECTURES
        assert entry.cautions
        assert all(url.startswith("https://") for url in entry.sources)
        for points in (entry.thresholds, entry.ppv80, entry.published_thresholds, entry.published_ppv80):
            assert len(points) in (0, len(entry.labels))
        assert bool(entry.published_thresholds) == bool(entry.published_ppv80)


def test_untrained_heads_are_left_out():
    assert catalog.find("rsna").trained_heads == (("Pneumonia", 8), ("Lung Opacity", 16))
    for entry in CORE:
        channels = {index for _, index in entry.trained_heads}
        for index, (label, threshold) in enumerate(zip(entry.labels, entry.thresholds, strict=True)):
            assert (index in channels) == (not math.isnan(threshold))
            assert label or index not in channels


def test_names_are_found_by_alias_and_in_any_case():
    assert catalog.find("ALL") is catalog.find("densenet121-res224-all")
    with pytest.raises(WeightsError, match="no segmenter is called 'all': use one of chestx_det"):
        catalog.find("all", "segmenter")
    with pytest.raises(WeightsError, match="101-elastic"):
        catalog.find("vgg")

"""A site's own operating points: where 0.5 lies then, whose results they make, and what is no such point."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import untrained
from typer.testing import CliRunner

from xrv_node import settings
from xrv_node.cli import app
from xrv_node.errors import ConfigError
from xrv_node.lab.statistics import thresholds
from xrv_node.models import Networks, catalog

NAMES = ("densenet121-res224-all", "chestx_det", "101-elastic")
NOWHERE = Path("nowhere")
OWN = {"Pneumothorax": 0.031, "Effusion": 0.25}


def loaded(own: dict[str, float] | None = None) -> Networks:
    return untrained.load_set(*NAMES, NOWHERE, thresholds=own)


@pytest.fixture(scope="module")
def published() -> Networks:
    return loaded()


@pytest.fixture(scope="module")
def ours() -> Networks:
    return loaded(OWN)


def test_the_score_is_half_at_the_site_s_points_and_as_published_elsewhere(published, ours) -> None:
    """By torchxrayvision's own arithmetic, with its table in which two numbers are replaced."""
    import torchxrayvision as xrv

    table = list(xrv.models.model_urls["all"]["op_threshs"])
    labels = xrv.models.model_urls["all"]["labels"]
    assert list(ours.classifier.pathologies) == labels
    for label, point in OWN.items():
        table[labels.index(label)] = point
    logits = torch.linspace(-8, 3, 18 * 50).reshape(50, 18)
    scores, sigmoids = ours.classifier.scores(logits), logits.sigmoid()
    assert (scores - xrv.models.op_norm(sigmoids, torch.tensor(table))).abs().max() < 1e-6
    before = published.classifier.scores(logits)
    moved = (scores != before).any(dim=0)
    assert {label for label, m in zip(labels, moved.tolist(), strict=True) if m} == set(OWN)
    at = torch.tensor([[math.log(t / (1 - t)) for t in table]])
    assert torch.allclose(ours.classifier.scores(at), torch.full((1, 18), 0.5), atol=1e-5)


def test_the_same_networks_with_other_points_give_other_results(published, ours) -> None:
    one, other = published.identity, ours.identity
    assert other.classifier.sha256 == one.classifier.sha256
    assert other.classifier.site_thresholds == (
        ("Pneumothorax", 0.031),
        ("Effusion", 0.25),
    )  # as the heads are
    assert other.digest != one.digest == one.weights_digest == other.weights_digest
    turned = catalog.find("all").with_thresholds({"Effusion": 0.25, "Pneumothorax": 0.031})
    assert turned.site_thresholds == other.classifier.site_thresholds
    digests = {
        replace(one, classifier=replace(one.classifier, site_thresholds=points)).digest
        for points in ((), (("Mass", 0.2),), (("Mass", 0.20000001),), (("Nodule", 0.2),))
    }
    assert len(digests) == 4


@torch.inference_mode()
def test_one_network_scores_as_the_node_does(ours) -> None:
    model = untrained.get_model("all", NOWHERE, thresholds=OWN)
    logits = torch.linspace(-8, 3, 18 * 5).reshape(5, 18)
    assert torch.equal(model.scores(logits), ours.classifier.scores(logits))
    assert model.ppv80_thresholds == untrained.get_model("all", NOWHERE).ppv80_thresholds


def test_they_replace_what_torchxrayvision_applies_too() -> None:
    own = catalog.find("resnet50-res512-all").with_thresholds({"Mass": 0.125})
    head = own.labels.index("Mass")
    for published in (False, True):
        before = catalog.find("resnet50-res512-all").operating_points(published=published)
        after = own.operating_points(published=published)
        differing = [
            n for n, (a, b) in enumerate(zip(before.thresholds, after.thresholds, strict=True)) if a != b
        ]
        assert [n for n in differing if not math.isnan(before.thresholds[n])] == [head]
        assert after.thresholds[head] == 0.125
        assert after.ppv80 == before.ppv80


@pytest.mark.parametrize(
    ("name", "own", "words"),
    [
        ("all", {"Tumor": 0.2}, r"models\.thresholds\.Tumor: densenet121-res224-all .*: Atelectasis, Consol"),
        ("rsna", {"Effusion": 0.2}, r"models\.thresholds\.Effusion: .* accepted: Pneumonia, Lung Opacity$"),
        ("all", {"": 0.2}, r"accepted: Atelectasis"),
        ("jf", {"Mass": 0.2}, r"models\.thresholds\.Mass: .* none, for its scores are plain sigmoids"),
        ("101-elastic", {"Mass": 0.2}, r"accepted: none"),
        ("all", {"Mass": 0.0}, r"models\.thresholds\.Mass: 0 is not between 0 and 1"),
        ("all", {"Mass": 1.0}, r"1 is not between 0 and 1"),
        ("all", {"Mass": math.nan}, r"nan is not between 0 and 1"),
    ],
)
def test_what_is_no_operating_point_is_refused(name: str, own: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        untrained.get_model(name, NOWHERE, thresholds=own)


def test_the_table_that_a_validation_writes_is_the_configuration_s(tmp_path: Path) -> None:
    chosen = {"Effusion": 0.103247, "Lung Lesion": 0.00001234567, "Pleural_Thickening": 0.9}
    file = tmp_path / "node.toml"
    file.write_text(thresholds.as_toml(chosen, "densenet121-res224-all", "youden"))
    read = settings.load(file).models.thresholds
    assert read == pytest.approx(chosen, rel=1e-5)
    assert set(dict(catalog.find("all").with_thresholds(read).site_thresholds)) == set(chosen)


def test_a_point_of_what_the_classifier_does_not_find_stops_the_node_before_it_starts(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    text = '[models]\nclassifier = "rsna"\n[models.thresholds]\n'
    file.write_text(f"{text}Pneumonia = 0.2\n")
    good = CliRunner().invoke(app, ["config", "check", "--commissioning", "--config", str(file)])
    assert good.exit_code == 0, good.output
    file.write_text(f"{text}Effusion = 0.2\n")
    wrong = CliRunner().invoke(app, ["config", "check", "--commissioning", "--config", str(file)])
    assert isinstance(wrong.exception, ConfigError)
    assert "models.thresholds.Effusion: densenet121-res224-rsna was not trained on it" in str(wrong.exception)

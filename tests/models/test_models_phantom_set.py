"""The networks that answer for phantoms: installed with the program, checked like all, and chosen by nobody."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from made import phantom

from xrv_node import models
from xrv_node.analyse import analysis_file
from xrv_node.analyse.analyser import Analyser
from xrv_node.analyse.attribution import METHODS
from xrv_node.analyse.engines import ENGINES, PLAIN
from xrv_node.errors import WeightsError
from xrv_node.models import NodeNetworks, catalog, importing, trained_here
from xrv_node.values import SET_ROLES, Analysis, AnalysisInput


@pytest.fixture(scope="module")
def phantom_set() -> NodeNetworks:
    return models.phantom_set()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom: these networks answer for nothing else."""
    path = tmp_path_factory.mktemp("image") / "phantom.dcm"
    phantom().save_as(path, enforce_file_format=True)
    return path


def test_labels_are_those_of_the_released_networks(phantom_set: NodeNetworks) -> None:
    released = catalog.find("all").labels
    assert phantom_set.classifier.entry.labels == released
    assert set(released) - set(phantom_set.classifier.pathologies) >= {"Pneumonia"}  # it cannot be drawn
    assert phantom_set.segmenter.targets == catalog.find("chestx_det").labels
    assert phantom_set.identity.phantom
    assert sum(file.stat().st_size for file in models.PHANTOM_SET.iterdir()) < 12e6


@pytest.mark.parametrize("engine", [e for e in ENGINES.values() if e.half is None], ids=lambda e: e.name)
def test_the_analyser_takes_them_with_every_exact_engine(image: Path, engine: object) -> None:
    (plain,) = Analyser(models.phantom_set()).analyse([AnalysisInput("1.2", image)])
    analyser = Analyser(models.phantom_set(), dict.fromkeys(SET_ROLES, engine))
    (found,) = analyser.analyse([AnalysisInput("1.2", image)])
    assert isinstance(plain, Analysis)
    assert isinstance(found, Analysis)
    assert [f.score for f in found.findings] == pytest.approx([f.score for f in plain.findings], abs=1e-4)
    assert found.maps is not None
    assert found.maps.shape == (len(found.findings), 48, 48)
    assert 0 <= found.maps.min() <= found.maps.max() <= 1
    assert (found.masks != plain.masks).mean() < 1e-3
    assert np.isfinite(found.embedding).all()


def test_an_analysis_on_disk_knows_whose_it_is(
    phantom_set: NodeNetworks, image: Path, tmp_path: Path
) -> None:
    (found,) = Analyser(phantom_set, dict.fromkeys(SET_ROLES, PLAIN)).analyse([AnalysisInput("1.2", image)])
    assert isinstance(found, Analysis)
    analysis_file.save(found, tmp_path / "a.npz")
    assert analysis_file.load(tmp_path / "a.npz").model_set == phantom_set.identity


def test_a_score_comes_from_the_map_s_highest_places(phantom_set: NodeNetworks) -> None:
    network = phantom_set.classifier.network
    x = torch.rand(1, 1, 192, 192, generator=torch.Generator().manual_seed(0)) * 2048 - 1024
    logits, activation = network.forward_with_map(x)
    maps = network.map_logits(activation)
    assert torch.equal(network(x), logits)
    assert torch.equal(network.finding_maps(activation), maps.sigmoid())
    highest = maps.flatten(2).sort(dim=2, descending=True).values
    pooled = [
        f(part, (2, 3)) for part in (activation, network._features(x)[0]) for f in (torch.amax, torch.mean)
    ]
    expected = (highest[..., :6].mean(2) + highest[..., :24].mean(2)) / 2
    expected = expected + network.classifier(torch.cat(pooled, 1))
    assert torch.allclose(logits, expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_explanation_works(phantom_set: NodeNetworks, method: str) -> None:
    x = torch.rand(1, 1, 192, 192, generator=torch.Generator().manual_seed(1)) * 2048 - 1024
    maps = METHODS[method].maps(phantom_set.classifier, x, (0, 3))
    assert maps.shape[:2] == (1, 2)
    assert maps.isfinite().all()


def test_nobody_can_choose_one_for_patients(tmp_path: Path) -> None:
    file = models.PHANTOM_SET / "phantom-classifier.safetensors"
    known = trained_here.described(file)
    assert known is not None
    with pytest.raises(WeightsError, match="answers for them alone"):
        importing.import_trained(file, known, tmp_path)
    shutil.copy(file, tmp_path)
    for name in ("phantom-classifier", "Phantom-Classifier"):
        with pytest.raises(WeightsError, match="answers for them alone"):
            models.get_model(name, tmp_path)
    with pytest.raises(WeightsError, match="no classifier is called"):
        catalog.find("phantom-classifier", "classifier")
    with pytest.raises(WeightsError, match="no classifier is called 'x': use one of") as raised:
        catalog.find("x", "classifier", tmp_path)
    assert "phantom" not in str(raised.value)


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in models.PHANTOM_SET.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(models, "PHANTOM_SET", tmp_path)
    damaged = tmp_path / "phantom-segmenter.safetensors"
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged or was changed"):
        models.phantom_set()
    damaged.unlink()
    with pytest.raises(WeightsError, match="install xrv-node anew"):
        models.phantom_set()

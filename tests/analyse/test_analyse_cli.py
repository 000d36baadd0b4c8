"""``models fit-gate`` and ``models benchmark`` as they are typed, and what a worker makes of their files.

Small networks stand in for the segmenter and the autoencoder: what engines do to the real ones is tested beside them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import shapes
import small_networks
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner
from untrained import seeded_state

from xrv_node.analyse import benchmark, engine_choice, gate
from xrv_node.analyse.analyser import Analyser
from xrv_node.analyse.engines import ENGINES
from xrv_node.cli.models import app
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.models import catalog, load_set
from xrv_node.models.convert import tensors_sha256
from xrv_node.radiograph.prepare import RESAMPLER
from xrv_node.values import Analysis, AnalysisInput

NAMES = ("densenet121-res224-all", "chestx_det", "101-elastic")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xrv_node.models.get_model", small_networks.get_model)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, (ConfigError, WeightsError)):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with seeded weights that pass for trained ones; those of the small networks are not read."""
    directory = tmp_path_factory.mktemp("models")
    for entry in map(catalog.find, NAMES):
        state = seeded_state(entry) if entry.role == "classifier" else {"unread": torch.zeros(1)}
        record = {"name": entry.name, "source_file": entry.file, "source_sha256": "0" * 64}
        record |= {"imported_at": "2026-01-01T00:00:00+00:00", "xrv_node": "0"}
        record["tensors_sha256"] = tensors_sha256({key: value.numpy() for key, value in state.items()})
        save_file(
            {key: value.contiguous() for key, value in state.items()}, entry.weights_path(directory), record
        )
    return directory


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for seed in range(9):
        shapes.dicom("PA", rows=200, seed=seed).save_as(folder / f"{seed}.dcm")
    (folder / "notes.png").write_text("not an image")
    return folder


def test_a_gate_is_fitted_and_used(models: Path, site: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"9 images are too few for the quantile 0\.99: it takes at least 99"
    ):
        run("fit-gate", site, "--dir", models)
    report = json.loads(run("fit-gate", site, "--quantile", "0.9", "--dir", models, "--json"))
    assert report["images"] == 9
    assert [Path(unread["path"]).name for unread in report["left_out"]] == ["notes.png"]
    networks = load_set(*NAMES, models)
    limits = gate.load(models, networks.identity, RESAMPLER)
    assert limits is not None
    assert report["file"] == str(gate.path(models, networks.identity))
    analyser = Analyser(networks, limits=limits)
    for result in analyser.analyse([AnalysisInput("1", site / "0.dcm"), AnalysisInput("2", site / "1.dcm")]):
        assert isinstance(result, Analysis)
        assert result.refused is None
        assert result.reconstruction_error <= limits.error * (1 + 1e-5)


def test_engines_are_measured_and_used(models: Path, site: Path) -> None:
    table = run("benchmark", "--dir", models, "--rounds", "1")
    assert table.count(" yes") == 3
    networks = load_set(*NAMES, models)
    kept = json.loads(engine_choice.path(models, "cpu").read_text())
    engines = engine_choice.chosen(models, networks)
    assert {role: engine.name for role, engine in engines.items()} == kept["engines"]
    assert not any(ENGINES[name].half for name in kept["engines"].values())
    for timing in kept["measured"]:
        if timing["chosen"]:
            assert timing["difference"] <= benchmark.CHECKS[timing["role"]].exact
    (plain,) = Analyser(load_set(*NAMES, models)).analyse([AnalysisInput("1", site / "3.dcm")])
    (fast,) = Analyser(networks, engines).analyse([AnalysisInput("1", site / "3.dcm")])
    assert isinstance(plain, Analysis)
    assert isinstance(fast, Analysis)
    for one, other in zip(plain.findings, fast.findings, strict=True):
        assert abs(one.score - other.score) <= 1e-5
    assert (plain.masks != fast.masks).mean() < 1e-4
    assert fast.ssim == pytest.approx(plain.ssim, abs=1e-4)


def test_untrained_networks_leave_nothing_behind(tmp_path: Path) -> None:
    said = run("benchmark", "--commissioning", "--rounds", "1", "--dir", tmp_path)
    assert "nothing kept" in said
    assert list(tmp_path.iterdir()) == []


def test_without_weights_the_commands_say_how_to_get_them(tmp_path: Path) -> None:
    for arguments in (("benchmark",), ("fit-gate", tmp_path)):
        with pytest.raises(WeightsError, match="xrv-node models pull"):
            run(*arguments, "--dir", tmp_path)

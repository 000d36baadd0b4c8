"""The gate: its numbers against scikit-image, its limits against what they promise, its verdicts to the end."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapes
import torch
import untrained
from torch import Tensor, nn
from worded import said

from xrv_node.analyse import gate
from xrv_node.analyse.analyser import Analyser
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.lab.images import fit_gate
from xrv_node.lab.images.files import listed
from xrv_node.models import Networks
from xrv_node.models.model import Autoencoder, Segmenter
from xrv_node.radiograph.prepare import RESAMPLER
from xrv_node.values import Analysis, AnalysisInput, ModelIdentity, ModelSet

RNG = np.random.default_rng(5)
MODELS = ModelSet(*(ModelIdentity(r, r, "ab" * 32) for r in ("classifier", "segmenter", "autoencoder")))
STRUCTURES = ("Left Lung", "Right Lung", "Heart")
LIMITS = gate.Limits(MODELS.digest, RESAMPLER, 0.99, 200, error=100.0, ssim=0.6)


def lungs(left: float = 0.15, right: float = 0.17, n: int = 1000) -> np.ndarray:
    """Masks in which the lungs cover these shares of the square."""
    masks = np.zeros((3, n, n), bool)
    masks[0, :, n - round(n * left) :] = True
    masks[1, :, : round(n * right)] = True
    masks[2, 400:600, 400:650] = True
    return masks


@pytest.mark.parametrize("noise", [0, 50, 400])
def test_ssim_is_the_paper_s(noise: float) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    image = cv2.GaussianBlur(RNG.normal(0, 4000, (224, 224)).astype(np.float32), (0, 0), 6)
    other = image * 0.9 + RNG.normal(0, noise, image.shape).astype(np.float32)
    expected = metrics.structural_similarity(
        (image.astype(np.float64) + 1024) / 2048,
        (other.astype(np.float64) + 1024) / 2048,
        data_range=1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert gate.ssim(image, other) == pytest.approx(expected, abs=1e-7)
    assert gate.ssim(image, image) == pytest.approx(1)


def test_a_black_image_has_a_similarity() -> None:
    black = np.full((224, 224), -1024, np.float32)
    assert gate.ssim(black, black) == pytest.approx(1)
    assert gate.ssim(black, -black) < 0.01


@pytest.mark.parametrize(
    ("masks", "told"),
    [
        (lungs(), ()),
        (lungs(left=0), ("one lung only",)),
        (lungs(right=0.004), ("one lung only",)),
        (lungs(0, 0), ("no lung",)),
        (lungs(0.45, 0.4), ("cover 85% of the image",)),
        (lungs(0.005, 0.005), ("cover 1% of the image",)),
    ],
)
def test_lungs_of_impossible_size_are_said_and_no_side_is_named(
    masks: np.ndarray, told: tuple[str, ...]
) -> None:
    flags = gate.lung_flags(masks, STRUCTURES)
    assert len(flags) == len(told)
    for flag, words in zip(flags, told, strict=True):
        assert words in str(flag)
        assert "left" not in str(flag).lower()
        assert "right" not in str(flag).lower()


def test_other_segmenters_say_nothing_of_lungs() -> None:
    assert gate.lung_flags(lungs(), ("A", "B", "C")) == ()


def test_without_a_fit_the_gate_only_flags() -> None:
    nothing = gate.judge(1e6, -1.0, lungs(), STRUCTURES, None)
    assert nothing == gate.GateResult((), None)
    flagged = gate.judge(1e6, -1.0, lungs(0, 0), STRUCTURES, None)
    assert len(flagged.flags) == 1
    assert flagged.refused is None


@pytest.mark.parametrize(
    ("error", "ssim", "words"),
    [
        (100.0, 0.6, ()),
        (100.1, 0.9, ("reconstruction error is 100.1", "99 %", "at most 100")),
        (50.0, 0.59, ("similarity to the reconstruction is 0.590", "at least 0.600")),
        (500.0, 0.1, ("reconstruction error is 500", "and its structural similarity")),
        (float("nan"), 0.9, ("error is nan",)),
        (50.0, float("nan"), ("reconstruction is nan",)),
    ],
)
def test_with_a_fit_what_is_outside_is_refused(error: float, ssim: float, words: tuple[str, ...]) -> None:
    result = gate.judge(error, ssim, lungs(), STRUCTURES, LIMITS)
    assert (result.refused is not None) == bool(words)
    assert all(word in said(result.refused) for word in words)
    assert result.flags == (() if result.refused is None else (result.refused,))


def test_a_lung_that_is_not_seen_refuses_nothing() -> None:
    """It may be the finding."""
    assert gate.judge(50.0, 0.9, lungs(left=0), STRUCTURES, LIMITS).refused is None


@pytest.mark.parametrize(("count", "quantile"), [(99, 0.99), (120, 0.99), (19, 0.95), (40, 0.9)])
def test_the_limits_hold_what_they_promise(count: int, quantile: float) -> None:
    """Of many sites with heavy-tailed errors, the next image passes a limit as often as was asked for."""
    passed_error = passed_ssim = 0
    rounds = 4000
    for _ in range(rounds):
        errors, ssims = RNG.lognormal(4, 1, count + 1), RNG.beta(5, 2, count + 1)
        limits = gate.fit(errors[:-1].tolist(), ssims[:-1].tolist(), quantile, MODELS, RESAMPLER)
        passed_error += errors[-1] <= limits.error
        passed_ssim += ssims[-1] >= limits.ssim
    for passed in (passed_error, passed_ssim):
        assert quantile - 0.01 < passed / rounds < quantile + 1.5 / count + 0.01


@pytest.mark.parametrize(("count", "quantile", "needed"), [(98, 0.99, 99), (0, 0.99, 99), (8, 0.9, 9)])
def test_too_few_images_are_refused_with_how_many_it_takes(count: int, quantile: float, needed: int) -> None:
    with pytest.raises(ConfigError, match=rf"{count} images are too few.* at least {needed},"):
        gate.fit([1.0] * count, [0.5] * count, quantile, MODELS, RESAMPLER)
    assert gate.fit([1.0] * needed, [0.5] * needed, quantile, MODELS, RESAMPLER).images == needed


@pytest.mark.parametrize("quantile", [0.0, 1.0, 99.0, float("nan")])
def test_a_quantile_is_a_part(quantile: float) -> None:
    with pytest.raises(ConfigError, match="a quantile lies between 0 and 1"):
        gate.fit([1.0] * 200, [0.5] * 200, quantile, MODELS, RESAMPLER)


def test_networks_for_phantoms_are_not_fitted() -> None:
    with pytest.raises(ConfigError, match="networks for phantoms"):
        gate.check_fit(0.9, dataclasses.replace(MODELS, phantom=True))


def test_limits_are_kept_with_their_models(tmp_path: Path) -> None:
    assert gate.load(tmp_path, MODELS, RESAMPLER) is None
    file = gate.save(LIMITS, tmp_path, MODELS)
    assert file.name == f"gate-{MODELS.digest[:16]}.json"
    assert gate.load(tmp_path, MODELS, RESAMPLER) == LIMITS
    other = dataclasses.replace(MODELS, autoencoder=ModelIdentity("autoencoder", "x", "cd" * 32))
    assert gate.load(tmp_path, other, RESAMPLER) is None
    classifier = dataclasses.replace(MODELS.classifier, site_thresholds=(("Mass", 0.2),))
    own_points = dataclasses.replace(MODELS, classifier=classifier)
    assert own_points.digest != MODELS.digest
    assert gate.load(tmp_path, own_points, RESAMPLER) == LIMITS


@pytest.mark.parametrize(
    "change", [{"model_set": "0" * 64}, {"error": None}, {"ssim": "0.5"}, {"extra": 1}, {"resampler": "area"}]
)
def test_limits_that_are_not_its_own_are_not_used(tmp_path: Path, change: dict[str, object]) -> None:
    gate.path(tmp_path, MODELS).write_text(json.dumps(dataclasses.asdict(LIMITS) | change))
    with pytest.raises(WeightsError, match="remove it and run `xrv-node models fit-gate`"):
        gate.load(tmp_path, MODELS, RESAMPLER)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_damaged_file_of_limits_is_named(tmp_path: Path, content: bytes) -> None:
    gate.path(tmp_path, MODELS).write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        gate.load(tmp_path, MODELS, RESAMPLER)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(WeightsError, match="cannot be written"):
        gate.save(LIMITS, tmp_path / "models", MODELS)


# ---------------------------------------------------------------- with networks


class Blurring(nn.Module):
    """In the autoencoder's place: gives back an image without its fine structure."""

    def encode(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 8)

    def decode(self, z: Tensor) -> Tensor:
        return nn.functional.interpolate(z, scale_factor=8, mode="bilinear")


class TwoLungs(nn.Module):
    """In the segmenter's place: two fields beside each other and nothing else."""

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.full((len(x), 14, *x.shape[2:]), -9.0)
        logits[:, 4, 100:400, 300:430] = logits[:, 5, 100:400, 80:210] = 9.0
        return logits


@pytest.fixture(scope="module")
def networks() -> Networks:
    made = untrained.load_set("all", "chestx_det", "101-elastic", Path("unused"))
    identity = made.identity
    return dataclasses.replace(
        made,
        identity=identity,
        segmenter=Segmenter(made.segmenter.entry, TwoLungs()),
        autoencoder=Autoencoder(made.autoencoder.entry, Blurring()),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frontal radiographs, a lateral one, and a text."""
    place = tmp_path_factory.mktemp("site")
    for seed in range(12):
        shapes.dicom(("PA", "AP")[seed % 2], rows=256, seed=seed).save_as(place / f"{seed}.dcm")
    shapes.dicom("LATERAL", rows=256, seed=99).save_as(place / "lateral.dcm")
    (place / "readme.png").write_text("not an image")
    return place


@pytest.fixture(scope="module")
def fitted(networks: Networks, folder: Path) -> fit_gate.Fitted:
    return fit_gate.fit(networks, listed(folder)[0], 0.9)


def test_a_folder_is_fitted_on_its_frontal_images(fitted: fit_gate.Fitted) -> None:
    assert fitted.limits.images == len(fitted.errors) == len(fitted.similarities) == 12
    assert {unread.path.name for unread in fitted.left_out} == {"lateral.dcm", "readme.png"}
    assert fitted.limits.error == max(fitted.errors)  # rank ceil(13 x 0.9) = 12
    assert fitted.limits.ssim == min(fitted.similarities)
    assert 0 < fitted.limits.error < 100
    assert 0.3 < fitted.limits.ssim < 1


def test_the_analyser_measures_what_was_fitted(
    networks: Networks, folder: Path, fitted: fit_gate.Fitted
) -> None:
    analyser = Analyser(networks, limits=fitted.limits)
    batch = [AnalysisInput(str(seed), folder / f"{seed}.dcm") for seed in range(3)]
    for result in analyser.analyse(batch):
        assert isinstance(result, Analysis)
        assert result.reconstruction_error == pytest.approx(
            min(fitted.errors, key=lambda e: abs(e - result.reconstruction_error)), rel=1e-5
        )
        assert result.ssim == pytest.approx(
            min(fitted.similarities, key=lambda s: abs(s - result.ssim)), abs=1e-5
        )
        assert result.refused is None
        assert result.quality == ()
        assert result.findings


def test_an_image_of_something_else_is_refused(
    networks: Networks, tmp_path: Path, fitted: fit_gate.Fitted
) -> None:
    cv2.imwrite(str(tmp_path / "noise.png"), RNG.integers(0, 256, (300, 300), dtype=np.uint8))
    (result,) = Analyser(networks, limits=fitted.limits).analyse([AnalysisInput("1", tmp_path / "noise.png")])
    assert isinstance(result, Analysis)
    assert result.refused is not None
    assert result.refused == result.quality[0]
    (result,) = Analyser(networks).analyse([AnalysisInput("1", tmp_path / "noise.png")])
    assert isinstance(result, Analysis)
    assert (result.refused, result.quality) == (None, ())

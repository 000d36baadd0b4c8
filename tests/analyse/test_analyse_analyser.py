"""Images through the networks, from files to analyses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import untrained
from made import phantom, radiograph
from torch import Tensor, nn

from xrv_node.analyse.analyser import Analyser
from xrv_node.analyse.analysis_file import load, save
from xrv_node.errors import ImageError, WithheldError
from xrv_node.models import Networks
from xrv_node.models.model import Autoencoder, Classifier, Segmenter
from xrv_node.radiograph.prepare import RESAMPLER, frame
from xrv_node.values import Analysis, AnalysisInput

xrv = pytest.importorskip("torchxrayvision")


def draw(path: Path, seed: int, rows: int = 620, columns: int = 500) -> Path:
    """Something of a chest: bright, with two dark lungs, ribs and noise."""
    rng = np.random.default_rng(seed)
    picture = np.full((rows, columns), 170, np.uint8)
    for side in (0.3, 0.7):
        centre = (int(columns * side), int(rows * 0.45))
        cv2.ellipse(picture, centre, (columns // 7, rows // 4), 0, 0, 360, 50 + seed, -1)
    for rib in range(5):
        cv2.ellipse(picture, (columns // 2, rows // 5 + rib * 60), (columns // 3, 40), 0, 0, 180, 190, 4)
    noisy = cv2.GaussianBlur(picture, (0, 0), 3) + rng.normal(0, 4, picture.shape)
    assert cv2.imwrite(str(path), np.clip(noisy, 0, 255).astype(np.uint8))
    return path


@pytest.fixture(scope="module")
def networks() -> Networks:
    return untrained.load_set("all", "chestx_det", "101-elastic", Path("unused"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("images")
    return [draw(directory / f"{seed}.png", seed) for seed in range(3)]


@pytest.fixture(scope="module")
def outcome(networks: Networks, images: list[Path]) -> Analysis:
    (result,) = Analyser(networks).analyse([AnalysisInput("1.2.3.4", images[0])])
    assert isinstance(result, Analysis)
    return result


class Flat(nn.Module):
    """In place of a network of many layers where a test is about something else: shapes and no work."""

    def __init__(self, poison: float | None = None, room: int | None = None) -> None:
        super().__init__()
        self.poison, self.room, self.seen = poison, room, list[int]()

    def note(self, x: Tensor) -> None:
        self.seen.append(len(x))
        if self.room is not None and len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")


class FlatSegmenter(Flat):
    def forward(self, x: Tensor) -> Tensor:
        self.note(x)
        return x.expand(-1, 14, -1, -1) + 100


class FlatAutoencoder(Flat):
    def encode(self, x: Tensor) -> Tensor:
        self.note(x)
        self.image = x
        return x[:, :, :3, :3].expand(-1, 512, -1, -1)

    def decode(self, _: Tensor) -> Tensor:
        x = self.image
        bad = x.mean(dim=(1, 2, 3), keepdim=True) > (np.inf if self.poison is None else self.poison)
        return x.masked_fill(bad, np.nan)


def light(networks: Networks, *, poison: float | None = None, room: int | None = None) -> Networks:
    return dataclasses.replace(
        networks,
        segmenter=Segmenter(networks.segmenter.entry, FlatSegmenter(room=room)),
        autoencoder=Autoencoder(networks.autoencoder.entry, FlatAutoencoder(poison=poison)),
    )


def test_is_an_analyser(networks: Networks) -> None:
    analyser = Analyser(networks)
    assert analyser.model_set is networks.identity
    assert not analyser.model_set.phantom
    assert analyser.analyse([]) == []


def test_the_numbers_are_torchxrayvision_s_arithmetic(
    networks: Networks, images: list[Path], outcome: Analysis
) -> None:
    """Its reading, cropping, resampling and rescaling around the same networks."""
    picture = xrv.datasets.XRayCenterCrop()(xrv.utils.load_image(str(images[0])))
    small, large = (
        torch.from_numpy(xrv.datasets.XRayResizer(size)(picture))[None].contiguous() for size in (224, 512)
    )
    with torch.inference_mode():
        sigmoid = torch.sigmoid(networks.classifier.logits(small))
        thresholds = torch.tensor(xrv.models.model_urls["all"]["op_threshs"])
        scores = xrv.models.op_norm(sigmoid, thresholds)[0]
        masks = (torch.sigmoid(networks.segmenter(large)) > 0.5)[0].numpy()
        reconstruction, latent = networks.autoencoder.network(small)
    labels = xrv.models.model_urls["all"]["labels"]
    assert [f.label for f in outcome.findings] == labels
    assert np.allclose([f.score for f in outcome.findings], scores, atol=1e-4)
    assert np.allclose([f.sigmoid for f in outcome.findings], sigmoid[0], atol=1e-4)
    assert outcome.structures == tuple(xrv.baseline_models.chestx_det.PSPNet.targets)
    assert outcome.masks.dtype == np.bool_
    # an untrained PSPNet answers a difference of 1e-4 in the input with some pixels at the threshold
    assert (outcome.masks != masks).mean() < 1e-3
    assert 0 < outcome.masks.mean() < 1
    error = float(np.abs(small.numpy() - reconstruction.numpy()).mean())
    assert outcome.reconstruction_error == pytest.approx(error, rel=1e-4)
    assert outcome.embedding.shape == (512,)
    assert np.allclose(outcome.embedding, latent.numpy().mean(axis=(2, 3))[0], rtol=1e-3, atol=1e-3)


def test_maps_are_grad_cam_s_and_the_picture_is_the_whole_image(
    networks: Networks, images: list[Path], outcome: Analysis
) -> None:
    picture = xrv.datasets.XRayCenterCrop()(xrv.utils.load_image(str(images[0])))
    x = torch.from_numpy(xrv.datasets.XRayResizer(224)(picture))[None].contiguous()
    classifier = networks.classifier.network
    activation = torch.relu(classifier.features(x)).detach().requires_grad_()
    logits = classifier.classifier(activation.mean(dim=(2, 3)))[0]
    assert outcome.maps is not None
    assert outcome.maps.shape == (len(outcome.findings), *activation.shape[2:])
    for k in (0, len(outcome.findings) - 1):
        (gradient,) = torch.autograd.grad(logits[k], activation, retain_graph=True)
        expected = (
            torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * activation).sum(1))[0].detach().numpy()
        )
        expected *= expected.size  # the maps are in units of the logit, not of its mean over the map
        assert np.abs(outcome.maps[k] - expected).max() < 1e-3 * max(1.0, expected.max())
    whole = cv2.imread(str(images[0]), cv2.IMREAD_GRAYSCALE)
    assert outcome.picture is not None
    assert np.array_equal(outcome.picture, whole)  # smaller than the limit


def test_what_travels_with_the_numbers(networks: Networks, outcome: Analysis, tmp_path: Path) -> None:
    assert outcome.sop_instance_uid == "1.2.3.4"
    assert outcome.model_set == networks.identity
    assert outcome.resampler == RESAMPLER
    assert outcome.frame == frame(620, 500)
    assert outcome.masks.shape == (14, 512, 512)
    for finding in outcome.findings:
        assert finding.present or finding.region == ()
        if finding.region:
            points = np.array(finding.region)
            assert finding.region[0] == finding.region[-1]
            assert (points[:, 1] >= 60).all()
            assert (points[:, 1] <= 560).all()
            assert (points[:, 0] >= 0).all()
            assert (points[:, 0] <= 500).all()
    assert any(finding.region for finding in outcome.findings)
    save(outcome, tmp_path / "analysis.npz")
    assert load(tmp_path / "analysis.npz").findings == outcome.findings


def test_a_bad_image_fails_alone_and_order_is_kept(
    networks: Networks, images: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(images[1].read_bytes()[:2000])
    paths = [images[2], broken, images[0], tmp_path / "missing", images[1]]
    batch = [AnalysisInput(f"1.{k}", path) for k, path in enumerate(paths)]
    results = Analyser(light(networks)).analyse(batch)
    assert [type(r).__name__ for r in results] == [
        "Analysis",
        "ImageError",
        "Analysis",
        "ImageError",
        "Analysis",
    ]
    assert [r.sop_instance_uid for r in results if isinstance(r, Analysis)] == ["1.0", "1.2", "1.4"]
    (alone,) = Analyser(light(networks)).analyse([batch[2]])
    together = results[2]
    assert isinstance(alone, Analysis)
    assert isinstance(together, Analysis)
    scores = [[f.score for f in r.findings] for r in (alone, together)]
    assert np.allclose(*scores, atol=1e-5)


def test_only_trained_heads_are_reported(networks: Networks, images: list[Path], outcome: Analysis) -> None:
    whole = networks.classifier
    labels = [label if label in ("Effusion", "Pneumonia") else "" for label in whole.entry.labels]
    entry = dataclasses.replace(whole.entry, labels=tuple(labels))
    some = dataclasses.replace(light(networks), classifier=Classifier(entry, whole.network))
    (result,) = Analyser(some).analyse([AnalysisInput("1.2", images[0])])
    assert isinstance(result, Analysis)
    by_label = {f.label: f for f in outcome.findings}
    assert [f.label for f in result.findings] == ["Effusion", "Pneumonia"]
    for finding in result.findings:
        assert finding.score == pytest.approx(by_label[finding.label].score, abs=1e-5)
        assert finding.sigmoid == pytest.approx(by_label[finding.label].sigmoid, abs=1e-5)


def test_numbers_that_are_none_are_an_error_of_their_image(networks: Networks, tmp_path: Path) -> None:
    dark, bright = tmp_path / "dark.png", tmp_path / "bright.png"
    for path, level in ((dark, 20), (bright, 230)):
        pixels = np.full((300, 300), level, np.uint8)
        pixels[::2] += 8  # an image of one value all over is refused
        cv2.imwrite(str(path), pixels)
    batch = [AnalysisInput("1.1", bright), AnalysisInput("1.2", dark)]
    first, second = Analyser(light(networks, poison=0.0)).analyse(batch)
    assert isinstance(first, ImageError)
    assert "no number" in str(first)
    assert isinstance(second, Analysis)


def test_a_device_that_is_too_small_gets_halves(networks: Networks, images: list[Path]) -> None:
    small = light(networks, room=2)
    batch = [AnalysisInput(f"1.{k}", images[k % 3]) for k in range(5)]
    results = Analyser(small).analyse(batch)
    assert small.segmenter.network.seen == [5, 2, 3, 1, 2]
    assert [r.sop_instance_uid for r in results if isinstance(r, Analysis)] == [
        "1.0",
        "1.1",
        "1.2",
        "1.3",
        "1.4",
    ]
    plenty = Analyser(light(networks)).analyse(batch)
    for one, other in zip(results, plenty, strict=True):
        assert isinstance(one, Analysis)
        assert isinstance(other, Analysis)
        assert np.allclose([f.score for f in one.findings], [f.score for f in other.findings], atol=1e-5)
        assert np.array_equal(one.masks, other.masks)


def test_a_device_too_small_for_one_image_says_so(networks: Networks, images: list[Path]) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        Analyser(light(networks, room=0)).analyse([AnalysisInput("1.1", images[0])])


def test_a_repeated_run_gives_the_same_analysis(networks: Networks, images: list[Path]) -> None:
    analyser = Analyser(light(networks))
    batch = [AnalysisInput("1.1", images[0]), AnalysisInput("1.2", images[1])]
    for one, other in zip(analyser.analyse(batch), analyser.analyse(batch), strict=True):
        assert isinstance(one, Analysis)
        assert isinstance(other, Analysis)
        assert one.findings == other.findings
        assert one.reconstruction_error == other.reconstruction_error
        assert np.array_equal(one.embedding, other.embedding)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_cpu_s_numbers(images: list[Path], outcome: Analysis) -> None:
    on_gpu = untrained.load_set("all", "chestx_det", "101-elastic", Path("unused"), device="cuda")
    (result,) = Analyser(on_gpu).analyse([AnalysisInput("1.2.3.4", images[0])])
    assert isinstance(result, Analysis)
    assert np.allclose([f.score for f in result.findings], [f.score for f in outcome.findings], atol=1e-3)
    assert result.reconstruction_error == pytest.approx(outcome.reconstruction_error, rel=1e-3)
    assert (result.masks != outcome.masks).mean() < 0.05


def test_what_pixels_were_read_in_spite_of_is_said_first(networks: Networks, tmp_path: Path) -> None:
    made = radiograph()
    made.PhotometricInterpretation = "MONOCHROME"
    made.PixelSpacing = ["0.2", "0.1"]
    made.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    (result,) = Analyser(networks).analyse([AnalysisInput("1.2.3.4", tmp_path / "image.dcm")])
    assert isinstance(result, Analysis)
    assert [said.key for said in result.quality[:2]] == ["photometric-assumed", "pixels-not-square"]
    assert result.frame.aspect == pytest.approx(2, rel=0.01)


def test_networks_for_patients_are_shown_a_phantom_where_that_is_asked_for(
    networks: Networks, tmp_path: Path
) -> None:
    phantom().save_as(tmp_path / "phantom.dcm", enforce_file_format=True)
    analyser, batch = Analyser(light(networks)), [AnalysisInput("1.2", tmp_path / "phantom.dcm")]
    (refused,), (shown,) = analyser.analyse(batch), analyser.analyse(batch, phantoms=True)
    assert isinstance(refused, WithheldError)
    assert isinstance(shown, Analysis)
    assert not shown.model_set.phantom

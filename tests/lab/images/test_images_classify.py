"""Scores of files against torchxrayvision's own on the same files and weights."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import untrained
from images_cases import draw
from torch import nn
from untrained import seeded_state

import xrv_node
from xrv_node import models
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.lab.images import batches
from xrv_node.lab.images.classify import Classified, classify, rule
from xrv_node.lab.images.files import Unread
from xrv_node.models import catalog, get_model
from xrv_node.models.model import Classifier
from xrv_node.radiograph.resample import RESAMPLERS
from xrv_node.reasons import Reason

xrv = pytest.importorskip("torchxrayvision")


@pytest.fixture(scope="module")
def model() -> Classifier:
    made = untrained.get_model("all")
    assert isinstance(made, Classifier)
    return made


@pytest.mark.parametrize("name", ["all", "rsna"])
def test_scores_are_torchxrayvision_s(data: Path, name: str) -> None:
    entry = catalog.find(name)
    theirs = xrv.models.DenseNet(weights=None)
    theirs.load_state_dict(seeded_state(entry))
    theirs.op_threshs = torch.tensor(entry.thresholds)
    theirs.eval()
    paths = sorted((data / "nih" / "images").glob("*.png"))[:3]
    results = list(classify(paths, name, batch=2))
    for path, result in zip(paths, results, strict=True):
        assert isinstance(result, Classified)
        image = xrv.datasets.XRayResizer(224)(xrv.datasets.XRayCenterCrop()(xrv.utils.load_image(str(path))))
        with torch.no_grad():
            scores = theirs(torch.from_numpy(image)[None])[0]
        expected = {label: float(scores[head]) for label, head in entry.trained_heads}
        assert list(result.scores) == list(expected)
        assert max(abs(result.scores[label] - expected[label]) for label in expected) < 1e-4
        assert result.present == tuple(label for label in expected if expected[label] >= 0.5)
        for label, p in result.sigmoids.items():
            t = entry.thresholds[dict(entry.trained_heads)[label]]
            assert result.scores[label] == pytest.approx(
                p / (2 * t) if p < t else 1 - (1 - p) / (2 * (1 - t)), abs=1e-5
            )


def test_each_resampler_is_recorded_and_moves_the_scores(tmp_path: Path) -> None:
    path, seen = draw(tmp_path / "a.png", rows=700, columns=640), {}
    for name, resampler in RESAMPLERS.items():
        (result,) = classify(path, resampler=name)
        assert isinstance(result, Classified)
        assert result.by.resampler == resampler.words
        seen[name] = tuple(result.scores.values())
    assert len(set(seen.values())) == len(RESAMPLERS)


def test_bad_files_harm_no_other_and_keep_their_place(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    results = list(classify([folder, folder / "gone.png"], batch=2, progress=lambda *n: told.append(n)))
    names = [str(r.path.relative_to(folder)) for r in results]
    assert names == ["b.png", "notes.png", "deep/a.jpg", "deep/er/c", "gone.png"]
    assert [isinstance(r, Unread) for r in results] == [False, True, False, False, True]
    assert told == [(2, 4), (4, 4)]
    lateral = results[3]
    assert isinstance(lateral, Classified)
    assert "lateral" in lateral.note
    assert lateral.by.notice == ""
    assert lateral.by.model.name == "densenet121-res224-all"
    assert len(lateral.by.model.sha256) == 64


def test_a_black_image_gets_no_scores(tmp_path: Path) -> None:
    black, good = tmp_path / "black.png", draw(tmp_path / "good.png")
    cv2.imwrite(str(black), np.zeros((300, 300), np.uint8))
    unread, scored = classify([black, good])
    assert unread == Unread(black, Reason("shows-nothing"))
    assert isinstance(scored, Classified)


def test_the_batch_does_not_change_the_scores(tmp_path: Path) -> None:
    paths = [draw(tmp_path / f"{n}.png", n) for n in range(3)]
    one, three = (list(classify(paths, batch=n)) for n in (1, 3))
    for a, b in zip(one, three, strict=True):
        assert isinstance(a, Classified)
        assert isinstance(b, Classified)
        assert np.allclose(list(a.scores.values()), list(b.scores.values()), atol=1e-5)


def test_an_overflow_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Classifier.logits

    def poisoned(self: Classifier, x: torch.Tensor) -> torch.Tensor:
        logits = real(self, x).clone()
        logits[1, 0] = math.nan
        return logits

    monkeypatch.setattr(Classifier, "logits", poisoned)
    paths = [draw(tmp_path / f"{n}.png", n) for n in range(3)]
    results = list(classify(paths))
    assert [isinstance(r, Unread) for r in results] == [False, True, False]
    assert "overflowed" in str(results[1].why)


def test_too_little_memory_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Classifier, "logits", full)
    with pytest.raises(xrv_node.errors.XrvNodeError, match="use a smaller batch"):
        list(classify(draw(tmp_path / "a.png")))


def test_rules(model: Classifier) -> None:
    scores, sigmoids = np.linspace(0, 1, 18, dtype=np.float32), np.linspace(0, 1, 18, dtype=np.float32)
    assert rule(model).present(scores, sigmoids).sum() == (scores >= 0.5).sum()
    assert rule(model, operating_point="youden").words == rule(model).words
    assert rule(model, threshold=0.8).present(scores, sigmoids).tolist() == (scores >= 0.8).tolist()
    assert model.ppv80_thresholds is not None
    ppv = rule(model, operating_point="ppv80").present(scores, sigmoids)
    assert ppv.tolist() == [p >= t for p, t in zip(sigmoids, model.ppv80_thresholds, strict=True)]
    assert ppv.any()
    assert not ppv.all()


def test_ppv80_asks_for_more_than_youden(model: Classifier) -> None:
    assert model.thresholds is not None
    assert model.ppv80_thresholds is not None
    stricter = [p > t for p, t in zip(model.ppv80_thresholds, model.thresholds, strict=True)]
    assert sum(stricter) > len(stricter) / 2


def test_what_there_is_not_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "never read.png"
    for wrong, words in (
        ({"threshold": 0.5, "operating_point": "youden"}, "choose one"),
        ({"threshold": 1.5}, r"lies in \[0, 1\]"),
        ({"threshold": math.nan}, r"lies in \[0, 1\]"),
        ({"operating_point": "best"}, "use one of youden, ppv80"),
        ({"weights": "rsna", "operating_point": "ppv80"}, "publishes no ppv80"),
        ({"weights": "chestx_det"}, r"\(segmenter\)"),
        ({"resampler": "cubic"}, "use one of skimage, area, antialias"),
        ({"batch": 0}, "use 1 or more"),
    ):
        with pytest.raises(ConfigError, match=words):
            classify(path, **wrong)
    with pytest.raises(WeightsError, match="use one of densenet121-res224-all"):
        classify(path, "densenet999")


def test_without_weights_the_error_says_how_they_are_got(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "get_model", models.get_model)
    with pytest.raises(WeightsError, match=r"models pull .*models import FILE.*--commissioning"):
        classify(tmp_path / "a.png", directory=tmp_path)


def test_an_attribute_network_gives_shares(tmp_path: Path) -> None:
    (result,) = classify(draw(tmp_path / "a.png"), "view")
    assert isinstance(result, Classified)
    assert list(result.scores) == ["Frontal", "Lateral"]
    assert sum(result.scores.values()) == pytest.approx(1)
    assert (result.present, result.sigmoids, result.rule) == ((), {}, "")


def test_the_names_of_the_package() -> None:
    assert xrv_node.classify is classify
    assert xrv_node.get_model is get_model
    assert all(callable(getattr(xrv_node, name)) for name in xrv_node.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'train'"):
        xrv_node.__getattr__("train")

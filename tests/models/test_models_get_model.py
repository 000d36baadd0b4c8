"""``get_model``: what a user of torchxrayvision finds again, and what is refused."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import untrained
from recipes import TINY_VQGAN, recipe

from xrv_node.errors import ConfigError, ImageError, WeightsError
from xrv_node.models import catalog, get_model, inference
from xrv_node.models.model import Attribute, Autoencoder, Classifier

NOWHERE = Path("nowhere")


@pytest.fixture(scope="module")
def resnet():
    return untrained.get_model("resnet50", NOWHERE)


@pytest.fixture(scope="module")
def rsna():
    return untrained.get_model("RSNA", NOWHERE)


# ------------------------------------------------------------------ classifiers


@torch.inference_mode()
def test_untrained_heads_are_absent(rsna, image):
    assert rsna.pathologies == rsna.targets == ("Pneumonia", "Lung Opacity")
    x = torch.cat([image, -image])
    assert rsna.logits(x).shape == rsna(x).shape == (2, 2)
    assert torch.equal(rsna.logits(x), rsna.network(x)[:, [8, 16]])
    assert rsna.features(x).shape == (2, 1024)
    assert rsna.thresholds == (0.13486601, 0.13511065)
    assert rsna.ppv80_thresholds is None
    assert repr(rsna) == "<classifier densenet121-res224-rsna>"


def test_a_gradient_reaches_the_map_and_the_image(rsna, resnet, image):
    """What Grad-CAM, guided Grad-CAM and input gradients need, though parameters have none."""
    for model, channels in ((rsna, 1024), (resnet, 2048)):
        x = image[..., :64, :64].clone().requires_grad_()
        logits, activation = model.forward_with_map(x)
        assert activation.shape[:2] == (1, channels)
        assert activation.min() >= 0
        (by_map,) = torch.autograd.grad(logits[0, 1], activation, retain_graph=True)
        head = model.network.classifier if model is rsna else model.network.fc
        row = head.weight[model.heads[1]] / activation[0, 0].numel()
        assert torch.allclose(by_map[0], row[:, None, None].expand_as(by_map[0]), rtol=1e-4)
        (by_image,) = torch.autograd.grad(model(x)[0, 0], x)
        assert by_image.abs().max() > 0
        seen = []
        with model.map_module.register_forward_hook(lambda module, args, out, seen=seen: seen.append(out)):
            model.logits(x)
        assert torch.equal(seen[0].relu(), activation)


@torch.inference_mode()
def test_the_resnets_scores_are_half_at_its_operating_point(resnet):
    """torchxrayvision's thresholds are sigmoids of sigmoids; only derived ones belong to the outputs."""
    published = Classifier(resnet.entry, resnet.network, xrv_compatible=True)
    assert "Lung Lesion" not in resnet.pathologies
    assert len(resnet.pathologies) == 16
    logits = torch.tensor([[math.log(t / (1 - t)) for t in resnet.thresholds]])
    assert torch.allclose(resnet.scores(logits), torch.full((1, 16), 0.5), atol=1e-6)
    assert published.scores(logits).max() < 0.2  # what a user of torchxrayvision reads as clearly negative
    assert all(0.5 < t < 0.54 for t in published.thresholds)
    assert max(published.ppv80_thresholds) < 1 / (1 + math.exp(-1))
    assert all(a < b for a, b in zip(resnet.thresholds, resnet.ppv80_thresholds, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@torch.inference_mode()
def test_scores_in_every_dtype(rsna, dtype):
    """torchxrayvision's calibration raises an error in all but float32."""
    logits = torch.linspace(-6, 2, 20).reshape(10, 2)
    scores = rsna.scores(logits.to(dtype))
    assert scores.dtype == dtype
    assert (scores.float() - rsna.scores(logits)).abs().max() < 0.02


@torch.inference_mode()
def test_classifiers_without_operating_points(image):
    model = untrained.get_model("jf", NOWHERE)
    assert (model.thresholds, model.ppv80_thresholds) == (None, None)
    assert torch.equal(model(image), model.logits(image).sigmoid())
    assert model.features(image).shape == (1, 1024)
    assert model.forward_with_map(image)[1].shape == (1, 1024, 16, 16)


# ------------------------------------------------------------------ the others


@torch.inference_mode()
def test_attributes(image):
    view = untrained.get_model("view", NOWHERE)
    assert view.targets == ("Frontal", "Lateral")
    assert view.probabilities(image).sum().item() == pytest.approx(1)
    race = untrained.get_model("race", NOWHERE)
    assert torch.allclose(race(image).exp(), race.probabilities(image), atol=1e-6)
    assert race.features(image).shape == (1, 512)
    assert race.forward_with_map(image)[1].shape == (1, 512, 10, 10)


@torch.inference_mode()
def test_autoencoders(image):
    model = get_model("vqgan-sd", state=recipe("vqgan", "F"), settings=TINY_VQGAN)
    assert isinstance(model, Autoencoder)
    assert model.size == 64
    z = model.encode(image)
    assert z.shape == (1, 4, 32, 32)
    assert model.features(image).shape == (1, 4)
    out = model(image)
    assert torch.equal(out["z"], z)
    assert torch.equal(out["out"], model.decode(z))
    assert out["out"].abs().max() <= 1024
    codes = model.network.codes(image)
    assert codes.shape == (1, 32, 32)
    book = model.network.quantize.embedding.weight
    assert torch.allclose(book[codes].permute(0, 3, 1, 2), z, atol=1e-5)
    with pytest.raises(ImageError, match="224 x 224"):
        untrained.get_model("101-elastic", NOWHERE).encode(image)


@torch.inference_mode()
def test_segmenters(image):
    model = untrained.get_model("cxas", NOWHERE)
    masks = model.masks(image)
    assert masks.shape == (1, len(model.targets), 512, 512)
    assert masks.dtype == torch.bool
    assert len(model.targets) == 159
    cover = masks.float().mean(dim=(2, 3))
    assert (cover > 0).float().mean() > 0.3


@pytest.mark.parametrize("entry", catalog.entries(), ids=lambda entry: entry.name)
def test_a_stand_in_works_for_all_that_can_be_built(entry):
    if entry.checkpoint == "program":
        with pytest.raises(WeightsError, match=r"weights of .* are not in nowhere"):
            untrained.get_model(entry.name, NOWHERE, run_code=True)
        return
    model = untrained.get_model(entry.name, NOWHERE)
    assert model.name == entry.name
    assert len(model.sha256) == 64
    assert not any(parameter.is_meta for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.targets == tuple(label for label, _ in entry.trained_heads)


# ------------------------------------------------------------------ the ensemble


@torch.inference_mode()
def test_fewer_members_of_the_ensemble(image):
    model = untrained.get_model("chexpert", NOWHERE)
    assert model.pathologies == ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion")
    state = dict(model.network.state_dict())
    other = {re.sub(r"^(groups\.\d)\.0\.", r"\1.1.", key): value + 0.01 for key, value in state.items()}
    both = get_model("chexpert", state={**state, **other}, settings={"members": 2})
    one = get_model("chexpert", state={**state, **other}, settings={"members": 2}, members=1)
    x = image[..., :320, :320].contiguous()
    assert torch.equal(one(x), model(x))
    assert not torch.equal(both(x), model(x))
    assert both.features(x).shape == (1, 3 * 2 * 1024)
    with pytest.raises(WeightsError, match="has 2 members in each group: ask for 1 to 2"):
        get_model("chexpert", state={**state, **other}, settings={"members": 2}, members=3)
    with pytest.raises(ConfigError, match="has no one map"):
        model.forward_with_map(x)
    assert model.map_module is None


# ------------------------------------------------------------------ what is refused


def test_refusals(tmp_path):
    with pytest.raises(WeightsError, match="no model is called 'vgg'"):
        get_model("vgg")
    with pytest.raises(WeightsError, match="xrv-node models pull xinario"):
        get_model("view", tmp_path)
    with pytest.raises(WeightsError, match="runs code from its file"):
        get_model("age", tmp_path)
    with pytest.raises(WeightsError, match="are of another network"):
        get_model("view", state=recipe("resnet34_sex", "F"))
    view = untrained.get_model("view", tmp_path)
    number = Attribute(replace(view.entry, labels=("Age",)), view.network)
    with pytest.raises(ConfigError, match="a number, not classes"):
        number.probabilities(torch.zeros(1, 1, 224, 224))
    with pytest.raises(ConfigError, match="choose densenet121-res224-all"):
        untrained.load_set("resnet50", "pspnet", "101-elastic", tmp_path)


# ------------------------------------------------------------------ pixels that nobody scaled


@pytest.mark.parametrize(
    "pixels",
    [
        torch.rand(1, 1, 32, 32),
        torch.rand(2, 1, 32, 32) * 255,
        torch.randn(1, 1, 32, 32),
        torch.rand(1, 1, 32, 32) * 1024,
        torch.rand(1, 1, 32, 32) * 128 - 1024,  # 12 bits in 16
    ],
    ids=["[0, 1]", "[0, 255]", "ImageNet", "[0, 1024]", "12 bits in 16"],
)
def test_a_batch_that_nobody_scaled_is_warned_of(rsna, pixels) -> None:
    for called in (rsna, rsna.logits, rsna.features):
        with pytest.warns(
            UserWarning, match=r"does not reach from below -255 to above 255.*xrv_node\.prepare"
        ):
            called(pixels)


def test_a_scaled_batch_and_the_project_s_own_are_not_warned_of(rsna) -> None:
    scaled = torch.rand(2, 1, 32, 32) * 2048 - 1024
    dark = torch.full((1, 1, 224, 224), -1000.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rsna(scaled)
        rsna(scaled.half().float() / 2)
        inference.at_once(lambda x: (rsna(x[224]),), {224: dark.numpy()}, "cpu")
    with pytest.warns(UserWarning, match="does not reach"):  # and afterwards they are again
        rsna(dark)

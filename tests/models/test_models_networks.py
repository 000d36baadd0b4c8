"""The networks against torchxrayvision with the same weights, and against its outputs that were written down."""

from __future__ import annotations

import pytest
import torch
from recipes import fact, recipe

from xrv_node.errors import ImageError
from xrv_node.models import architectures, catalog
from xrv_node.models.calibration import op_norm

KEYS = {
    "densenet121": "densenet121 core (18 outputs)",
    "pspnet": "chestx_det PSPNet (inner, without module.)",
    "resnet_autoencoder": "ResNetAE 101-elastic",
}
ENTRIES = {"densenet121": "all", "pspnet": "chestx_det", "resnet_autoencoder": "101-elastic"}


def network(name: str, weights: str) -> torch.nn.Module:
    return architectures.assemble(catalog.find(ENTRIES[name]), recipe(name, weights))


def close(ours: torch.Tensor, theirs: torch.Tensor, relative: float) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= relative * theirs.abs().max()


def as_written(ours: torch.Tensor, golden: dict, relative: float) -> None:
    """Compare with shape, first values and sum of an output that was written down."""
    assert list(ours.shape) == golden["shape"]
    first = torch.tensor(golden["first"], dtype=torch.float64)
    scale = max(abs(golden["min"]), abs(golden["max"]))
    assert (ours.double().flatten()[: len(first)] - first).abs().max() <= relative * scale
    assert abs(ours.double().abs().sum().item() - golden["abs_sum"]) <= relative * golden["abs_sum"]


@pytest.mark.parametrize("name", KEYS)
def test_state_dict_is_the_released_files(name):
    released = {
        key: (dtype, tuple(shape))
        for key, (shape, dtype) in fact("xrv-keys.json")[KEYS[name]]["keys"].items()
    }
    assert architectures.layout(name) == released


def test_building_takes_no_random_numbers():
    before = torch.get_rng_state()
    for name in KEYS:
        architectures.skeleton(name)
    assert torch.equal(before, torch.get_rng_state())


# ------------------------------------------------------------------ torchxrayvision, run here


@torch.inference_mode()
def test_scores_are_torchxrayvisions(released, image):
    import torchxrayvision

    theirs = torchxrayvision.models.DenseNet(weights="densenet121-res224-all", cache_dir=str(released))
    ours = network("densenet121", "F")
    thresholds = torch.tensor(catalog.find("all").thresholds)
    batch = torch.cat([image, image.flip(3), -image])  # 512: resized inside, by both
    difference = op_norm(ours(batch).sigmoid(), thresholds) - theirs(batch)
    assert difference.abs().max() < 1e-5
    assert theirs(batch).std() > 0.01

    theirs.op_threshs = None  # from here on its logits, with the weights that are sensitive to everything
    theirs.load_state_dict(recipe("densenet121", "F2"))
    ours, x = network("densenet121", "F2"), image[..., :224, :224].contiguous()
    logits, activation = ours.forward_with_map(x)
    close(logits, theirs(x), 1e-4)
    close(activation, torch.relu(theirs.features(x)), 1e-4)
    assert activation.shape == (1, 1024, 7, 7)
    assert torch.equal(logits, ours(x))
    assert torch.equal(activation, ours.activation_map(x))


@torch.inference_mode()
def test_masks_are_torchxrayvisions(released, image):
    from torchxrayvision.baseline_models.chestx_det import PSPNet

    theirs = PSPNet(cache_dir=str(released)).eval()
    close(network("pspnet", "F2")(image[..., ::2, ::2]), theirs(image[..., ::2, ::2]), 1e-4)


@torch.inference_mode()
def test_reconstruction_is_torchxrayvisions(released, image):
    import torchxrayvision

    theirs = torchxrayvision.autoencoders.ResNetAE(weights="101-elastic", cache_dir=str(released)).eval()
    x = image[..., :224, :224].contiguous()
    reconstruction, latent = network("resnet_autoencoder", "F2")(x)
    expected = theirs(x)
    close(latent, expected["z"], 1e-4)
    close(reconstruction, expected["out"], 1e-4)


# ------------------------------------------------------------------ torchxrayvision, written down


@pytest.mark.parametrize(("weights", "file"), [("F", "xrv-golden.json"), ("F2", "xrv-golden-f2.json")])
@torch.inference_mode()
def test_classifier_as_written_down(weights, file, golden_image, golden_224):
    golden = fact(file)["models"]["densenet"]
    ours = network("densenet121", weights)
    logits, inside = ours(golden_224), ours(golden_image)
    as_written(logits, golden["raw logits, 224 skimage"], 1e-4)
    as_written(inside, golden["op_threshs=None -> logits, 512 in"], 1e-4)
    scores = {
        "all": "weights=all calibrated, 224 skimage",
        "nih": "op_norm thresholds of nih",
        "rsna": "op_norm thresholds of rsna",
    }
    for name, key in scores.items():
        thresholds = torch.tensor(catalog.find(name).thresholds)
        as_written(op_norm(logits.sigmoid(), thresholds), golden[key], 1e-4)
    pooled = ours.activation_map(golden_image).mean(dim=(2, 3))
    as_written(pooled, golden["features2 512 in"], 1e-4)


@pytest.mark.parametrize(("weights", "file"), [("F", "xrv-golden.json"), ("F2", "xrv-golden-f2.json")])
@torch.inference_mode()
def test_autoencoder_as_written_down(weights, file, golden_224):
    golden = fact(file)["models"]["ae"]
    reconstruction, latent = network("resnet_autoencoder", weights)(golden_224)
    as_written(latent, golden["z"], 1e-3)
    as_written(reconstruction, golden["out"], 1e-3)


@pytest.mark.parametrize(("weights", "file"), [("F", "xrv-golden.json"), ("F2", "xrv-golden-f2.json")])
@torch.inference_mode()
def test_segmenter_as_written_down(weights, file, golden_image):
    golden = fact(file)["models"]["pspnet"]
    logits = network("pspnet", weights)(golden_image)
    as_written(logits, golden["logits 512"], 1e-3)
    centre = torch.tensor(golden["px[0,:,256,256]"])
    assert (logits[0, :, 256, 256] - centre).abs().max() <= 1e-3 * centre.abs().max()


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(1, 3, 224, 224), "batch, 1, height, width"),
        (torch.zeros(224, 224), "batch, 1, height, width"),
        (torch.zeros(0, 1, 224, 224), "batch, 1, height, width"),
        (torch.zeros(1, 1, 224, 224, dtype=torch.uint8), "floating point"),
        (torch.zeros(1, 1, 224, 200), "square"),
        (torch.full((1, 1, 224, 224), 4095.0), "1024"),
        (torch.full((1, 1, 224, 224), -1025.5), "1024"),
        (torch.full((1, 1, 224, 224), torch.nan), "1024"),
        (torch.full((1, 1, 224, 224), torch.inf), "1024"),
    ],
)
@pytest.mark.parametrize("name", KEYS)
def test_wrong_input_is_refused(name, x, words):
    with pytest.raises(ImageError, match=words):
        architectures.skeleton(name)(x)


def test_autoencoder_does_not_resize():
    with pytest.raises(ImageError, match="224 x 224"):
        architectures.skeleton("resnet_autoencoder")(torch.zeros(1, 1, 512, 512))

"""The three networks together: from released files, and untrained ones in their place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import untrained
from recipes import SHARED, recipe

from xrv_node import models
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.models import catalog, convert, importing, inputs

NAMES = ("densenet121-res224-all", "chestx_det", "101-elastic")


@pytest.fixture(scope="module")
def seeded():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    networks = untrained.load_set("all", "pspnet", "101-elastic", Path("nowhere"))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    return networks


@pytest.fixture(scope="module")
def radiographs():
    """Four NIH radiographs, ``[4, 1, 512, 512]``."""
    from PIL import Image

    paths = sorted((SHARED / "data/nih/images").glob("*.png"))[:4]
    if not paths:
        pytest.skip(f"{SHARED / 'data/nih'} is not here")
    pixels = [np.array(Image.open(path).convert("L").resize((512, 512)), np.float32) for path in paths]
    return torch.from_numpy(np.stack(pixels))[:, None] / 255 * 2048 - 1024


@torch.inference_mode()
def test_released_files_end_to_end(unpinned, released, tmp_path, image):
    """Imported and loaded, the set gives torchxrayvision's scores on the same file."""
    import torchxrayvision

    for name in NAMES:
        source = released / catalog.find(name).file
        importing.import_file(source, importing.recognise(source), tmp_path)
    networks = models.load_set(*NAMES, tmp_path)
    assert [identity.name for identity in networks.identity.models] == list(NAMES)
    assert not networks.identity.phantom
    assert networks.identity.classifier.sha256 == convert.tensors_sha256(
        {key: value.numpy() for key, value in recipe("densenet121", "F").items()}
    )
    theirs = torchxrayvision.models.DenseNet(weights=NAMES[0], cache_dir=str(released))
    classifier = networks.classifier
    assert (classifier(image) - theirs(image)).abs().max() < 1e-5
    assert list(classifier.pathologies) == theirs.pathologies
    for network in (networks.classifier, networks.segmenter, networks.autoencoder):
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
    state = recipe("pspnet", "F2")
    assert all(
        torch.equal(value, state[key]) for key, value in networks.segmenter.network.state_dict().items()
    )
    assert networks.segmenter.targets[4:6] == ("Left Lung", "Right Lung")


def test_stand_ins_are_always_the_same(seeded):
    again = untrained.load_set("all", "chestx_det", "ResNetAE", Path("elsewhere"))
    assert again.identity == seeded.identity
    assert [m.name for m in seeded.identity.models] == list(NAMES)
    assert len({m.sha256 for m in seeded.identity.models}) == 3


@torch.inference_mode()
def test_untrained_outputs_are_usable(seeded, radiographs):
    """Scores on both sides of the operating point, masks neither empty nor full, and all of it follows the image."""
    scores = seeded.classifier(radiographs)
    assert scores.shape == (4, 18)
    present = (scores >= 0.5).float().mean(dim=1)
    assert ((present > 0.1) & (present < 0.9)).all()
    assert ((scores - scores[:1]).abs().amax(dim=1) > 0.02)[1:].all()
    masks = torch.cat([seeded.segmenter(x[None]) for x in radiographs[:2]]) > 0
    cover = masks.float().mean(dim=(2, 3))
    assert (cover > 0.02).all()
    assert (cover < 0.8).all()
    assert (masks[0] != masks[1]).float().mean() > 0.05
    reconstruction, latent = seeded.autoencoder.network(inputs.resize(radiographs, 224))
    assert reconstruction.isfinite().all()
    assert latent.shape == (4, 512, 3, 3)
    assert latent.std(dim=0).max() > 0


def test_untrained_heads_are_absent():
    networks = untrained.load_set("rsna", *NAMES[1:], Path("nowhere"))
    classifier = networks.classifier
    assert classifier.pathologies == ("Pneumonia", "Lung Opacity")
    with torch.no_grad():
        scores = classifier(torch.zeros(2, 1, 224, 224))
    assert scores.shape == (2, 2)
    assert not scores.isnan().any()


def test_wrong_names_and_devices_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no segmenter is called 'all'"):
        untrained.load_set("all", "all", "101-elastic", tmp_path)
    if not torch.cuda.is_available():
        with pytest.raises(
            ConfigError, match="'cuda', which this machine does not have: use one of cpu or auto"
        ):
            untrained.load_set(*NAMES, tmp_path, device="cuda")

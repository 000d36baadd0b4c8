"""Heat maps against computations that share nothing with them but the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import untrained
from torch import Tensor, nn
from torch.nn import functional
from untrained import seeded_state

from xrv_node.analyse.attribution import METHODS, grad_cam, guided_grad_cam, input_gradient
from xrv_node.models import catalog
from xrv_node.models.model import Classifier

xrv = pytest.importorskip("torchxrayvision")
HEADS = (2, 7, 16)


@pytest.fixture(scope="module")
def x() -> Tensor:
    noise = torch.rand(2, 1, 20, 20, generator=torch.Generator().manual_seed(3)) * 2048 - 1024
    return functional.interpolate(noise, (224, 224), mode="bilinear")


@pytest.fixture(scope="module")
def ours() -> Classifier:
    model = untrained.get_model("all")
    assert isinstance(model, Classifier)
    return model


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """torchxrayvision's network with the same weights and operating points."""
    entry = catalog.find("all")
    model = xrv.models.DenseNet(weights=None)
    model.load_state_dict(seeded_state(entry))
    model.op_threshs = torch.tensor(entry.thresholds)
    return model.eval()


def close(ours: Tensor, expected: Tensor, part: float = 1e-4) -> bool:
    return float((ours - expected).abs().max()) < part * float(expected.abs().max())


def test_grad_cam_equals_one_taken_through_torchxrayvision_s_network(
    ours: Classifier, theirs: nn.Module, x: Tensor
) -> None:
    maps = grad_cam(ours, x, HEADS)
    assert maps.shape == (2, 3, 7, 7)
    assert not maps.requires_grad
    for image in range(2):
        activation = functional.relu(theirs.features(x[image : image + 1])).detach().requires_grad_()
        for column, head in enumerate(HEADS):
            logit = theirs.classifier(functional.adaptive_avg_pool2d(activation, 1).flatten(1))[0, head]
            (gradient,) = torch.autograd.grad(logit, activation)
            expected = torch.zeros(7, 7)
            for channel in range(activation.shape[1]):
                expected += (gradient[0, channel].mean() * activation[0, channel]).detach()
            assert expected.relu().max() > 0
            assert close(maps[image, column], expected.relu())


class Naive(nn.Module):
    """torchvision's layers with a hook on each ReLU, which is how guided backpropagation is usually written."""

    def __init__(self, theirs: nn.Module) -> None:
        super().__init__()
        self.features, self.last, self.classifier = theirs.features, nn.ReLU(), theirs.classifier
        for module in self.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
                module.register_full_backward_hook(lambda _, inputs, __: (inputs[0].clamp(min=0),))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.last(self.features(x)).mean(dim=(2, 3)))


def test_guided_grad_cam_equals_hooks_on_every_relu(ours: Classifier, x: Tensor) -> None:
    naive = xrv.models.DenseNet(weights=None)
    naive.load_state_dict(seeded_state(catalog.find("all")))
    network = Naive(naive.eval())
    maps = guided_grad_cam(ours, x[:1], HEADS)
    assert maps.shape == (1, 3, 224, 224)
    for column, head in enumerate(HEADS):
        image = x[:1].clone().requires_grad_()
        (guided,) = torch.autograd.grad(network(image)[0, head], image)
        plain = image.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(ours.logits(plain)[0, head], plain)
        assert not close(guided, gradient, 0.1)  # the hooks do something
        coarse = functional.interpolate(grad_cam(ours, x[:1], [head]), (224, 224), mode="bilinear")[0, 0]
        assert close(maps[0, column], guided[0, 0] * coarse, 1e-3)


def test_relus_are_plain_again_afterwards(ours: Classifier, x: Tensor) -> None:
    before = ours(x[:1])
    guided_grad_cam(ours, x[:1], [0])
    assert torch.equal(ours(x[:1]), before)
    y = torch.tensor([1.0, -1.0], requires_grad=True)
    (gradient,) = torch.autograd.grad((-functional.relu(y)).sum(), y)
    assert gradient.tolist() == [-1.0, 0.0]


def test_the_input_gradient_equals_torchxrayvision_s_notebook(
    ours: Classifier, theirs: nn.Module, x: Tensor
) -> None:
    skimage = pytest.importorskip("skimage")
    maps = input_gradient(ours, x, HEADS)
    for image in range(2):
        img = x[image : image + 1].clone().requires_grad_()
        scores = theirs(img)
        for column, head in enumerate(HEADS):
            (grads,) = torch.autograd.grad(scores[0, head], img, retain_graph=True)
            expected = skimage.filters.gaussian(grads[0, 0].numpy() ** 2, sigma=(5, 5), truncate=3.5)
            assert expected.max() > 0
            assert np.abs(maps[image, column].numpy() - expected).max() < 1e-3 * expected.max()


@pytest.mark.parametrize("method", METHODS)
def test_an_image_s_map_does_not_depend_on_the_batch(ours: Classifier, x: Tensor, method: str) -> None:
    maps = METHODS[method].maps(ours, x, HEADS)
    alone = METHODS[method].maps(ours, x[1:], HEADS)
    assert close(alone[0], maps[1], 1e-3)
    assert METHODS[method].signed == bool((maps < 0).any())

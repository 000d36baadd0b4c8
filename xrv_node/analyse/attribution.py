"""How much each part of the input matters to a score: three answers, each from the literature or the field.

The first two differentiate the logit. A calibrated score has the logit's sign, but where it saturates its
gradient vanishes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from torch import Tensor

SIGMA = 5.0
"""Standard deviation in input pixels of the blur in torchxrayvision's notebook (scripts/heatmaps.ipynb)."""
TRUNCATE = 3.5
"""Standard deviations after which that blur is cut."""


class Explainable(Protocol):
    """What a map needs of a classifier. All in evaluation mode."""

    def __call__(self, x: Tensor) -> Tensor:
        """Scores ``[B, n]`` of ``x [B, 1, H, H]``."""

    def forward_with_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[B, n]`` and the last feature map ``[B, C, h, w]``, in one graph."""


@dataclass(frozen=True, slots=True)
class Method:
    """One kind of map."""

    words: str
    """As a legend names it."""
    maps: Callable[[Explainable, Tensor, Sequence[int]], Tensor]
    """Of ``(classifier, x [B, 1, H, H], heads)``: float ``[B, len(heads), h, w]`` over the same square."""
    signed: bool = False
    """Whether a map has negative values; what is shown then is its size."""


def grad_cam(classifier: Explainable, x: Tensor, heads: Sequence[int]) -> Tensor:
    """Grad-CAM (Selvaraju et al., ICCV 2017, equations 1 and 2) of the last feature map.

    Parameters
    ----------
    classifier
        On the device of ``x``.
    x
        float ``[B, 1, H, H]`` in [-1024, 1024].
    heads
        Positions in the classifier's outputs.

    Returns
    -------
    Tensor
        ``[B, len(heads), h, w]``, at least 0, of the feature map's size (7 x 7 for a DenseNet at 224).
    """
    with torch.enable_grad():
        logits, activation = classifier.forward_with_map(x.detach().requires_grad_())
    weights = _gradients(logits, activation, heads).mean(dim=(3, 4), keepdim=True)
    return (weights * activation.detach().unsqueeze(1)).sum(dim=2).relu()


def guided_grad_cam(classifier: Explainable, x: Tensor, heads: Sequence[int]) -> Tensor:
    """Guided backpropagation times Grad-CAM (Selvaraju et al., section 3.2), at the input's resolution.

    Guided backpropagation (Springenberg et al., ICLR 2015 workshop, section 3.4) is the gradient of the logit
    by the input in which each ReLU lets only positive gradients back. It finds edges, and mostly the same
    ones whatever the weights are (Adebayo et al., NeurIPS 2018): the place comes from the Grad-CAM.

    Parameters
    ----------
    classifier, x, heads
        As `grad_cam`.

    Returns
    -------
    Tensor
        ``[B, len(heads), H, H]``, of either sign.
    """
    coarse = functional.interpolate(grad_cam(classifier, x, heads), x.shape[2:], mode="bilinear")
    with torch.enable_grad(), _GuidedRelus():
        x = x.detach().requires_grad_()
        logits, _ = classifier.forward_with_map(x)
    return _gradients(logits, x, heads)[:, :, 0] * coarse


def input_gradient(classifier: Explainable, x: Tensor, heads: Sequence[int]) -> Tensor:
    """torchxrayvision's map: the squared gradient of the calibrated score by the input, blurred.

    Not Grad-CAM: it follows torchxrayvision's notebook ``scripts/heatmaps.ipynb``.

    Parameters
    ----------
    classifier, x, heads
        As `grad_cam`.

    Returns
    -------
    Tensor
        ``[B, len(heads), H, H]``, at least 0.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        scores = classifier(x)
    return _blurred(_gradients(scores, x, heads)[:, :, 0] ** 2)


METHODS = {
    "gradcam": Method("Grad-CAM", grad_cam),
    "guided": Method("Guided Grad-CAM", guided_grad_cam, signed=True),
    "gradient": Method("Squared input gradient, blurred", input_gradient),
}
"""By the name that a user chooses one with; the first is the default."""


def _gradients(outputs: Tensor, inputs: Tensor, heads: Sequence[int]) -> Tensor:
    """Differentiate ``outputs[:, head]`` by ``inputs``: ``[B, len(heads), *inputs.shape[1:]]``.

    Images do not mix in evaluation mode, so the gradient of a sum over the batch is each image's own.
    """
    with torch.enable_grad():
        sums = [outputs[:, head].sum() for head in heads]
    rows = [torch.autograd.grad(total, inputs, retain_graph=True)[0] for total in sums]
    return torch.stack(rows, dim=1)


def _blurred(maps: Tensor) -> Tensor:
    """Blur ``[B, n, H, W]`` by a Gaussian of `SIGMA`, the border's values repeated outside."""
    radius = int(TRUNCATE * SIGMA + 0.5)
    at = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    taps = torch.exp(-0.5 * (at / SIGMA) ** 2)
    taps /= taps.sum()
    images = functional.pad(maps.flatten(0, 1).unsqueeze(1), (radius,) * 4, mode="replicate")
    blurred = functional.conv2d(functional.conv2d(images, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
    return blurred.view_as(maps)


class _GuidedRelu(torch.autograd.Function):
    """A ReLU that passes no negative gradient back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.clamp(min=0)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        passed: Tensor = gradients[0].clamp(min=0) * (y > 0)
        return passed


class _GuidedRelus(TorchFunctionMode):
    """While entered, every ReLU of a forward pass is a `_GuidedRelu`, module or function, in place or not."""

    _RELUS = frozenset(
        {functional.relu, functional.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_}
    )

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func in self._RELUS:
            return _GuidedRelu.apply(args[0])
        return func(*args, **(kwargs or {}))

"""The three kinds of small networks: how each is built, what it is trained to, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray

from xrv_node.lab.statistics.weighted_auc import RankedScores
from xrv_node.lab.train.steps import losses
from xrv_node.lab.train.steps.drawing import Example, Origin
from xrv_node.models import catalog
from xrv_node.models.architectures import ARCHITECTURES
from xrv_node.models.inputs import LIMIT
from xrv_node.phantom.findings import FOLLOWING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from xrv_node.lab.train.steps.plan import Kind
    from xrv_node.models.pyramid import PyramidClassifier
    from xrv_node.models.small_autoencoder import SmallAutoencoder
    from xrv_node.models.unet import UNet

SMALL = ("Nodule", "Fracture")
"""Findings of a few pixels."""

Truth = dict[str, NDArray[np.generic]]
"""An example's arrays, of many images: the first axis is the image."""


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of network."""

    network: str
    """A key of ``architectures.ARCHITECTURES``."""
    parameter: str
    """Of the architecture: how many outputs; empty where there are none to name."""
    labels: Callable[[Origin], tuple[str, ...]]
    """Of its outputs."""
    loss: Callable[[nn.Module, Origin, Tensor, Truth], Tensor]
    """Of the network, where its images are from, images ``[B, 1, size, size]`` and their truth."""
    figure: str
    """What `glance` is called."""
    glance: Callable[[nn.Module, Origin, Sequence[Example]], float]
    """One number that says how good it is, the higher the better."""

    def build(self, origin: Origin, size: int, seed: int) -> nn.Module:
        """Draw a network; no global random state is moved."""
        count = {self.parameter: len(self.labels(origin))} if self.parameter else {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return ARCHITECTURES[self.network](size=size, **count)


def stacked(examples: Sequence[Example]) -> Truth:
    """Return examples as one, the first axis the image."""
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}


def images(truth: Truth, device: str | torch.device) -> Tensor:
    """Return float32 ``[B, 1, size, size]`` in [-1024, 1024], laid out as convolutions are fastest."""
    pixels = torch.from_numpy(truth["image"]).to(device, torch.float32)
    return pixels[:, None].clamp(-LIMIT, LIMIT).contiguous(memory_format=torch.channels_last)


@cache
def findings() -> tuple[str, ...]:
    """Return the labels of every classifier here, in order: those of the released ones."""
    return catalog.find("all").labels


def answers(origin: Origin, truth: Truth) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return what is known of each head: labels ``[B, n]`` and places ``[B, n, h, w]``.

    A head whose finding the origin does not tell of, nor those that it follows from, is unknown.
    """
    told, there = truth["findings"].astype(np.float32), truth["places"].astype(np.bool_)
    at = {name: number for number, name in enumerate(origin.findings)}
    labels = np.full((len(told), len(findings())), np.nan, np.float32)
    places = np.zeros((len(told), len(findings()), *there.shape[2:]), np.bool_)
    for head, name in enumerate(findings()):
        parts = [at[part] for part in FOLLOWING.get(name, {name}) if part in at]
        if parts:
            some = told[:, parts]
            # of several, one that is present decides; absent only where all are known to be
            labels[:, head] = np.where((some == 1).any(axis=1), 1, some.max(axis=1))
            places[:, head] = (there[:, parts] & (some == 1)[:, :, None, None]).any(axis=1)
    return labels, places


def masks(truth: Truth, size: int) -> NDArray[np.bool_]:
    """Return bool ``[B, structures, size, size]``."""
    packed = truth["masks"].astype(np.uint8)
    return np.unpackbits(packed, axis=-1, count=size).astype(np.bool_)


def _findings_loss(network: nn.Module, origin: Origin, x: Tensor, truth: Truth) -> Tensor:
    own = cast("PyramidClassifier", network)
    logits, features, maps = own.everything(x)
    outputs = (logits.float(), maps.float(), own.auxiliary_logits(features).float())
    known = (*answers(origin, truth), truth["beside"])
    labels, places, beside = (torch.from_numpy(part).to(x.device, torch.float32) for part in known)
    weights = [losses.SMALL if name in SMALL else 1.0 for name in findings()]
    return losses.classifier(outputs, labels, places, beside, torch.tensor(weights, device=x.device))


def _masks_loss(network: nn.Module, _: Origin, x: Tensor, truth: Truth) -> Tensor:
    drawn = torch.from_numpy(masks(truth, x.shape[-1])).to(x.device, torch.float32)
    return losses.masks(cast("UNet", network).segment(x).float(), drawn)


def _image_loss(network: nn.Module, _: Origin, x: Tensor, __: Truth) -> Tensor:
    made = cast("SmallAutoencoder", network).rebuilt(x).float()
    return losses.reconstruction(made / LIMIT, x / LIMIT)


def outputs(network: nn.Module, examples: Sequence[Example], batch: int = 20) -> list[Tensor]:
    """Run a network over images as it is served, in evaluation mode and float32: a tensor a batch."""
    device = next(network.parameters()).device
    groups = (examples[first : first + batch] for first in range(0, len(examples), batch))
    return [network(images(stacked(group), device)) for group in groups]


def aucs(logits: NDArray[np.float32], labels: NDArray[np.float32]) -> list[float | None]:
    """Area under the ROC curve of each finding, ``[n, findings]`` both; None without both classes."""
    return [
        RankedScores(logits[known, head], labels[known, head] == 1).auc()
        for head, known in enumerate(~np.isnan(labels).T)
    ]


def _mean_auc(network: nn.Module, origin: Origin, examples: Sequence[Example]) -> float:
    logits = torch.cat(outputs(network, examples)).cpu().numpy()
    some = [area for area in aucs(logits, answers(origin, stacked(examples))[0]) if area is not None]
    return float(np.mean(some)) if some else float("nan")


def dices(network: nn.Module, examples: Sequence[Example]) -> NDArray[np.float64]:
    """Return the Dice of each image and structure, ``[images, structures]``; NaN where nothing was drawn."""
    found, first = [], 0
    for logits in outputs(network, examples):
        truth = masks(stacked(examples[first : first + len(logits)]), logits.shape[-1])
        first += len(logits)
        mine = (logits > 0).cpu().numpy()
        both, total = (mine & truth).sum(axis=(2, 3)), mine.sum(axis=(2, 3)) + truth.sum(axis=(2, 3))
        there = truth.any(axis=(2, 3))
        found.append(np.where(there, 2 * both / np.maximum(total, 1), np.nan))
    return np.concatenate(found)


def _mean_dice(network: nn.Module, _: Origin, examples: Sequence[Example]) -> float:
    return float(np.nanmean(dices(network, examples)))


def differences(network: nn.Module, examples: Sequence[Example]) -> NDArray[np.float64]:
    """Return the mean absolute difference of each image from its reconstruction, ``[images]``, on the scale
    of [-1024, 1024]."""
    device, found = next(network.parameters()).device, []
    for example in examples:
        x = images(stacked([example]), device)
        found.append(float((cast("SmallAutoencoder", network).rebuilt(x) - x).abs().mean()))
    return np.array(found)


def _nearness(network: nn.Module, _: Origin, examples: Sequence[Example]) -> float:
    return 1 - float(differences(network, examples).mean()) / LIMIT


TASKS: dict[Kind, Task] = {
    "classifier": Task(
        "pyramid_classifier", "heads", lambda _: findings(), _findings_loss, "mean AUC", _mean_auc
    ),
    "segmenter": Task("unet", "structures", lambda o: o.structures, _masks_loss, "mean Dice", _mean_dice),
    "autoencoder": Task("small_autoencoder", "", lambda _: (), _image_loss, "1 - mean difference", _nearness),
}
"""By kind."""

"""Untrained networks that stand in for the released ones, whose weights a test does not need.

Every tensor is drawn from a generator seeded with its name: every machine gets the same network, and no
global random state is read or moved.
"""

from __future__ import annotations

import math
import zlib
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from xrv_node import models
from xrv_node.errors import WeightsError
from xrv_node.models import catalog
from xrv_node.models.architectures import layout
from xrv_node.values import SET_ROLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from xrv_node.models.entry import ModelEntry
    from xrv_node.models.model import Model


def _drawn(key: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Draw a tensor whose distribution keeps activations near 1 through a deep network."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    noise = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)
    last = key.rpartition(".")[2]
    if last == "running_mean":
        noise *= 0.1
    elif last == "running_var":
        noise = np.exp(0.2 * noise)
    elif len(shape) > 1:
        noise *= math.sqrt(1 / math.prod(shape[1:]))
    elif last == "weight":
        noise = 0.5 + 0.1 * noise
    else:
        noise *= 0.05
    return noise.astype(np.float32)


def _spread_scores(state: dict[str, Tensor], entry: ModelEntry, gain: float) -> None:
    """Let scores fall on both sides of the operating point, and move with the image.

    The mean activation is the same for every image: rows of zero sum take it out, and what is left is
    enlarged.
    """
    head = "fc" if "fc.weight" in state else "classifier"
    weight, thresholds = state[f"{head}.weight"], torch.tensor(entry.thresholds)
    state[f"{head}.weight"] = gain * (weight - weight.mean(dim=1, keepdim=True))
    state[f"{head}.bias"] = thresholds.nan_to_num(0.5).logit()


def _spread_masks(state: dict[str, Tensor], _: ModelEntry) -> None:
    """Let every structure cover a part of the image.

    Gains that carry the image through 100 layers (He et al. 2015; residual branches at a quarter), then
    kernels of zero sum, so that the masks follow changes of the image and not its mean.
    """
    for key, value in state.items():
        if value.ndim == 4:
            value.mul_(math.sqrt(2))
        elif key.endswith(".weight"):
            value.mul_(0.5 if ".cb3." in key else 2)
    kernel, weight = state["cbr_final.cbr_unit.0.weight"], state["classification.weight"]
    state["cbr_final.cbr_unit.0.weight"] = kernel - kernel.mean(dim=(2, 3), keepdim=True)
    state["classification.weight"] = weight - weight.mean(dim=1, keepdim=True)
    state["classification.bias"].fill_(-1)


ADJUSTMENTS: dict[str, Callable[[dict[str, Tensor], ModelEntry], None]] = {
    "densenet121": partial(_spread_scores, gain=10),
    "resnet50_classifier": partial(_spread_scores, gain=1),
    "pspnet": _spread_masks,
}
"""By architecture: what keeps its outputs from being all alike. On NIH radiographs 39 to 56 % of the scores
of an image lie above 0.5 (48 images), and a structure covers 2 to 23 % of it (8 images)."""


def seeded_state(entry: ModelEntry) -> dict[str, Tensor]:
    """Return the whole state dict of an untrained network, the same on every call.

    Where only the released file knows the network's dimensions, it has those of ``entry.untrained``.

    Scores lie on both sides of 0.5 and masks are neither empty nor full; both change with the image. An
    untrained autoencoder reconstructs nothing: its error is the image's mean distance from mid-grey, 220 to
    590 on the same radiographs.

    Raises
    ------
    WeightsError
        The network's layout is in its file only (a program).
    """
    if not entry.buildable:
        raise WeightsError(f"{entry.name} cannot be built untrained: only its file knows its layout")
    shapes = layout(entry.network, entry.untrained)
    state = {key: torch.from_numpy(_drawn(key, shape)) for key, (_, shape) in shapes.items()}
    if entry.network in ADJUSTMENTS:
        ADJUSTMENTS[entry.network](state, entry)
    return state


_get_model, _missing = models.get_model, models.missing


def get_model(name: str, directory: Path | str | None = None, device: str = "cpu", **options: Any) -> Model:
    """As ``models.get_model``; where the weights are not there, they are `seeded_state`."""
    place = None if directory is None else Path(directory)
    entry = catalog.find(name, directory=place)
    there = place is not None and not _missing([name], place)
    if there or "state" in options or not entry.buildable or entry.role not in (*SET_ROLES, "attribute"):
        return _get_model(name, directory, device, **options)
    return _get_model(name, directory, device, **options, state=seeded_state(entry), settings=entry.untrained)


def missing(names: Iterable[str], directory: Path) -> list[str]:
    """As ``models.missing``, as if the weights of a node's three networks were there."""
    absent = _missing(names, directory)
    return [name for name in absent if catalog.find(name, directory=directory).role not in SET_ROLES]


def load_set(
    classifier: str, segmenter: str, autoencoder: str, directory: Path = Path("unused"), **options: Any
) -> models.NodeNetworks:
    """As ``models.load_set``, as if the weights were there."""
    with installed():
        return models.load_set(classifier, segmenter, autoencoder, directory, **options)


@contextmanager
def installed(loader: Callable[..., Model] = get_model) -> Iterator[None]:
    """Have these networks in place of the released ones within the block."""
    before = models.get_model, models.missing
    models.get_model, models.missing = loader, missing
    try:
        yield
    finally:
        models.get_model, models.missing = before

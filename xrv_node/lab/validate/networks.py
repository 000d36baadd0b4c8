"""The networks of a validation, and what they say of a batch: the functions that the node's worker calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrv_node import models
from xrv_node.analyse import gate
from xrv_node.analyse.attribution import grad_cam
from xrv_node.analyse.heatmap import smooth
from xrv_node.errors import ConfigError
from xrv_node.lab.statistics.overlap import Mask, pointing
from xrv_node.lab.validate.run_store import Marked
from xrv_node.models import Networks, catalog, get_model, inference, weights
from xrv_node.models.device import resolve_device
from xrv_node.models.model import Autoencoder, Classifier, Segmenter


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What the networks say of a batch; the first axis of all is the image."""

    scores: NDArray[np.float32]
    """``[B, labels]``, in [0, 1]."""
    sigmoids: NDArray[np.float32]
    finite: NDArray[np.bool_]
    """Whether every number that was given for the image is one."""
    errors: NDArray[np.float32] | None = None
    """Mean absolute reconstruction error."""
    embeddings: NDArray[np.float32] | None = None
    """``[B, 512]``."""
    similarities: NDArray[np.float32] | None = None


def load(
    names: Sequence[str],
    directory: Path,
    device: str,
    *,
    commissioning: bool = False,
    run_code: bool = False,
    thresholds: Mapping[str, float] | None = None,
    segment: bool = False,
) -> Networks:
    """Load what a validation runs. The autoencoder runs where its weights are there.

    Parameters
    ----------
    names
        Of the classifier, any of the catalogue's, and of the segmenter and autoencoder that the node runs
        beside it.
    directory
        The model directory.
    device, run_code
        As for ``models.get_model``.
    commissioning
        Run the networks for phantoms, which answer for nothing else.
    thresholds
        A site's own operating points of the classifier.
    segment
        Whether the segmenter is to run too.

    Raises
    ------
    WeightsError
        Weights that are missing or damaged, or an unknown name.
    ConfigError
        A network of another role than its place, or a device that there is not.
    """
    place = resolve_device(device)
    if commissioning:
        ours = models.phantom_set(place)
        return Networks(
            ours.classifier, ours.segmenter if segment else None, ours.autoencoder, ours.identity, place
        )
    classifier = get_model(names[0], directory, place, run_code=run_code, thresholds=thresholds)
    if not isinstance(classifier, Classifier):
        raise ConfigError(
            f"{classifier.name} ({classifier.entry.role}) scores no findings: name a classifier"
        )
    segmenter = get_model(names[1], directory, place) if segment else None
    if segmenter is not None and not isinstance(segmenter, Segmenter):
        raise ConfigError(f"{segmenter.name} is no segmenter: correct models.segmenter")
    if models.missing([names[2]], directory):
        return Networks(classifier, segmenter, None, None, place)
    autoencoder = get_model(names[2], directory, place)
    if not isinstance(autoencoder, Autoencoder):
        raise ConfigError(f"{autoencoder.name} is no autoencoder: correct models.autoencoder")
    runs = classifier.entry.network in catalog.NODE_NETWORKS and classifier.entry.calls
    served = runs and not models.missing(names, directory)
    identity = weights.model_set(names, directory, thresholds or {}) if served else None
    return Networks(classifier, segmenter, autoencoder, identity, place)


def forward(networks: Networks, inputs: inference.Inputs) -> Answers:
    """Run the networks once on a batch.

    Raises
    ------
    XrvNodeError
        The device has not enough memory for the batch.
    """
    classifier, autoencoder = networks.classifier, networks.autoencoder

    def run(x: Mapping[int, Tensor]) -> tuple[Tensor, ...]:
        logits = classifier.logits(x[classifier.size])
        scores = classifier.scores(logits), logits.sigmoid()
        if autoencoder is None:
            return scores
        errors, rebuilt, embeddings = autoencoder.compared(x[autoencoder.size])
        return *scores, errors, embeddings, rebuilt[:, 0]

    (scores, sigmoids, *others), finite = inference.at_once(run, inputs, networks.device)
    if autoencoder is None:
        return Answers(scores, sigmoids, finite)
    errors, embeddings, rebuilt = others
    pairs = zip(inputs[autoencoder.size][:, 0], rebuilt, strict=True)
    similarities = np.array([gate.ssim(a, b) for a, b in pairs], np.float32)
    return Answers(scores, sigmoids, finite, errors, embeddings, similarities)


def segmented(segmenter: Segmenter, x: NDArray[np.float32]) -> list[dict[str, Mask] | None]:
    """Outline the structures of a batch, each channel deciding alone where its sigmoid is above 0.5.

    Parameters
    ----------
    segmenter
        As loaded.
    x
        ``[B, 1, side, side]`` in [-1024, 1024], as the segmenter takes it.

    Returns
    -------
    list
        For each image its masks ``[side, side]`` by structure, or None where a logit is no number.

    Raises
    ------
    XrvNodeError
        As `forward`.
    """
    size = segmenter.size
    (masks, _), finite = inference.at_once(
        lambda inputs: segmenter.masks_and_mean(inputs[size]), {size: x}, segmenter.device
    )
    return [
        dict(zip(segmenter.targets, one, strict=True)) if whole else None
        for one, whole in zip(masks, finite, strict=True)
    ]


def localised(
    networks: Networks, x: NDArray[np.float32], regions: Mapping[str, NDArray[np.bool_]]
) -> tuple[Marked, ...]:
    """Compare an image's heat maps with what an annotator marked.

    Parameters
    ----------
    networks
        As loaded.
    x
        ``[1, side, side]`` in [-1024, 1024], as the classifier takes it.
    regions
        By finding: ``[GRID, GRID]`` over the same square; empty where the region lies outside of it.

    Returns
    -------
    tuple of Marked
        For each finding that the classifier knows.

    Raises
    ------
    ConfigError
        The classifier is an ensemble, which has no one map.
    """
    classifier = networks.classifier
    heads = {name: classifier.pathologies.index(name) for name in regions if name in classifier.pathologies}
    if not heads:
        return ()
    image = torch.from_numpy(x[np.newaxis]).to(networks.device)
    maps = grad_cam(classifier, image, list(heads.values()))[0].cpu().numpy()
    return tuple(
        Marked(name, pointing(smooth(heat), regions[name]), float(regions[name].mean()))
        for name, heat in zip(heads, maps, strict=True)
    )


def unusual(limits: gate.Limits | None, said: Answers, image: int) -> bool | None:
    """Tell whether the gate would refuse an image; None where no limits are fitted."""
    if limits is None or said.errors is None or said.similarities is None:
        return None
    # without masks: whether there are lungs is the segmenter's to say, which does not run here
    nothing = np.zeros((0, 1, 1), dtype=np.bool_)
    error, similarity = float(said.errors[image]), float(said.similarities[image])
    return gate.judge(error, similarity, nothing, (), limits).refused is not None

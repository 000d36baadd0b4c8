"""The networks of a validation, and what they say of a batch: the functions that the node's worker calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from xrv_node import models
from xrv_node.analyse import gate
from xrv_node.analyse.attribution import grad_cam
from xrv_node.analyse.heatmap import smooth
from xrv_node.errors import ConfigError, XrvNodeError
from xrv_node.lab.statistics.overlap import Mask, pointing
from xrv_node.lab.validate.run_store import Marked
from xrv_node.models import catalog, get_model, weights
from xrv_node.models.model import Autoencoder, Classifier, Model, Segmenter
from xrv_node.radiograph import resample
from xrv_node.radiograph.prepare import DEFAULT

if TYPE_CHECKING:
    from xrv_node.values import ModelSet


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """What runs."""

    classifier: Classifier
    autoencoder: Autoencoder | None
    """None where its weights are not there, and of untrained networks."""
    limits: gate.Limits | None
    """Of the gate, where a site has fitted it for these networks."""
    model_set: ModelSet | None
    """The node's three, where all are there: whose baseline this run gives."""
    device: str
    segmenter: Segmenter | None = None
    """Only where masks are compared."""

    @property
    def running(self) -> tuple[Model, ...]:
        """Those that run."""
        return tuple(n for n in (self.classifier, self.autoencoder, self.segmenter) if n is not None)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the inputs."""
        return tuple(sorted({n.size for n in self.running}))

    @property
    def names(self) -> tuple[str, ...]:
        """Name and digest of each that runs."""
        return tuple(f"{n.name} {n.sha256}" for n in self.running)


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What the networks say of a batch; the first axis of all is the image."""

    scores: NDArray[np.float32]
    """``[B, labels]``, in [0, 1]."""
    sigmoids: NDArray[np.float32]
    finite: NDArray[np.bool_]
    """Whether every number that was given for the image is one."""
    errors: NDArray[np.float32] | None = None
    """Mean absolute reconstruction error."""
    similarities: NDArray[np.float32] | None = None
    embeddings: NDArray[np.float32] | None = None
    """``[B, 512]``."""


def load(
    names: Sequence[str],
    directory: Path,
    device: str,
    *,
    resampler: str = DEFAULT,
    commissioning: bool = False,
    run_code: bool = False,
    thresholds: Mapping[str, float] | None = None,
    segment: bool = False,
) -> Networks:
    """Load what a validation runs.

    Parameters
    ----------
    names
        Of the classifier, any of the catalogue's, and of the segmenter and autoencoder that the node runs
        beside it.
    directory
        The model directory.
    device, commissioning, run_code
        As for ``models.get_model``.
    resampler
        A name of ``radiograph.resample.RESAMPLERS``; the gate's limits hold for one.
    thresholds
        A site's own operating points of the classifier.
    segment
        Whether the segmenter is to run too.

    Raises
    ------
    WeightsError
        Weights that are missing or damaged, or an unknown name.
    ConfigError
        A network of another role than its place, or a device or resampler that there is not.
    """
    words = resample.find(resampler).words
    classifier = get_model(
        names[0],
        directory,
        device,
        commissioning=commissioning,
        run_code=run_code,
        thresholds=thresholds,
    )
    if not isinstance(classifier, Classifier):
        raise ConfigError(
            f"{classifier.name} ({classifier.entry.role}) scores no findings: name a classifier"
        )
    segmenter = get_model(names[1], directory, device, commissioning=commissioning) if segment else None
    if segmenter is not None and not isinstance(segmenter, Segmenter):
        raise ConfigError(f"{segmenter.name} is no segmenter: correct models.segmenter")
    if commissioning or models.missing([names[2]], directory):
        return Networks(classifier, None, None, None, _place(classifier), segmenter)
    autoencoder = get_model(names[2], directory, device)
    if not isinstance(autoencoder, Autoencoder):
        raise ConfigError(f"{autoencoder.name} is no autoencoder: correct models.autoencoder")
    served = catalog.find(
        names[0], directory=directory
    ).network in models.NODE_NETWORKS and not models.missing(names, directory)
    model_set = weights.model_set(names, directory, thresholds or {}) if served else None
    limits = gate.load(directory, model_set, words) if model_set else None
    return Networks(classifier, autoencoder, limits, model_set, _place(classifier), segmenter)


def forward(networks: Networks, inputs: Mapping[int, NDArray[np.float32]]) -> Said:
    """Run the networks once on a batch.

    Parameters
    ----------
    networks
        As loaded.
    inputs
        By side: ``[B, 1, side, side]`` in [-1024, 1024].

    Raises
    ------
    XrvNodeError
        The device has not enough memory for the batch.
    """
    with _inference():
        there = {size: torch.from_numpy(one).to(networks.device) for size, one in inputs.items()}
        return _forward(networks, there)


@contextmanager
def _inference() -> Iterator[None]:
    # TF32 would round every input of a convolution to 10 bits; the node's worker does not allow it either
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    try:
        with torch.inference_mode(), exact:
            yield
    except torch.OutOfMemoryError as error:
        raise XrvNodeError(
            "the device has not enough memory for so many images at a time: use a smaller --batch; what is "
            "scored is kept"
        ) from error


def _forward(networks: Networks, tensors: dict[int, torch.Tensor]) -> Said:
    classifier = networks.classifier
    logits = classifier.logits(tensors[classifier.size])
    parts = {"scores": classifier.scores(logits), "sigmoids": logits.sigmoid()}
    similarities = None
    if networks.autoencoder is not None:
        image = tensors[networks.autoencoder.size]
        latent = networks.autoencoder.encode(image)
        rebuilt = networks.autoencoder.decode(latent)
        parts |= {
            "errors": (image - rebuilt).abs().mean(dim=(1, 2, 3)),
            "embeddings": latent.mean(dim=(2, 3)),
        }
        pairs = zip(image[:, 0].cpu().numpy(), rebuilt[:, 0].cpu().numpy(), strict=True)
        similarities = np.array([gate.ssim(a, b) for a, b in pairs], np.float32)
    finite = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
    for part in parts.values():
        finite &= part.reshape(len(part), -1).isfinite().all(dim=1)
    arrays = {name: part.float().cpu().numpy() for name, part in parts.items()}
    return Said(**arrays, finite=finite.cpu().numpy(), similarities=similarities)


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
    with _inference():
        logits = segmenter(torch.from_numpy(x).to(_place(segmenter)))
        finite = logits.isfinite().flatten(1).all(dim=1).tolist()
        masks = (logits > 0).cpu().numpy()
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
        By finding: ``[GRID, GRID]`` over the same square.

    Returns
    -------
    tuple of Marked
        For each finding that the classifier knows and whose region and Grad-CAM are not empty.

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
    found = ((name, pointing(smooth(heat), regions[name])) for name, heat in zip(heads, maps, strict=True))
    return tuple(Marked(name, one, float(regions[name].mean())) for name, one in found if one is not None)


def unusual(networks: Networks, said: Said, image: int) -> bool | None:
    """Tell whether the gate would refuse an image; None where no limits are fitted."""
    if networks.limits is None or said.errors is None or said.similarities is None:
        return None
    # without masks: whether there are lungs is the segmenter's to say, which does not run here
    nothing = np.zeros((0, 1, 1), dtype=np.bool_)
    error, similarity = float(said.errors[image]), float(said.similarities[image])
    return gate.judge(error, similarity, nothing, (), networks.limits).refused is not None


def _place(network: torch.nn.Module) -> str:
    return str(next(network.parameters()).device)

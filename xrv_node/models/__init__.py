"""The networks, their weights and what they mean. Importing this imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from xrv_node.errors import ConfigError
from xrv_node.models import catalog
from xrv_node.models.weights import missing, not_there
from xrv_node.values import ModelIdentity, ModelSet

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from xrv_node.models.autoencoder import ResNetAE
    from xrv_node.models.catalog import Entry
    from xrv_node.models.densenet import DenseNet
    from xrv_node.models.pspnet import PSPNet

__all__ = ["Networks", "load_set", "missing"]


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """The three networks that look at an image, in evaluation mode on one device."""

    identity: ModelSet
    classifier: DenseNet
    segmenter: PSPNet
    autoencoder: ResNetAE
    labels: tuple[str, ...]
    """What the classifier was trained on, in channel order; untrained heads are absent."""
    heads: tuple[int, ...]
    """The classifier's output channel of each label."""
    thresholds: Tensor
    """Operating point of each label on the sigmoid's scale, float32 ``[len(labels)]``, on ``device``."""
    structures: tuple[str, ...]
    """Names of the segmenter's channels, in channel order."""
    device: str
    """``cpu``, ``cuda``, ``cuda:1``, ``mps``."""

    def scores(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Turn the classifier's logits into what is reported.

        Parameters
        ----------
        logits
            ``[B, 18]`` as ``DenseNet.forward`` returns them.

        Returns
        -------
        tuple
            Operating-point-normalised scores and sigmoids, both ``[B, len(labels)]``, in [0, 1], in the order
            of ``labels`` (see ``calibration.op_norm``).
        """
        from xrv_node.models.calibration import op_norm

        sigmoid = logits[:, list(self.heads)].sigmoid()
        return op_norm(sigmoid, self.thresholds), sigmoid


def load_set(
    classifier: str,
    segmenter: str,
    autoencoder: str,
    directory: Path,
    *,
    commissioning: bool = False,
    device: str = "cpu",
) -> Networks:
    """Load the three networks of a node. Never downloads.

    Parameters
    ----------
    classifier, segmenter, autoencoder
        Names or aliases of the catalogue, e.g. ``densenet121-res224-all``, ``chestx_det``, ``101-elastic``.
    directory
        The model directory; not looked at when commissioning.
    commissioning
        Build untrained networks in place of trained ones (see ``commissioning``); their names say so.
    device
        ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``auto`` for the best that is there.

    Raises
    ------
    WeightsError
        An unknown name, missing weights (with the command that gets them), or damaged ones.
    ConfigError
        A device that this machine does not have.
    """
    import torch

    place = _device(device)
    entries = [
        catalog.find(classifier, "classifier"),
        catalog.find(segmenter, "segmenter"),
        catalog.find(autoencoder, "autoencoder"),
    ]
    absent = [] if commissioning else missing([entry.name for entry in entries], directory)
    if absent:
        raise not_there(absent, directory)
    networks, identities = zip(*(_load(e, directory, place, commissioning) for e in entries), strict=True)
    labels, heads = zip(*entries[0].trained_heads, strict=True)
    return Networks(
        identity=ModelSet(identities[0], identities[1], identities[2], commissioning),
        classifier=cast("DenseNet", networks[0]),
        segmenter=cast("PSPNet", networks[1]),
        autoencoder=cast("ResNetAE", networks[2]),
        labels=labels,
        heads=heads,
        thresholds=torch.tensor([entries[0].thresholds[head] for head in heads], device=place),
        structures=entries[1].labels,
        device=place,
    )


def _load(entry: Entry, directory: Path, device: str, untrained: bool) -> tuple[nn.Module, ModelIdentity]:
    from xrv_node.models.architectures import assemble
    from xrv_node.models.commissioning import UNTRAINED, seeded_state
    from xrv_node.models.convert import tensors_sha256
    from xrv_node.models.weights import load

    if untrained:
        name, state = entry.name + UNTRAINED, seeded_state(entry)
        digest = tensors_sha256({key: value.numpy() for key, value in state.items()})
    else:
        name, (state, digest) = entry.name, load(entry, directory)
    return assemble(entry, state).to(device), ModelIdentity(entry.role, name, digest)


def _device(wanted: str) -> str:
    """Resolve ``auto`` and refuse a device that is not there."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(kind for kind, available in there.items() if available)
    kind, _, number = wanted.partition(":")
    if not there.get(kind) or (kind == "cuda" and int(number or 0) >= torch.cuda.device_count()):
        raise ConfigError(
            f"models.device is {wanted!r}, which this machine does not have: use one of "
            f"{', '.join(kind for kind, available in there.items() if available)} or auto"
        )
    return wanted

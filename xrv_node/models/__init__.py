"""The networks, their weights and what they mean. Importing this imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xrv_node.errors import WeightsError
from xrv_node.models import catalog, weights
from xrv_node.models.device import resolve_device
from xrv_node.models.weights import missing, not_there
from xrv_node.values import SET_ROLES, ModelIdentity, ModelSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from xrv_node.models.entry import ModelEntry
    from xrv_node.models.model import Autoencoder, Classifier, Model, Segmenter

__all__ = ["Networks", "NodeNetworks", "get_model", "load_set", "missing", "phantom_set", "phantom_stand_in"]

PHANTOM_SET = Path(__file__).parent / "phantom"
"""Where the networks for phantoms lie, within the program."""


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """Networks that look at an image together, in evaluation mode on one device."""

    classifier: Classifier
    segmenter: Segmenter | None
    """None where it does not run."""
    autoencoder: Autoencoder | None
    """None where it does not run."""
    identity: ModelSet | None
    """Of the three that a node runs, where all are there."""
    device: str
    """``cpu``, ``cuda``, ``cuda:1``, ``mps``."""

    @property
    def running(self) -> tuple[Model, ...]:
        """Those that run."""
        return tuple(n for n in (self.classifier, self.autoencoder, self.segmenter) if n is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """Name and digest of each that runs."""
        return tuple(f"{network.name} {network.sha256}" for network in self.running)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of their inputs, each once."""
        return tuple(sorted({network.size for network in self.running}))


@dataclass(frozen=True, slots=True, eq=False)
class NodeNetworks(Networks):
    """The three that a node runs on what it receives."""

    segmenter: Segmenter
    autoencoder: Autoencoder
    identity: ModelSet


def load_set(
    classifier: str,
    segmenter: str,
    autoencoder: str,
    directory: Path,
    *,
    device: str = "cpu",
    thresholds: Mapping[str, float] | None = None,
) -> NodeNetworks:
    """Load the three networks of a node. Never downloads.

    Parameters
    ----------
    classifier, segmenter, autoencoder
        Names or aliases of the catalogue, e.g. ``densenet121-res224-all``, ``chestx_det``, ``101-elastic``.
    directory
        The model directory.
    device
        ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``auto`` for the best that is there.
    thresholds
        The site's own operating points of the classifier (``entry.ModelEntry.with_thresholds``).

    Raises
    ------
    WeightsError
        An unknown name, missing weights (with the command that gets them), or damaged ones.
    ConfigError
        A device that this machine does not have; as ``catalog.served`` and
        ``entry.ModelEntry.with_thresholds``.
    """
    names = (classifier, segmenter, autoencoder)
    entries = [catalog.served(name, role, directory) for name, role in zip(names, SET_ROLES, strict=True)]
    absent = missing(names, directory)
    if absent:
        raise not_there(absent, directory)
    place = resolve_device(device)
    loaded: list[Model] = [
        get_model(
            entry.name,
            directory,
            place,
            thresholds=thresholds if entry.role == "classifier" else None,
        )
        for entry in entries
    ]
    return _node_networks(loaded, place)


def _node_networks(loaded: list[Model], place: str, *, phantom: bool = False) -> NodeNetworks:
    first, second, third = (model.identity for model in loaded)
    return NodeNetworks(
        cast("Classifier", loaded[0]),
        cast("Segmenter", loaded[1]),
        cast("Autoencoder", loaded[2]),
        ModelSet(first, second, third, phantom),
        place,
    )


def phantom_set(device: str = "cpu") -> NodeNetworks:
    """Load the three networks that answer for phantoms, which are installed with the program.

    Parameters
    ----------
    device
        As for `load_set`.

    Returns
    -------
    NodeNetworks
        Its ``identity.phantom`` is true: nothing that it says may stand beside a patient's image.

    Raises
    ------
    WeightsError
        A file of the program is missing or damaged.
    ConfigError
        A device that this machine does not have.
    """
    from xrv_node.models import trained_here

    place = resolve_device(device)
    loaded: list[Model] = []
    for role in SET_ROLES:
        entry = trained_here.find(f"{trained_here.PHANTOM}{role}", PHANTOM_SET)
        if entry is None:
            raise WeightsError(f"the networks for phantoms are not in {PHANTOM_SET}: install xrv-node anew")
        loaded.append(_model(entry, _weights(entry, PHANTOM_SET), place))
    return _node_networks(loaded, place, phantom=True)


def phantom_stand_in(name: str, directory: Path | str | None = None, device: str = "cpu") -> Model:
    """Load the network for phantoms that does what one of the catalogue does for patients; the arguments are
    those of `get_model`, and a ``WeightsError`` says that there is none."""
    entry = catalog.find(name, directory=None if directory is None else Path(directory))
    ours = phantom_set(device)
    found = [model for model in ours.running if model.entry.role == entry.role]
    if not found:
        raise WeightsError(
            f"there is no network for phantoms that does what {entry.name} ({entry.role}) does"
        )
    return found[0]


def get_model(
    name: str,
    directory: Path | str | None = None,
    device: str = "cpu",
    xrv_compatible: bool = False,
    *,
    state: Mapping[str, Tensor] | None = None,
    settings: Mapping[str, Any] | None = None,
    members: int | None = None,
    run_code: bool = False,
    thresholds: Mapping[str, float] | None = None,
) -> Model:
    """Load one network with what its outputs mean. Never downloads.

    Parameters
    ----------
    name
        Name or alias of the catalogue, in any case: ``densenet121-res224-all``, ``all``, ``chestx_det``.
    directory
        The model directory; None for the configured one. Not looked at with `state`.
    device
        ``cpu``, ``cuda``, ``cuda:N``, ``mps``, or ``auto`` for the best that is there.
    xrv_compatible
        Apply torchxrayvision's operating points also where they are on the wrong scale (the ResNet's).
    state
        Weights to use in place of those in `directory`: the network's state dict, on the CPU. Floating
        numbers of another precision become float32.
    settings
        With `state`, the network's dimensions where they are not fixed: those of ``vqgan.VQGAN``, ``members``
        of the ensemble.
    members
        Of the ensemble, how many networks of each group to run; None for all that were imported.
    run_code
        Allow weights that are a program (TorchScript) to be run. They could do harm: allow it only for a file
        whose origin you trust.
    thresholds
        Of a classifier: a site's own operating points in place of the published ones
        (``entry.ModelEntry.with_thresholds``).

    Returns
    -------
    Model
        A ``model.Classifier``, ``Attribute``, ``Segmenter`` or ``Autoencoder``, by the entry's role, in
        evaluation mode, parameters without gradients.

    Raises
    ------
    WeightsError
        An unknown name, missing weights (with the command that gets them), damaged or other weights, or a
        program without `run_code`.
    ConfigError
        A device that this machine does not have; as ``entry.ModelEntry.with_thresholds``.
    """
    from xrv_node import settings as configuration

    if directory is None and state is None:
        directory = configuration.load().models_dir
    directory = None if directory is None else Path(directory)
    entry = catalog.find(name, directory=directory).with_thresholds(thresholds or {})
    place = resolve_device(device)
    if entry.checkpoint == "program" and not run_code:
        raise WeightsError(
            f"{entry.name} is a TorchScript program, and using it runs code from its file: if you trust "
            "where the file comes from, allow it with --run-code (in Python, run_code=True)"
        )
    if state is not None:
        found = _given(entry, entry.name, state, settings or {})
    else:
        found = _weights(entry, cast("Path", directory))
    if members is not None and entry.checkpoint == "members":
        found = _fewer(found, members)
    return _model(entry, found, place, xrv_compatible=xrv_compatible)


def _model(entry: ModelEntry, found: _Weights, place: str, *, xrv_compatible: bool = False) -> Model:
    """Put a network together with its weights and what its outputs mean."""
    from xrv_node.models.architectures import assemble
    from xrv_node.models.baselines.torchscript import Program
    from xrv_node.models.model import MODELS, Classifier

    network = assemble(entry, found.state, found.settings).to(place)
    if isinstance(network, Program):
        network.start(place)
    entry = replace(entry, name=found.identity.name)
    if entry.role == "classifier":
        return Classifier(entry, network, found.identity.sha256, xrv_compatible=xrv_compatible).to(place)
    return MODELS[entry.role](entry, network, found.identity.sha256).to(place)


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """What a network is made of."""

    identity: ModelIdentity
    state: Mapping[str, Tensor]
    settings: Mapping[str, Any]
    """Its dimensions, where they are not fixed."""


def _weights(entry: ModelEntry, directory: Path) -> _Weights:
    state, record = weights.load(entry, directory)
    identity = ModelIdentity(entry.role, entry.name, record.tensors_sha256, entry.site_thresholds)
    return _Weights(identity, state, record.dimensions)


def _given(
    entry: ModelEntry, name: str, state: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> _Weights:
    from xrv_node.models.convert import tensors_sha256

    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    digest = tensors_sha256({key: value.numpy() for key, value in state.items()})
    return _Weights(ModelIdentity(entry.role, name, digest, entry.site_thresholds), state, settings)


def _fewer(found: _Weights, members: int) -> _Weights:
    """Keep the first members of each group of an ensemble."""
    from xrv_node.models.baselines.chexpert import first, members_of

    there = members_of(found.state)
    if not 1 <= members <= there:
        raise WeightsError(
            f"{found.identity.name} has {there} members in each group: ask for 1 to {there} of them"
        )
    state = first(found.state, members)
    return _Weights(found.identity, state, {"members": members})

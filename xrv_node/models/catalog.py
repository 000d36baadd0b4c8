"""Which networks there are: the released ones, and those that were trained here. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xrv_node.errors import ConfigError, WeightsError
from xrv_node.models import trained_here
from xrv_node.models.entry import ModelEntry, released

if TYPE_CHECKING:
    from pathlib import Path

    from xrv_node.values import Role


NODE_NETWORKS = (
    "densenet121",
    "pspnet",
    "resnet_autoencoder",
    "pyramid_classifier",
    "unet",
    "small_autoencoder",
)
"""The architectures that the worker runs; the others are for the command line and for programs."""


def entries(directory: Path | None = None) -> tuple[ModelEntry, ...]:
    """Every network that can be run here: the table's in their order, then those of a model directory."""
    return released() if directory is None else (*released(), *trained_here.entries(directory))


def find(name: str, role: Role | None = None, directory: Path | None = None) -> ModelEntry:
    """Look a network up by its name or an alias, regardless of case.

    Parameters
    ----------
    name
        E.g. ``densenet121-res224-all`` or ``all``.
    role
        Accept only a network of this role.
    directory
        The model directory, where networks that were trained here may be; None: the table alone.

    Raises
    ------
    WeightsError
        No such network; the sentence lists those that there are. One that was trained on phantoms: those are
        no networks to choose, but the set that ``models.phantom_set`` loads.
    """
    candidates = [entry for entry in entries() if role in (None, entry.role)]
    for entry in candidates:
        if name.lower() in {known.lower() for known in (entry.name, *entry.aliases)}:
            return entry
    if directory is not None:
        made = trained_here.find(name, directory)
        if made is not None and made.phantom:
            raise WeightsError(f"{made.name} was trained on phantoms and answers for them alone: use another")
        if made is not None and role in (None, made.role):
            return made
        candidates += [e for e in trained_here.entries(directory) if role in (None, e.role) and not e.phantom]
    kind = role or "model"
    raise WeightsError(f"no {kind} is called {name!r}: use one of {', '.join(e.name for e in candidates)}")


def served(name: str, role: Role, directory: Path | None = None) -> ModelEntry:
    """Look up a network that a node may run on what it receives.

    Parameters
    ----------
    name, role, directory
        As for `find`.

    Raises
    ------
    WeightsError
        No such network.
    ConfigError
        One for the command line and for programs alone, or one by which nothing is called.
    """
    entry = find(name, role, directory)
    if entry.network not in NODE_NETWORKS:
        choice = [e.name for e in entries() if e.role == role and e.network in NODE_NETWORKS]
        raise ConfigError(
            f"the node does not run {entry.name} on what it receives: choose {', '.join(choice)} as its "
            f"{role}"
        )
    if not entry.calls:
        raise ConfigError(
            f"the node does not run {entry.name}: it told no finding from chance where it was trained, and "
            "has no operating points; train it with more images, or choose another classifier"
        )
    return entry


def remedy(*entries: ModelEntry) -> str:
    """Say how the weights of networks are got, as the end of a sentence."""
    pulled = " ".join(entry.name for entry in entries if entry.pullable)
    by_hand = [
        (f"get {entry.file} from {entry.url} and " if entry.url else "")
        + f"run `xrv-node models import {entry.file}`"
        for entry in entries
        if not entry.pullable
    ]
    download = "run `xrv-node models pull {0}` or, without internet, `xrv-node models import FILE`"
    return " and ".join([download.format(pulled)] * bool(pulled) + by_hand)

"""Which networks there are: the released ones, and those that were trained here. Imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xrv_node.errors import WeightsError
from xrv_node.models import trained_here
from xrv_node.models.entry import ModelEntry, released

if TYPE_CHECKING:
    from pathlib import Path

    from xrv_node.values import Role


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
        No such network; the sentence lists those that there are.
    """
    candidates = [entry for entry in entries() if role in (None, entry.role)]
    for entry in candidates:
        if name.lower() in {known.lower() for known in (entry.name, *entry.aliases)}:
            return entry
    if directory is not None and role in (None, "classifier"):
        if (made := trained_here.find(name, directory)) is not None:
            return made
        candidates += trained_here.entries(directory)
    kind = role or "model"
    raise WeightsError(f"no {kind} is called {name!r}: use one of {', '.join(e.name for e in candidates)}")


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

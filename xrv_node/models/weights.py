"""The model directory: one safetensors file for each network, made from the released file.

Each tells where it came from in its own header, so a directory can be copied to another machine as it is:

``name``            as in the catalogue
``source_file``     the released file's name
``source_sha256``   its digest
``tensors_sha256``  digest of the tensors (``convert.tensors_sha256``)
``imported_at``     UTC, ISO 8601
``xrv_node``        version that converted it
``settings``        JSON: the network's dimensions, where only the released file knows them
``source_dtype``    the kinds of numbers that were converted to float32, where there were any
``entry``           JSON: labels, operating points and origin of a network that was trained here

Trust: a released file whose digest the catalogue knows must have it. One whose digest nobody has published
is trusted the first time, and its digest recorded in that header; a different file for the same network is
refused from then on, unless ``force`` is given or the first one is removed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xrv_node.errors import WeightsError
from xrv_node.models import catalog, model_dir
from xrv_node.models.catalog import remedy
from xrv_node.values import SET_ROLES, ModelIdentity, ModelSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from xrv_node.models.entry import ModelEntry


@dataclass(frozen=True, slots=True)
class Installed:
    """What the header of a converted file says."""

    name: str
    path: Path
    source_file: str
    source_sha256: str
    tensors_sha256: str
    imported_at: str
    """UTC, ISO 8601."""
    xrv_node: str
    """Version that converted it."""
    settings: str = "{}"
    """JSON: the network's dimensions, where only the released file knows them."""
    source_dtype: str = ""
    """The kinds of numbers that were converted to float32, e.g. ``float16``; mostly none."""
    entry: str = ""
    """JSON: what the catalogue would say of a network that was trained here (``TrainedNetwork``)."""

    @property
    def dimensions(self) -> dict[str, Any]:
        """``settings`` as parameters of the architecture."""
        values: dict[str, Any] = json.loads(self.settings)
        return values


def missing(names: Iterable[str], directory: Path) -> list[str]:
    """Names, as in the catalogue, of the networks whose weights are not in a directory.

    Raises
    ------
    WeightsError
        A name that the catalogue does not have.
    """
    entries = [catalog.find(name, directory=directory) for name in names]
    return [entry.name for entry in entries if not model_dir.is_here(entry.weights_path(directory))]


def not_there(names: Iterable[str], directory: Path) -> WeightsError:
    """Return the error that says how missing weights are got."""
    entries = [catalog.find(name, directory=directory) for name in names]
    instead = "; or add --commissioning for the networks that answer for phantoms alone"
    return WeightsError(
        f"weights of {' '.join(entry.name for entry in entries)} are not in {directory}: {remedy(*entries)}"
        f"{instead if all(entry.role in SET_ROLES for entry in entries) else ''}"
    )


def installed(entry: ModelEntry, directory: Path) -> Installed | None:
    """Return what the header of a network's converted file says, or None where there is no file.

    Raises
    ------
    WeightsError
        The file is damaged, was not written by the node, or cannot be read by this user.
    """
    from safetensors import SafetensorError, safe_open

    path = entry.weights_path(directory)
    if not model_dir.is_here(path):
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        record = Installed(path=path, **metadata)
        json.loads(record.settings)
        return record
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise _damaged(entry, path) from error


def model_set(
    names: Sequence[str], directory: Path, thresholds: Mapping[str, float] | None = None
) -> ModelSet:
    """Return the identity of a node's classifier, segmenter and autoencoder from the headers of their files.

    Parameters
    ----------
    names, directory, thresholds
        As ``models.load_set`` takes them.

    Raises
    ------
    WeightsError
        A name that the catalogue does not have, weights that are not there, or a damaged file.
    ConfigError
        As ``entry.ModelEntry.with_thresholds``.
    """
    entries = [catalog.find(name, role, directory) for name, role in zip(names, SET_ROLES, strict=True)]
    entries[0] = entries[0].with_thresholds(thresholds or {})
    found: list[ModelIdentity] = []
    for entry in entries:
        record = installed(entry, directory)
        if record is None:
            raise not_there([entry.name], directory)
        found.append(ModelIdentity(entry.role, entry.name, record.tensors_sha256, entry.site_thresholds))
    classifier, segmenter, autoencoder = found
    return ModelSet(classifier, segmenter, autoencoder)


def load(entry: ModelEntry, directory: Path) -> tuple[dict[str, Tensor], Installed]:
    """Read a network's weights.

    Returns
    -------
    tuple
        State dict on the CPU, and the file's header, whose ``tensors_sha256`` was compared with the tensors.

    Raises
    ------
    WeightsError
        Not there, damaged, or changed since the import.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from xrv_node.models.convert import tensors_sha256

    record = installed(entry, directory)
    if record is None:
        raise not_there([entry.name], directory)
    try:
        state = load_file(record.path)
    except (SafetensorError, OSError) as error:
        raise _damaged(entry, record.path) from error
    digest = tensors_sha256({key: value.numpy() for key, value in state.items()})
    if digest != record.tensors_sha256 or record.name != entry.name:
        raise _damaged(entry, record.path)
    return state, record


def _damaged(entry: ModelEntry, path: Path) -> WeightsError:
    return WeightsError(f"{path} is damaged or was changed: remove it and {remedy(entry)}")


def verify(entry: ModelEntry, directory: Path) -> Installed:
    """Check that a network's weights are whole, are this network's, and came from the released file.

    Raises
    ------
    WeightsError
        As ``load``, or another file than the one whose digest the catalogue has.
    """
    from xrv_node.models.architectures import assemble

    state, record = load(entry, directory)
    assemble(entry, state, record.dimensions)
    if entry.sha256 not in (None, record.source_sha256):
        raise WeightsError(
            f"{entry.weights_path(directory)} is not from the released file of {entry.name}: remove it and "
            f"{remedy(entry)}"
        )
    return record

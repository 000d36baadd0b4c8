"""Which networks there are, and which of them are here, as a table.

Imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

from typing_extensions import TypedDict

from xrv_node.errors import WeightsError

if TYPE_CHECKING:
    from xrv_node.models.entry import ModelEntry
    from xrv_node.models.weights import Installed


class Weights(TypedDict):
    """Weights that are here."""

    path: Path
    """Their file."""
    source_file: str
    """The file that they were converted from."""
    source_sha256: str
    """Of that."""
    tensors_sha256: str
    """Of the numbers."""
    imported_at: str
    """When, a time."""
    xrv_node: str
    """Version that converted them."""
    settings: str
    """The network's dimensions as JSON, where only the released file knows them."""
    source_dtype: str
    """The kinds of numbers that were converted to float32; mostly none."""
    entry: str
    """Of a network that was trained here: what the catalogue would say of it, as JSON."""


class ModelRow(TypedDict):
    """A network."""

    name: str
    """Its name."""
    role: str
    """What it is for."""
    aliases: tuple[str, ...]
    """Other names."""
    licence: str
    """Of its weights."""
    labels: list[str]
    """What it finds."""
    training_data: tuple[str, ...]
    """What it was trained on."""
    cautions: tuple[str, ...]
    """What to know before it is used."""
    status: str
    """Whether what it says was compared with what was published."""
    get: str
    """``pull`` or ``import``: how its weights are got."""
    digest: str
    """By what they are trusted."""
    source: str
    """Where they are."""
    file: str
    """The file's name there."""
    sha256: str | None
    """Of that file, as published."""
    bytes: int | None
    """Its size."""
    weights: Weights | None
    """What is here."""


class ModelHere(ModelRow):
    """A network, and whether it is here."""

    here: str
    """``no``, ``damaged``, or since when."""
    damage: str | None
    """What is wrong with its file."""


def row(entry: ModelEntry, record: Installed | None) -> ModelRow:
    """One network, with its weights where they are here."""
    return {
        "name": entry.name,
        "role": entry.role,
        "aliases": entry.aliases,
        "licence": entry.licence,
        "labels": [label for label, _ in entry.trained_heads],
        "training_data": entry.training_data,
        "cautions": entry.cautions,
        "status": entry.status,
        "get": "pull" if entry.pullable else "import",
        "digest": "published" if entry.sha256 else "kept at first import",
        "source": entry.url,
        "file": entry.file,
        "sha256": entry.sha256,
        "bytes": entry.bytes,
        "weights": None if record is None else _weights(record),
    }


def listing(directory: Path) -> list[ModelHere]:
    """Every network that a node with this model directory can run."""
    from xrv_node.models import catalog, weights

    rows: list[ModelHere] = []
    for entry in catalog.entries(directory):
        try:
            record = weights.installed(entry, directory)
        except WeightsError as error:
            rows.append({**row(entry, None), "here": "damaged", "damage": str(error)})
        else:
            here = f"since {record.imported_at[:10]}" if record else "no"
            rows.append({**row(entry, record), "here": here, "damage": None})
    return rows


def _weights(record: Installed) -> Weights:
    return cast("Weights", {key: value for key, value in asdict(record).items() if key != "name"})

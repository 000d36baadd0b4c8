"""Networks that were trained here: what the catalogue says of released ones, each says in its own file.

The file is safetensors like every other of the model directory; ``train`` writes it, `models import` checks
it and puts it there, and its name then works wherever one of the catalogue does.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from xrv_node.errors import WeightsError
from xrv_node.models import catalog, sharing
from xrv_node.models.catalog import Entry
from xrv_node.models.weights import Installed, installed
from xrv_node.product import VERSION
from xrv_node.settings.types import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
"""A network's name is a file's name too."""


def _free(name: str) -> str:
    if name in {known.lower() for e in catalog.entries() for known in (e.name, *e.aliases)}:
        raise ValueError(f"{name} is the name of a released network: choose another one")
    return name


Name = Annotated[str, Field(pattern=NAME), AfterValidator(_free)]
Text = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
Label = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f\\]+$")]
"""A finding's name can become a code's meaning (LO: 64 characters, no backslash; PS3.5 section 6.2)."""
Point = Annotated[float, Field(gt=0, lt=1)]


class Described(Section):
    """What the file says of its network."""

    name: Name
    network: Literal["densenet121", "resnet50_classifier"]
    """A key of ``architectures.ARCHITECTURES``."""
    input_size: Annotated[int, Field(ge=32, le=2048)]
    licence: Text = "NOASSERTION"
    training_data: tuple[Text, ...]
    cautions: tuple[Text, ...]
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=500)]
    thresholds: tuple[Point | None, ...]
    """Operating point of each label on the sigmoid's scale; None: none was found, and the label is absent
    from results."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Described:
        if len(self.thresholds) != len(self.labels) or len(set(self.labels)) != len(self.labels):
            raise ValueError("each label needs one name of its own and one threshold")
        if not any(self.thresholds):
            raise ValueError("no label has an operating point")
        return self


def entry(described: Described) -> Entry:
    """Return what the catalogue would say of the network."""
    points = tuple(math.nan if t is None else t for t in described.thresholds)
    return Entry(
        **described.model_dump(exclude={"thresholds"}),
        role="classifier",
        thresholds=points,
        url="",
        file=f"{described.name}.safetensors",
        untrained=dimensions(described),
        status="trained here",
    )


def dimensions(described: Described) -> dict[str, int]:
    """Return the parameters of the network's architecture."""
    return {"heads": len(described.labels)}


def described(path: Path) -> Described | None:
    """Return what a file says of its network; None where it is no safetensors file, or says nothing.

    Raises
    ------
    WeightsError
        It says what cannot be, or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors" or not sharing.is_here(path):
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("entry")
        return Described.model_validate_json(text) if text else None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is damaged: get it again from where it was trained") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise WeightsError(
            f"{path} does not describe a network as `xrv-node train` does: {where}: {first['msg']}"
        ) from error


def find(name: str, directory: Path) -> Entry | None:
    """Look a network up by its name, regardless of case; None where the directory has no such one.

    Raises
    ------
    WeightsError
        Its file is damaged.
    """
    if not re.fullmatch(NAME, name.lower()):
        return None
    known = described(directory / f"{name.lower()}.safetensors")
    return entry(known) if known is not None and known.name == name.lower() else None


def entries(directory: Path) -> tuple[Entry, ...]:
    """Every network of a model directory that was trained here, by name; damaged files are left out."""
    found = []
    for path in sorted(directory.glob("*.safetensors")):
        try:
            known = described(path)
        except WeightsError:
            continue
        if known is not None and known.name == path.stem:
            found.append(entry(known))
    return tuple(found)


def write(tensors: Mapping[str, NDArray[Any]], known: Described, target: Path, **record: str) -> Installed:
    """Write a network and what it is, whole or not at all.

    Parameters
    ----------
    tensors
        Its whole state dict.
    known
        What it is.
    target
        The file.
    record
        Fields of ``Installed`` that are to be kept from an earlier file.
    """
    from safetensors.numpy import save

    from xrv_node.models.convert import tensors_sha256

    fields = {
        "name": known.name,
        "source_file": "",
        "source_sha256": "",
        "tensors_sha256": tensors_sha256(tensors),
        "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "xrv_node": VERSION,
        "settings": json.dumps(dimensions(known)),
        "entry": known.model_dump_json(),
    } | record
    sharing.write(target, save(dict(tensors), fields))
    return Installed(path=target, **fields)


def import_file(source: Path, known: Described, directory: Path, *, force: bool = False) -> Installed:
    """Check a file that ``train`` wrote and put it into the model directory.

    Parameters
    ----------
    source
        The file; it is only read.
    known
        What ``described`` returned for it.
    directory
        The model directory, made if need be.
    force
        Replace another network of the same name.

    Raises
    ------
    WeightsError
        Damaged, not the network that it says, another one of that name is there, or the directory cannot be
        written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from xrv_node.models.architectures import layout
    from xrv_node.models.convert import checked
    from xrv_node.models.importing import file_sha256

    made = entry(known)
    digest = file_sha256(source)
    before = None if force else installed(made, directory)
    if before is not None and before.source_sha256 != digest:
        raise WeightsError(
            f"another network {made.name} was imported on {before.imported_at[:10]}: use --force to replace "
            "it, or train under another name"
        )
    try:
        tensors = checked(load_file(source), layout(known.network, dimensions(known)))
    except SafetensorError as error:
        raise WeightsError(f"{source} is damaged: get it again from where it was trained") from error
    sharing.make_ready(directory)
    return write(
        tensors,
        known,
        made.weights_path(directory),
        source_file=source.name,
        source_sha256=digest,
    )

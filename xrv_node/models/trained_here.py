"""Networks that were trained here: what the catalogue says of released ones, each says in its own file.

The file is safetensors like every other of the model directory; ``train`` writes it, `models import` checks
it and puts it there, and its name then works wherever one of the catalogue does.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from xrv_node.errors import WeightsError
from xrv_node.models import model_dir
from xrv_node.models.entry import ModelEntry, released
from xrv_node.settings.section import Section

if TYPE_CHECKING:
    from pathlib import Path

NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
"""A network's name is a file's name too."""


def _free(name: str) -> str:
    if name in {known.lower() for e in released() for known in (e.name, *e.aliases)}:
        raise ValueError(f"{name} is the name of a released network: choose another one")
    return name


Name = Annotated[str, Field(pattern=NAME), AfterValidator(_free)]
Text = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
Label = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f\\]+$")]
"""A finding's name can become a code's meaning (LO: 64 characters, no backslash; PS3.5 section 6.2)."""
Point = Annotated[float, Field(gt=0, lt=1)]


class TrainedNetwork(Section):
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
    def _belongs_together(self) -> TrainedNetwork:
        if len(self.thresholds) != len(self.labels) or len(set(self.labels)) != len(self.labels):
            raise ValueError("each label needs one name of its own and one threshold")
        if not any(self.thresholds):
            raise ValueError("no label has an operating point")
        return self


def entry(described: TrainedNetwork) -> ModelEntry:
    """Return what the catalogue would say of the network."""
    points = tuple(math.nan if t is None else t for t in described.thresholds)
    return ModelEntry(
        **described.model_dump(exclude={"thresholds"}),
        role="classifier",
        thresholds=points,
        url="",
        file=f"{described.name}.safetensors",
        untrained=dimensions(described),
        status="trained here",
    )


def dimensions(described: TrainedNetwork) -> dict[str, int]:
    """Return the parameters of the network's architecture."""
    return {"heads": len(described.labels)}


def described(path: Path) -> TrainedNetwork | None:
    """Return what a file says of its network; None where it is no safetensors file, or says nothing.

    Raises
    ------
    WeightsError
        It says what cannot be, or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors" or not model_dir.is_here(path):
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("entry")
        return TrainedNetwork.model_validate_json(text) if text else None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is damaged: get it again from where it was trained") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise WeightsError(
            f"{path} does not describe a network as `xrv-node train` does: {where}: {first['msg']}"
        ) from error


def find(name: str, directory: Path) -> ModelEntry | None:
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


def entries(directory: Path) -> tuple[ModelEntry, ...]:
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

"""Networks of a user's own: what the catalogue says of released ones, each says in its own file.

The file is safetensors like every other of the model directory. ``train`` writes it, or `models import`
of one that was fine-tuned elsewhere; its name then works wherever one of the catalogue does.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from xrv_node.errors import WeightsError
from xrv_node.models import model_dir
from xrv_node.models.entry import ModelEntry, released
from xrv_node.settings.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from xrv_node.values import SetRole

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


def _heads(described: TrainedNetwork) -> dict[str, int]:
    return {"heads": len(described.labels)}


DIMENSIONS: dict[str, tuple[SetRole, Callable[[TrainedNetwork], dict[str, int]]]] = {
    "densenet121": ("classifier", _heads),
    "resnet50_classifier": ("classifier", _heads),
    "pyramid_classifier": ("classifier", lambda d: {"heads": len(d.labels), "size": d.input_size}),
    "unet": ("segmenter", lambda d: {"structures": len(d.labels), "size": d.input_size}),
    "small_autoencoder": ("autoencoder", lambda d: {"size": d.input_size}),
}
"""By architecture that can be trained here: what it is for, and the parameters that its description gives."""

PHANTOM = "phantom-"
"""What the names of networks begin with that were trained on phantoms, and of no others."""


class TrainedNetwork(Section):
    """What the file says of its network."""

    name: Name
    network: Literal["densenet121", "resnet50_classifier", "pyramid_classifier", "unet", "small_autoencoder"]
    """A key of ``architectures.ARCHITECTURES``."""
    input_size: Annotated[int, Field(ge=32, le=2048)]
    licence: Text = "NOASSERTION"
    training_data: tuple[Text, ...]
    cautions: tuple[Text, ...]
    labels: Annotated[tuple[Label, ...], Field(max_length=500)]
    """Of each output; an autoencoder has none."""
    thresholds: tuple[Point | None, ...] = ()
    """Of a classifier: operating point of each label on the sigmoid's scale; None: none was found, and the
    label is absent from results. Empty: there are none, and scores are plain sigmoids."""
    status: Text = "trained here"
    """As ``entry.ModelEntry.status``."""
    calls: bool = True
    """As ``entry.ModelEntry.calls``."""
    phantom: bool = False
    """As ``entry.ModelEntry.phantom``."""

    @property
    def role(self) -> SetRole:
        """What it is for."""
        return DIMENSIONS[self.network][0]

    @model_validator(mode="after")
    def _belongs_together(self) -> TrainedNetwork:
        if len(self.thresholds) not in (0, len(self.labels)) or len(set(self.labels)) != len(self.labels):
            raise ValueError("each label needs one name of its own and one threshold")
        if bool(self.labels) == (self.role == "autoencoder"):
            raise ValueError("classifiers and segmenters have labels, and autoencoders none")
        if self.thresholds and self.role != "classifier":
            raise ValueError("only classifiers have thresholds")
        if self.name.startswith(PHANTOM) != self.phantom:
            raise ValueError(f"networks that were trained on phantoms are called {PHANTOM}..., and no others")
        if self.thresholds and not any(self.thresholds):
            raise ValueError("no label has an operating point")
        return self


def entry(described: TrainedNetwork) -> ModelEntry:
    """Return what the catalogue would say of the network."""
    points = tuple(math.nan if t is None else t for t in described.thresholds)
    return ModelEntry(
        **described.model_dump(exclude={"thresholds"}),
        role=described.role,
        thresholds=points,
        url="",
        file=f"{described.name}.safetensors",
        untrained=dimensions(described),
    )


def dimensions(described: TrainedNetwork) -> dict[str, int]:
    """Return the parameters of the network's architecture."""
    return DIMENSIONS[described.network][1](described)


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
            f"{path} does not describe a network as `xrv-node train` does: {where}: {words(first)}"
        ) from error


def words(error: Mapping[str, Any]) -> str:
    """Return what pydantic says of an error, without its own beginning."""
    return str(error["msg"]).removeprefix("Value error, ")


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

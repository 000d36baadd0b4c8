"""What a training of a small network is told: the keys of its TOML file and of its checkpoint."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from xrv_node.errors import ConfigError
from xrv_node.settings.complaints import complaint
from xrv_node.settings.section import Section

Kind = Literal["classifier", "segmenter", "autoencoder"]

PACKAGED = "phantom-"
"""What the names of the recipes begin with that are installed with the program."""


class Phantoms(Section):
    """The table ``[phantoms]``: what is drawn to train on (``phantom.stream.Stream``)."""

    anatomy: str = Field(default="a", min_length=1)
    poses: int = Field(default=64, ge=1, le=4096)
    """Of the anatomy, projected once each."""
    varied: float = Field(default=1.0, ge=0, le=4)
    """How much more than people do these differ in shape, as a factor."""
    wide: float = Field(default=0.8, ge=0, le=1)
    """Share of images that vary more than phantoms do, so that a network does not rely on their likeness."""
    conspicuity: float = Field(default=1.0, gt=0, le=4)
    """Of findings, as a factor."""


class Measured(Section):
    """The table ``[measured]``: what the network is measured on, which it was not trained on."""

    images: int = Field(default=600, ge=20, le=100_000)
    """Of each row of the table of figures, and to choose the operating points on."""
    poses: int = Field(default=24, ge=1, le=4096)
    anatomies: tuple[str, ...] = ("a", "b")
    """The first is the one that the operating points are chosen on, with images of its own."""
    faint: float = Field(default=0.7, gt=0, le=4)
    """The conspicuity of a further row, on the last anatomy; 1: no such row."""
    as_read: int = Field(default=80, ge=0, le=100_000)
    """Images of each anatomy that are whole radiographs of 512 rows, with letters and the mark, brought
    to size as a node does; 0: none."""
    watched: int = Field(default=120, ge=20, le=100_000)
    """Images that show now and then how the training goes. They choose nothing."""
    looks: int = Field(default=8, ge=1, le=1000)
    """How often."""


class Plan(Section):
    """How a small network is trained from nothing. Same plan and machine: same weights."""

    kind: Kind
    size: int = Field(default=192, ge=32, le=1024)
    """Rows and columns of its input, a multiple of 32."""
    labels: tuple[str, ...] = ()
    """Of a segmenter that is trained with a dataset: its structures, as the dataset names them."""
    phantoms: Phantoms | None = None
    """Train on phantoms; None: on datasets."""
    measured: Measured = Measured()
    leave_out: tuple[str, ...] = ()
    """Findings that get no operating point, and so are in no result: those that are not told well enough on
    an anatomy that was not trained on."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of new weights, of images and of their order."""
    steps: int = Field(default=2700, ge=1, le=10_000_000)
    batch: int = Field(default=24, ge=2, le=4096)
    fresh: int = Field(default=12, ge=1, le=4096)
    """Images of a batch that the network has not seen; the others are drawn from the last `memory`."""
    memory: int = Field(default=1536, ge=1, le=1_000_000)
    """Images that are kept to be seen again."""
    learning_rate: float = Field(default=4e-3, gt=0, le=10)
    """Peak of the one-cycle schedule."""
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    """Of kernels, decoupled from the gradient (AdamW; torch's default)."""
    clip_norm: float = Field(default=2.0, gt=0)
    """The norm that gradients are cut down to."""
    rotation: float = Field(default=10, ge=0, le=180)
    """Degrees, to either side, of a dataset's images; phantoms move themselves."""
    translation: float = Field(default=0.05, ge=0, le=1)
    """Of the image's side, each way, likewise."""
    scaling: float = Field(default=0.1, ge=0, lt=1)
    """Up and down from 1, likewise."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the forward pass; ``auto``: bfloat16 where the device computes in it, else float32."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Of torch. On a machine of two cores a second one spins beside the process that draws."""
    processes: int = Field(default=1, ge=0, le=1024)
    """That draw or read images beside the training; 0: the training does it itself."""
    checkpoint_steps: int = Field(default=500, ge=1)

    @model_validator(mode="after")
    def _possible(self) -> Plan:
        if self.size % 32:
            raise ValueError("size is a multiple of 32")
        if self.fresh > self.batch:
            raise ValueError("fresh is at most batch")
        if self.memory < self.batch:
            raise ValueError("memory is at least batch")
        if self.kind == "classifier" and self.phantoms is None:
            raise ValueError(
                "a small classifier is trained on phantoms: add a table [phantoms], or leave "
                "kind out to fine-tune one with the tables of datasets"
            )
        if (self.kind == "segmenter" and self.phantoms is None) != bool(self.labels):
            raise ValueError("labels are the structures of a segmenter that is trained with a dataset")
        return self


def packaged() -> dict[str, Path]:
    """Return the recipes that are installed with the program, by name."""
    folder = Path(str(files("dicom_config").joinpath("phantom")))
    return {f"{PACKAGED}{path.stem}": path for path in sorted(folder.glob("*.toml"))}


def found(recipe: Path) -> Path:
    """Return the file of a recipe: of one that is installed by its name, else the path itself."""
    return recipe if recipe.exists() else packaged().get(str(recipe), recipe)


def is_one(recipe: Path | None) -> bool:
    """Whether a file is such a plan, and not the recipe of a classifier that is fine-tuned."""
    if recipe is None:
        return False
    try:
        return "kind" in tomllib.loads(recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # whoever reads it as a recipe says what is wrong


def load(file: Path, **given: Any) -> Plan:
    """Read a plan.

    Parameters
    ----------
    file
        TOML whose keys are those of `Plan`.
    given
        Keys that win over the file's; None: not given.

    Raises
    ------
    ConfigError
        With one line for each thing that is wrong.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}): name a recipe in TOML") from error
    except ValueError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from error
    options = {key: value for key, value in given.items() if value is not None}
    try:
        return Plan(**table | options)
    except ValidationError as error:
        lines = [f"{file}: {complaint(Plan, one)}" for one in error.errors()]
        raise ConfigError(*lines) from error

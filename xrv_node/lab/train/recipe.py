"""What a training is told: the keys of a recipe's TOML file and of its checkpoint."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from xrv_node.errors import ConfigError
from xrv_node.settings.complaints import complaint
from xrv_node.settings.section import Section

SCRATCH = "scratch"
"""An `init` that draws all weights."""

ONE_VS_ALL = "one-vs-all:"
"""What a `task` of one finding begins with."""


class Recipe(Section):
    """How a classifier is trained. Same recipe, tables and machine: same weights.

    Learning rate, optimiser, batch, task weights and augmentation are those that the released classifiers
    were trained with (torchxrayvision, ``scripts/train_model.py`` and ``train_utils.py``). What is other here
    stands in ``docs/training.md``.
    """

    init: str = Field(default="densenet121-res224-all", min_length=1)
    """Where the weights come from: a network of `models list`, ``scratch``, or a file of torchvision's for
    ImageNet (``.pth``)."""
    network: Literal["densenet121", "resnet50_classifier"] = "densenet121"
    """The architecture, where `init` does not name it."""
    task: str = Field(default="multi", pattern=r"^(multi|one-vs-all:.+)$")
    """``multi``, or ``one-vs-all:Pneumothorax``: that finding against all images known to be without."""
    labels: tuple[str, ...] = ()
    """Which findings to train; empty: all that are both present and absent in the training part."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of the split, of new weights, of the order of images and of their augmentation."""
    valid_share: float = Field(default=0.1, gt=0, lt=1)
    """Part of the images that stops the training and gives the operating points."""
    test_share: float = Field(default=0.2, gt=0, lt=1)
    """Part of the images that the figures are measured on, and nothing else."""
    frozen_epochs: int = Field(default=1, ge=0, le=1000)
    """With all but the last layer frozen; none from scratch."""
    epochs: int = Field(default=20, ge=0, le=1000)
    """With all layers, at most."""
    patience: int = Field(default=5, ge=1)
    """Epochs without a better validation AUC after which the training ends."""
    batch: int = Field(default=64, ge=1, le=4096)
    frozen_learning_rate: float = Field(default=1e-3, gt=0, le=10)
    """Peak of the one-cycle schedule while only the last layer is trained."""
    learning_rate: float | Literal["find"] = Field(default=1e-3)
    """The same for all layers; ``find``: what the learning-rate finder suggests."""
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    """Of kernels, decoupled from the gradient (AdamW; torch's default). The released classifiers had 1e-5 in
    Adam's gradient, which is another quantity: decoupled, so little would do nothing."""
    clip_norm: float = Field(default=1.0, gt=0)
    """The norm that gradients are cut down to."""
    class_weights: bool = True
    """Weigh presence and absence of a finding so that both count as much (``loss.class_weights``)."""
    task_weights: bool = True
    """Weigh rare findings up, as torchxrayvision (``loss.task_weights``)."""
    rotation: float = Field(default=45, ge=0, le=180)
    """Degrees, to either side."""
    translation: float = Field(default=0.15, ge=0, le=1)
    """Of the image's side, each way."""
    scaling: float = Field(default=0.15, ge=0, lt=1)
    """Up and down from 1."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the forward pass; ``auto``: bfloat16 on a GPU that has it, else float32."""
    checkpoint_steps: int = Field(default=500, ge=1)
    """Steps between checkpoints within an epoch; there is one after each epoch anyway."""

    @model_validator(mode="after")
    def _possible(self) -> Recipe:
        if self.valid_share + self.test_share >= 1:
            raise ValueError("valid_share and test_share leave nothing to train on")
        if self.finding and self.labels:
            raise ValueError("labels and a one-vs-all task exclude one another")
        if not self.epochs and not (self.frozen_epochs and self.init != SCRATCH):
            raise ValueError("epochs and frozen_epochs leave nothing to do")
        if isinstance(self.learning_rate, float) and not 0 < self.learning_rate <= 10:
            raise ValueError('learning_rate is above 0 and at most 10, or "find"')
        return self

    @property
    def finding(self) -> str:
        """The finding of a one-vs-all task; else empty."""
        return self.task.removeprefix(ONE_VS_ALL) if self.task.startswith(ONE_VS_ALL) else ""


def load(file: Path | None = None, **given: Any) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    file
        TOML whose keys are those of `Recipe`; None: none.
    given
        Keys that win over the file's; None: not given.

    Raises
    ------
    ConfigError
        With one line for each thing that is wrong.
    """
    table: dict[str, Any] = {}
    if file is not None:
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{file}: cannot be read ({error.strerror}): name a recipe in TOML") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: not valid TOML: {error}") from error
    options = {key: value for key, value in given.items() if value is not None}
    try:
        return Recipe(**table | options)
    except ValidationError as error:
        lines = [
            complaint(Recipe, one)
            if file is None or options.keys() & one["loc"]
            else f"{file}: {complaint(Recipe, one)}"
            for one in error.errors()
        ]
        raise ConfigError(*lines) from error

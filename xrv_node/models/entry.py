"""What the node knows of one network, and the table of the released ones, ``dicom_config/models.toml``.

Imports nothing heavy.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from xrv_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from xrv_node.values import Role

Checkpoint = Literal["tensors", "lightning", "members", "program"]
"""``tensors``: a state dict or a whole module. ``lightning``: a trainer's checkpoint, with much that is not
weights. ``members``: a zip of checkpoints. ``program``: TorchScript, network and weights in one."""


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """Thresholds of each head on the sigmoid's scale, in (0, 1); NaN if untrained, empty if unknown."""

    thresholds: tuple[float, ...]
    """The highest sum of sensitivity and specificity."""
    ppv80: tuple[float, ...]
    """Where precision first exceeds 0.8."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One network with one set of released weights."""

    name: str
    """As torchxrayvision calls it, e.g. ``densenet121-res224-all``."""
    role: Role
    network: str
    """The architecture, a key of ``architectures.ARCHITECTURES``."""
    input_size: int
    """Rows and columns of the input that the weights were trained on."""
    licence: str
    """SPDX identifier of the weights' licence."""
    url: str
    """Where the file was released; empty for a network that was trained here."""
    file: str
    """The released file's name."""
    training_data: tuple[str, ...]
    cautions: tuple[str, ...]
    """What a user must know, one sentence each."""
    aliases: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """What each output channel stands for; empty string for a head that was not trained. Empty: no labels."""
    thresholds: tuple[float, ...] = ()
    """Operating point of each head on the sigmoid's scale, in (0, 1); NaN for an untrained head."""
    ppv80: tuple[float, ...] = ()
    """Where each head's precision first exceeds 0.8, as ``thresholds``; published for two networks."""
    published_thresholds: tuple[float, ...] = ()
    """``thresholds`` as torchxrayvision applies them, where those are on the wrong scale."""
    published_ppv80: tuple[float, ...] = ()
    """``ppv80``, likewise."""
    calls: bool = True
    """Whether a score says that a finding is there. False for a network that was trained here and told none
    from chance: its scores are plain sigmoids, nothing is called by them, and no node runs it."""
    phantom: bool = False
    """Whether it was trained on phantoms: it answers for those alone, and only as part of the phantom set."""
    site_thresholds: tuple[tuple[str, float], ...] = ()
    """As in ``ModelIdentity``; empty in the catalogue."""
    checkpoint: Checkpoint = "tensors"
    """How the released file wraps its tensors, which says how it is read (``convert``)."""
    settings_url: str | None = None
    """Of a second file, beside the first, that holds the network's dimensions."""
    untrained: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Dimensions of an untrained network that stands in for it in tests, where the file holds them."""
    status: str = ""
    """What is special about getting, running or using it; mostly nothing."""
    mirror: str | None = None
    """A second source of the same file."""
    sha256: str | None = None
    """Of the released file, where known."""
    bytes: int | None = None
    """Size of the released file, where known."""

    @property
    def pullable(self) -> bool:
        """Whether the file can be downloaded from ``sources``; else its user gets it and imports it."""
        return bool(self.url) and self.checkpoint != "members"

    @property
    def buildable(self) -> bool:
        """Whether its layout is known without its file, so that an untrained one can stand in for it."""
        return self.checkpoint != "program"

    @property
    def sources(self) -> tuple[str, ...]:
        """Addresses of the released file, in the order in which they are tried."""
        return (self.url,) if self.mirror is None else (self.url, self.mirror)

    @property
    def trained_heads(self) -> tuple[tuple[str, int], ...]:
        """``(label, output channel)`` of the heads that mean something.

        A head without a label or without an operating point was never trained on: its output is absent from
        results, never a number.
        """
        return tuple(
            (label, index)
            for index, label in enumerate(self.labels)
            if label and not (self.thresholds and math.isnan(self.thresholds[index]))
        )

    def operating_points(self, *, published: bool = False) -> OperatingPoints:
        """Return the operating points, or, if ``published``, those that torchxrayvision applies; in either
        case the site's where it set its own."""
        theirs = published and bool(self.published_thresholds)
        own = dict(self.site_thresholds)
        thresholds = self.published_thresholds if theirs else self.thresholds
        return OperatingPoints(
            tuple(own.get(label, t) for label, t in zip(self.labels, thresholds, strict=False)),
            self.published_ppv80 if theirs else self.ppv80,
        )

    def with_thresholds(self, thresholds: Mapping[str, float]) -> ModelEntry:
        """Return the network with a site's own operating points in place of the published ones.

        Parameters
        ----------
        thresholds
            By finding, on the sigmoid's scale, in (0, 1), measured with this network; a finding that is not
            named keeps its published point.

        Raises
        ------
        ConfigError
            A finding that the network was not trained on, or a number that is no operating point.
        """
        trained = [label for label, _ in self.trained_heads] if self.thresholds else []
        for label, threshold in thresholds.items():
            if label not in trained:
                accepted = ", ".join(trained) or "none, for its scores are plain sigmoids"
                raise ConfigError(
                    f"models.thresholds.{label}: {self.name} was not trained on it; accepted: {accepted}"
                )
            if not 0 < threshold < 1:
                raise ConfigError(f"models.thresholds.{label}: {threshold:g} is not between 0 and 1")
        ordered = tuple((label, float(thresholds[label])) for label in trained if label in thresholds)
        return replace(self, site_thresholds=ordered)

    def weights_path(self, directory: Path) -> Path:
        """Where the converted weights lie in the model directory."""
        return directory / f"{self.name}.safetensors"


def _entry(row: dict[str, Any]) -> ModelEntry:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return ModelEntry(**values)


@cache
def released() -> tuple[ModelEntry, ...]:
    """Every network that can be run here, in the order of the table."""
    text = files("dicom_config").joinpath("models.toml").read_text(encoding="utf-8")
    return tuple(_entry(row) for row in tomllib.loads(text)["model"])

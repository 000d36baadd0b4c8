"""The JSON of commands about networks, datasets and images: its fields, and what they mean.

``docs/json.md`` is made of these.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import TypedDict


class VerifiedModel(TypedDict, total=False):
    """Whether weights are whole; where they are, with all fields of weights too."""

    name: str
    """Of the network."""
    whole: bool
    """Whether they are what was imported."""
    trusted_by: str
    """The published digest, or the first import."""
    why: str
    """What is wrong; only where something is."""


class LeftOut(TypedDict):
    """A file that was not used."""

    path: Path
    """Where it is."""
    why: str
    """Why."""


class FittedGate(TypedDict):
    """What the site's own images stay within."""

    model_set: str
    """Digest of the models that it holds for."""
    resampler: str
    """How the images were brought to size."""
    quantile: float
    """The part of such images that is expected to stay within each limit."""
    images: int
    """How many were fitted on."""
    error: float
    """Highest mean absolute error of the autoencoder."""
    ssim: float
    """Lowest structural similarity."""
    file: Path
    """Where it is kept."""
    left_out: list[LeftOut]
    """Files that could not be used."""


class MismatchLimit(TypedDict):
    """How far one attribute's network is from the headers of a site's own images."""

    images: int
    """How many headers tell it."""
    median: float
    """Of the distances: differences of logits (negative: the network agrees), of age years."""
    limit: float
    """For ``[models.mismatch]``."""
    beyond: list[Path]
    """Images that are further off, the furthest first."""


class FittedMismatch(TypedDict):
    """Beyond which limits a picture does not look like what its header says."""

    quantile: float
    """The part of such images that is expected to stay within each limit."""
    limits: dict[str, MismatchLimit]
    """By attribute: ``sex``, ``age``, ``view``."""
    left_out: list[LeftOut]
    """Files that could not be used."""


class VerifiedDataset(TypedDict):
    """Whether a dataset's images are there and whole."""

    dataset: str
    """Its name."""
    images: int
    """How many its table names."""
    problems: list[dict[str, str]]
    """Each with ``image`` and ``problem``."""
    notes: list[str]
    """What was left out or changed on reading."""


class DatasetNumbers(TypedDict):
    """What a dataset holds."""

    dataset: str
    """Its name."""
    images: int
    """How many."""
    patients: int | None
    """How many; null where that is not published."""
    views: dict[str, int]
    """Images by view."""
    sex: dict[str, int]
    """Images by sex."""
    age_years: dict[str, Any]
    """``min``, ``mean``, ``max``, and how many are ``unknown``."""
    with_masks: int
    """Images with masks."""
    notes: list[str]
    """What was left out or changed on reading."""
    labels: list[dict[str, Any]]
    """Each ``label`` with how many are ``present``, ``absent`` and ``unknown``, and its ``prevalence``; with
    its ``mean`` where it is no yes or no."""


class ClassifiedImage(TypedDict):
    """What a network says of one image."""

    file: str
    """Its path."""
    scores: dict[str, float]
    """By label; 0.5 is the operating point."""
    sigmoids: dict[str, float]
    """The network's own outputs."""
    present: tuple[str, ...]
    """Labels that count as present under ``rule``."""
    note: str
    """What to mind with this image."""


class Classifications(TypedDict):
    """What a network says of files."""

    notice: str
    """What all of it bears: it is not for diagnosis."""
    model: dict[str, Any] | None
    """Which network, with its digest."""
    resampler: str | None
    """How the images were brought to size."""
    rule: str | None
    """When a label counts as present."""
    images: list[ClassifiedImage]
    """Each image."""
    failed: list[dict[str, Any]]
    """Each ``file`` that could not be read, and ``why``: a reason."""


class Acceptance(TypedDict):
    """The protocol of phantoms through a node."""

    accepted: bool
    """Whether all of it is as it should be."""
    header: dict[str, Any]
    """What was tried, by whom, where and when (``began``, a time)."""
    checks: list[dict[str, Any]]
    """What holds for all cases: each with its ``name``, whether it is good, and what it says."""
    cases: list[dict[str, Any]]
    """Each phantom: what was sent, expected and arrived, its findings and masks beside the truth."""


class Demonstration(TypedDict):
    """What the demo did."""

    directory: Path
    """Where everything is kept."""
    commissioning: bool
    """Whether the node answered for phantoms alone."""
    sent: int
    """Files that were taken."""
    refused: tuple[str, ...]
    """Files that were not, each with why."""
    images: list[dict[str, Any]]
    """What came back for each image."""
    objects: tuple[Path, ...]
    """What the archive received."""
    reports: dict[str, dict[str, Any]]
    """``path`` and ``headline`` of each report, by Study Instance UID."""
    protocol: Acceptance | None
    """Of the phantoms; null where files of the user's own were sent."""
    page: Path | None
    """The protocol, to be read."""

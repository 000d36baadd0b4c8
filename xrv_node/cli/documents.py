"""The JSON of commands that print more than rows of the record (``db.rows``): its fields, and what they mean.

``docs/json.md`` is made of these.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from xrv_node.db.rows import QueuedResult
from xrv_node.reasons import Reason


class Status(TypedDict):
    """What the node is doing."""

    name: str
    """``node.name``."""
    version: str
    """Of xrv-node."""
    serving: bool
    """Whether it runs here."""
    receives: str
    """AE title, host and port."""
    commissioning: bool
    """Whether it was last started to answer for phantoms alone."""
    refuses: Reason | None
    """Why objects are refused for lack of room."""
    free_bytes: int
    """Of the file system of ``node.data_dir``."""
    studies: dict[str, int]
    """How many there are, by state."""
    instances: dict[str, int]
    """The same of images."""
    jobs: dict[str, int]
    """By kind and state, e.g. ``deliver queued``."""
    deliveries: dict[str, int]
    """By destination and state, e.g. ``pacs: waiting``."""
    audit_events: int
    """Of the trail."""
    amiss: list[dict[str, str]]
    """What waits for a person: each with what it ``says`` and the ``remedy``."""


class Sent(TypedDict):
    """A file that was sent."""

    path: Path
    """Where it is."""
    good: bool
    """Whether it was taken."""
    says: str
    """The peer's status, or why it was not sent."""


class Checked(TypedDict):
    """A destination that was tried."""

    name: str
    """Its name."""
    good: bool
    """Whether results would arrive."""
    says: list[str]
    """What it takes, or what is wrong, a line each."""


class Retried(TypedDict):
    """Jobs that are queued again."""

    retried: list[int]
    """Their numbers."""


class Cancelled(TypedDict):
    """Jobs that were given up."""

    cancelled: list[int]
    """Their numbers."""


class Resent(TypedDict):
    """What is sent again."""

    queued: list[QueuedResult]
    """Each result to each destination."""


class Reanalysed(TypedDict):
    """A study that was analysed again."""

    study: str
    """Study Instance UID."""
    state: str
    """Its state."""
    says: str
    """What is new."""


class Reprocessed(TypedDict):
    """What was analysed again."""

    studies: list[Reanalysed]
    """Those that were."""
    refused: dict[str, str]
    """Why others were not, by Study Instance UID."""


class Verified(TypedDict):
    """Whether the trail is whole."""

    whole: bool
    """Whether no event was changed or removed."""
    events: int | None
    """How many there are; null where it is broken."""
    why: str | None
    """Where it is broken."""
    removed: dict[str, Any] | None
    """What retention has removed: ``through`` which event, its ``hash``, the ``file`` that has them."""
    last: str
    """The hash of the newest event."""


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

"""The values that travel between the rooms. All frozen: a room hands a value on and never changes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from xrv_node.languages import ENGLISH
from xrv_node.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

OPERATING_POINT = 0.5
"""The score at which a finding counts as present. torchxrayvision rescales every score so that the
threshold of its head (Youden's index on held-out training data, or the site's own) lies here
(``models.op_norm``)."""

VERIFICATION = "1.2.840.10008.1.1"
"""Verification SOP Class: what a C-ECHO is for (PS3.4 A.4)."""
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model SOP Class (PS3.4 J.3.5)."""

PHANTOM_WORDS = "PHANTOM MODEL SET - NOT FOR PATIENT IMAGES"
"""What every object, page and line says that comes from networks trained on phantoms."""

Point = tuple[float, float]
"""(column, row) in pixels of the source image, as in DICOM Graphic Data: the top left pixel's centre is
(0.5, 0.5), its outer corner (0, 0) (PS3.3 C.18.6.1.1)."""


class Verdict(StrEnum):
    """What the frontal filter says of an image."""

    FRONTAL = "frontal"
    LATERAL = "lateral"
    NOT_CHEST = "not_chest"
    NOT_SUITABLE = "not_suitable"
    UNKNOWN = "unknown"
    PHANTOM = "phantom"
    """Frontal but for what it says of itself: that it is a phantom's, for quality control. It is refused as
    not suitable where its pixels do not bear the phantoms' mark (``phantom.recognition``)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One attribute that spoke for a verdict."""

    attribute: str
    """DICOM keyword, e.g. ``ViewPosition``."""
    value: str
    indicates: str
    """What the value stands for, e.g. ``frontal``."""


@dataclass(frozen=True, slots=True)
class FrontalDecision:
    """Whether an image is analysed, and why."""

    verdict: Verdict
    view: str | None
    """``PA``, ``AP``, ``LL``, ``RL`` ... as in View Position (0018,5101), where the header tells."""
    reasons: tuple[Reason, ...]
    """For the audit trail and the report, strongest first. Never empty."""
    evidence: tuple[Evidence, ...] = ()


SHARED_UID, WITHHELD_FOR_UID = "same-uid-other-content", "same-uid-withheld"
"""Keys of the reasons of an object under whose SOP Instance UID another one came before, with other content;
the second: of an image that would have been analysed but for that."""


SetRole = Literal["classifier", "segmenter", "autoencoder"]
"""What each network of a model set is there for."""
Role = Literal[SetRole, "attribute"]
SET_ROLES: tuple[SetRole, ...] = get_args(SetRole)
"""In the order in which the three are named everywhere."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """One network with its weights, as it is named in every result."""

    role: Role
    name: str
    """As torchxrayvision calls it, e.g. ``densenet121-res224-all``."""
    sha256: str
    """Digest of the tensors that were loaded (seeded weights have one too)."""
    site_thresholds: tuple[tuple[str, float], ...] = ()
    """By finding, the operating points that the site set in place of the published ones, on the sigmoid's
    scale, in (0, 1), in the order of the network's heads."""


@dataclass(frozen=True, slots=True)
class ModelSet:
    """The networks that produced a result, together."""

    classifier: ModelIdentity
    segmenter: ModelIdentity
    autoencoder: ModelIdentity
    phantom: bool = False
    """Networks that were trained on phantoms, and answer for those alone (`PHANTOM_WORDS`)."""

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """The three identities in the order classifier, segmenter, autoencoder."""
        return (self.classifier, self.segmenter, self.autoencoder)

    @property
    def digest(self) -> str:
        """Hex SHA-256 over names, weights and the site's operating points: the identity of the set in derived
        UIDs. Without such points it is ``weights_digest``."""
        return self._digest(f"{m.role} {label} {t!r}" for m in self.models for label, t in m.site_thresholds)

    @property
    def weights_digest(self) -> str:
        """Hex SHA-256 over names and weights: what errors of reconstruction and speeds belong to, which no
        operating point changes."""
        return self._digest(())

    def _digest(self, points: Iterable[str]) -> str:
        lines = [*(f"{m.role} {m.name} {m.sha256}" for m in self.models), *points]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AnalysisInput:
    """One image to analyse."""

    sop_instance_uid: str
    path: Path
    """A file that ``radiograph.read.read`` takes."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the square that the networks saw lies in the source image. All in source pixels."""

    rows: int
    columns: int
    top: int
    left: int
    side: int
    """Rows that the square covers."""
    width: int | None = None
    """Columns that it covers, where pixels are not square; None: as many."""

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns that the square covers."""
        return self.side, self.side if self.width is None else self.width

    @property
    def aspect(self) -> float:
        """Height of a pixel over its width."""
        return self.extent[1] / self.side


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of the classifier on one image."""

    label: str
    """torchxrayvision's name, e.g. ``Effusion``."""
    score: float
    """Operating-point-normalised, in [0, 1]; not a probability."""
    sigmoid: float
    """The network's own output before the rescaling, in [0, 1]."""
    region: tuple[Point, ...] = ()
    """Closed polygon (first point repeated) around the strongest part of the class activation map; empty
    for a finding below its operating point."""

    @property
    def present(self) -> bool:
        """Whether the score reaches the operating point."""
        return self.score >= OPERATING_POINT


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What the networks say of one image."""

    sop_instance_uid: str
    model_set: ModelSet
    findings: tuple[Finding, ...]
    """In the classifier's label order; labels that it was not trained on are absent."""
    structures: tuple[str, ...]
    """Names of the masks' channels, torchxrayvision's, in channel order."""
    masks: NDArray[np.bool_]
    """``[len(structures), n, n]`` over the square of ``frame``; channels may overlap."""
    frame: Frame
    reconstruction_error: float
    """Mean absolute difference between input and reconstruction on the [-1024, 1024] scale."""
    embedding: NDArray[np.float32]
    """The autoencoder's latent averaged over space, ``[C]``: 512 numbers of ``101-elastic``."""
    resampler: str
    """How the pixels were brought to the networks' sizes; it moves scores (say so with the result)."""
    ssim: float = float("nan")
    """Structural similarity of input and reconstruction, at most 1 (``analyse.gate.ssim``)."""
    quality: tuple[Reason, ...] = ()
    """What is unusual about the image, for the reader of its findings."""
    refused: Reason | None = None
    """Why its findings must not be reported; the image is unlike those the site fitted on."""
    maps: NDArray[np.float32] | None = None
    """Class activation maps ``[len(findings), h, w]``, at least 0, over the square of ``frame``, as coarse as
    the classifier's last layer; None in analyses of before they were kept."""
    picture: NDArray[np.uint8] | None = None
    """The whole image as it is displayed (0 black, 255 white), reduced; None like ``maps``."""
    mark: float | None = None
    """Of a phantom, the z of its mark (``phantom.mark``); not kept in the file."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageOutcome:
    """One image of a study as the report sees it."""

    header: Dataset
    """The source's attributes without pixel data."""
    decision: FrontalDecision
    analysis: Analysis | None = None
    error: Reason | None = None
    """Why an image that should have been analysed was not; without patient data."""


@dataclass(frozen=True, slots=True, eq=False)
class StudyOutcome:
    """A closed study, ready to be reported."""

    study_instance_uid: str
    images: tuple[ImageOutcome, ...]
    """Every object of the study that is of one patient, in the order (series, instance number, SOP Instance
    UID)."""
    model_set: ModelSet
    closed_at: datetime
    """When the study was closed, aware; it dates the results, so that a repeated run gives the same ones."""
    predecessors: dict[str, Predecessor] = field(default_factory=dict)
    """By result kind: the report that this one supersedes."""
    priors: tuple[Prior, ...] = ()
    """Earlier studies of the patient with scores that compare, the newest first."""
    remarks: tuple[Reason, ...] = ()
    """What a reader must know of the study as a whole (`jobs.outcomes`)."""
    searched: Reason | None = None
    """How earlier studies were looked for, where none was found or not all could be looked for."""
    rates: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By label, sensitivity and specificity at the operating point, where the site has measured them."""


@dataclass(frozen=True, slots=True)
class Prior:
    """An earlier study of the same patient, analysed by the same classifier."""

    study_instance_uid: str
    study_date: str
    """As in the source, ``YYYYMMDD``."""
    scores: dict[str, float]
    """By torchxrayvision's label: the highest score among the study's images, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a destination wants what can be made in more than one way; the keys of its table."""

    language: str = ENGLISH
    """Of everything that a person reads in the object (RFC 5646)."""
    seg_geometry: Literal["nominal", "none"] = "nominal"
    """Whether segmentations state a nominal plane, which OHIF needs, or none. Parametric maps always do."""
    seg_type: Literal["binary", "labelmap"] = "binary"


DEFAULT_STYLE = Style()


@dataclass(frozen=True, slots=True)
class Predecessor:
    """An earlier result of the same kind (Predecessor Documents Sequence (0040,A360))."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result object on disk, as ``deliver`` sends it."""

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    path: Path

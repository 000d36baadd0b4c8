"""What was sent, with what is true of it: the one side of the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xrv_node.acceptance.alignment import Mask
from xrv_node.acceptance.cases import Case

COMPARED = ("Left Lung", "Right Lung", "Heart")
"""The structures whose masks are compared: the segmenter's names."""


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedImage:
    """One image that is sent."""

    instance: str
    """SOP Instance UID."""
    study: str
    patient_id: str
    patient_name: str
    rows: int
    columns: int
    path: Path
    """The file that is sent."""
    answered: bool
    """Whether findings, masks and a picture are to come of it."""
    as_patient: bool = False
    """Whether nothing tells it from a patient's: networks for patients, where there are any, answer it; those
    for phantoms never."""
    reason: str = ""
    """Of one that is not to be answered: the key of the reason that its study's report gives; empty: any."""
    findings: Mapping[str, bool] = field(default_factory=dict)
    """By torchxrayvision's label, whether it is drawn; of what there is no truth it has no key."""
    masks: Mapping[str, Mask] = field(default_factory=dict)
    """Of `COMPARED`."""


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedCase:
    """One case with its images."""

    case: Case
    images: tuple[ExpectedImage, ...]

    @property
    def studies(self) -> frozenset[str]:
        """Study Instance UIDs of its images."""
        return frozenset(image.study for image in self.images)


@dataclass(frozen=True, slots=True)
class Sending:
    """How one image went out."""

    instance: str
    says: str
    """The peer's status, or why the image was not sent."""
    good: bool
    at: float
    """When it was taken, in seconds of the clock that `arrived.ArrivedObject.at` is of."""

"""What has come back, read from the objects as any program reads them: the other side of the comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset

from xrv_node.acceptance.alignment import Mask
from xrv_node.attributes import text
from xrv_node.report import codes, read_back
from xrv_node.result_kinds import kind_of
from xrv_node.values import PHANTOM_WORDS, Finding


@dataclass(frozen=True, slots=True, eq=False)
class ArrivedObject:
    """One object at the archive."""

    kind: str
    """Of `result_kinds.KINDS`; empty of an object that is none of the node's."""
    instance: str
    study: str
    patient_id: str
    patient_name: str
    images: frozenset[str]
    """SOP Instance UIDs of the images that it is about."""
    at: float
    """When it was there, in seconds of some steady clock."""
    series: str = ""
    """Series Description."""
    software: str = ""
    """Software Versions: of the node and, in short, of the models."""
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    """Of a ``report``: the findings by SOP Instance UID of the image."""
    reasons: tuple[str, ...] = ()
    """Of a ``report``: why images were not analysed, a sentence each."""
    models: tuple[str, ...] = ()
    """Of a ``report``: the networks with their weights' digests, a line each."""
    regions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of an ``sr``: the findings with a region, by SOP Instance UID of the image."""
    size: tuple[int, int] | None = None
    """Of a ``seg``: rows and columns."""
    masks: Mapping[str, Mask] = field(default_factory=dict)
    """Of a ``seg``: by structure."""
    supersedes: frozenset[str] = frozenset()
    """SOP Instance UIDs of the documents in whose place it stands."""
    damage: str = ""
    """Why it cannot be read, where it cannot."""

    @property
    def of_phantom_set(self) -> bool:
        """Whether it says that the networks for phantoms made it."""
        return PHANTOM_WORDS in self.series


def read(dataset: Dataset, at: float) -> ArrivedObject:
    """Read one object; of one that is damaged it says so.

    Parameters
    ----------
    dataset
        With file meta information.
    at
        When it was there.
    """
    content: dict[str, Any] = {}
    damage = ""
    try:
        kind = kind_of(dataset) or ""
        content = _CONTENT[kind](dataset) if kind in _CONTENT else {}
        images = frozenset(_images(dataset))
    except (
        Exception
    ) as error:  # of a damaged object pydicom and highdicom raise errors without a class in common
        kind, images, damage = "", frozenset(), type(error).__name__
    return ArrivedObject(
        kind=kind,
        instance=text(dataset, "SOPInstanceUID"),
        study=text(dataset, "StudyInstanceUID"),
        patient_id=text(dataset, "PatientID"),
        patient_name=text(dataset, "PatientName"),
        images=images,
        at=at,
        series=text(dataset, "SeriesDescription"),
        software=text(dataset, "SoftwareVersions"),
        damage=damage,
        **content,
    )


def _report(dataset: Dataset) -> dict[str, Any]:
    return {
        "findings": read_back.findings(dataset),
        "reasons": tuple(read_back.not_analysed(dataset)),
        "models": tuple(read_back.texts(dataset, codes.MODEL)),
        "supersedes": read_back.predecessors(dataset),
    }


def _regions(dataset: Dataset) -> dict[str, Any]:
    regions = read_back.regions(dataset)
    return {
        "regions": {image: frozenset(found) for image, found in regions.items()},
        "supersedes": read_back.predecessors(dataset),
    }


def _segmentation(dataset: Dataset) -> dict[str, Any]:
    _, names, masks = read_back.masks(dataset)
    return {
        "size": (int(dataset.Rows), int(dataset.Columns)),
        "masks": dict(zip(names, masks, strict=True)),
    }


_CONTENT = {"report": _report, "sr": _regions, "seg": _segmentation}


def _images(dataset: Dataset) -> Iterator[str]:
    """The images that it refers to; of documents it supersedes it is not about."""
    for element in dataset:
        if element.VR == "SQ" and element.keyword != "PredecessorDocumentsSequence":
            for item in element.value:
                if uid := item.get("ReferencedSOPInstanceUID"):
                    yield str(uid)
                yield from _images(item)

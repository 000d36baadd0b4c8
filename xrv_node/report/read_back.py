"""Results read back from the objects themselves: what another program gets from what the node sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.sr.coding import Code

from xrv_node.report import codes
from xrv_node.values import Finding, Point


def findings(report: Dataset) -> dict[str, tuple[Finding, ...]]:
    """Read the scores from a readable report.

    Parameters
    ----------
    report
        A ``report`` object of this node (Enhanced SR).

    Returns
    -------
    dict
        By SOP Instance UID of the image: its findings in the report's order, without regions. The report
        holds no sigmoid: it is NaN.
    """
    labels = _labels()
    found: dict[str, tuple[Finding, ...]] = {}
    for section in report.ContentSequence:
        items = list(_below(section))
        uids = [i.UID for i in items if _name(i) == codes.IMAGE_UID.value]
        scores = [
            Finding(labels[_name(i)], _score(i), float("nan"))
            for i in items
            if i.ValueType == "NUM" and _name(i) in labels
        ]
        if uids:
            found[str(uids[0])] = tuple(scores)
    return found


def texts(report: Dataset, name: Code) -> list[str]:
    """Read the values of all TEXT items of a concept name, in the report's order."""
    return [str(i.TextValue) for i in _below(report) if i.ValueType == "TEXT" and _name(i) == name.value]


def not_analysed(report: Dataset) -> list[str]:
    """Read from a readable report why images were not analysed, a sentence each."""
    return [
        str(item.TextValue)
        for section in report.ContentSequence
        if _name(section) == codes.NOT_ANALYSED.value
        for item in _below(section)
        if item.ValueType == "TEXT"
    ]


def predecessors(report: Dataset) -> frozenset[str]:
    """Read the SOP Instance UIDs of the documents that a report supersedes (PS3.3 table C.17-2)."""
    return frozenset(
        str(instance.ReferencedSOPInstanceUID)
        for study in report.get("PredecessorDocumentsSequence", [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    )


def headline(report: Dataset) -> str:
    """Read the line that stands first in a readable report."""
    impression = (i for i in _below(report) if _name(i) == dicom_codes.DCM.Impression.value)
    return str(next(impression).TextValue)


def regions(report: Dataset) -> dict[str, dict[str, tuple[Point, ...]]]:
    """Read the outlines from a regions report.

    Parameters
    ----------
    report
        An ``sr`` object of this node (Comprehensive 3D SR, TID 1500).

    Returns
    -------
    dict
        By SOP Instance UID of the image, then by label: a closed polygon in the image's pixels. A finding
        whose region could not be drawn has none.
    """
    labels = _labels()
    found: dict[str, dict[str, tuple[Point, ...]]] = {}
    for group in _below(report):
        parts = {i.ValueType: i for i in group.get("ContentSequence", []) if i.ValueType in ("SCOORD", "NUM")}
        drawn = codes.NO_REGION.value not in map(_name, group.get("ContentSequence", []))
        if drawn and len(parts) == 2 and _name(parts["NUM"]) in labels:
            points = np.array(parts["SCOORD"].GraphicData, dtype=float).reshape(-1, 2)
            image = parts["SCOORD"].ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            outline = tuple((float(x), float(y)) for x, y in points)
            found.setdefault(str(image), {})[labels[_name(parts["NUM"])]] = outline
    return found


def outlined(found: tuple[Finding, ...], outlines: dict[str, tuple[Point, ...]]) -> tuple[Finding, ...]:
    """Put each finding's outline to it."""
    return tuple(replace(f, region=outlines.get(f.label, ())) for f in found)


def picture(dataset: Dataset) -> tuple[str, NDArray[np.uint8]]:
    """Return the SOP Instance UID of the image that a Secondary Capture is about, and its pixels, uint8
    ``[rows, columns, 3]``, RGB."""
    return str(dataset.SourceImageSequence[0].ReferencedSOPInstanceUID), dataset.pixel_array


def masks(segmentation: Dataset) -> tuple[str, tuple[str, ...], NDArray[np.bool_]]:
    """Read the structures from a segmentation.

    Parameters
    ----------
    segmentation
        A ``seg`` object of this node in either encoding, with file meta information.

    Returns
    -------
    str, tuple of str, ndarray
        SOP Instance UID of the image, the structures' names, and masks ``[structures, rows, columns]`` in the
        image's own pixels.

    Raises
    ------
    Exception
        What pydicom and highdicom raise of a damaged object, which has no class in common.
    """
    import highdicom as hd

    made = hd.seg.Segmentation.from_dataset(segmentation, copy=False)
    ((_, _, image),) = made.get_source_image_uids()
    numbers = [segment.SegmentNumber for segment in made.SegmentSequence]
    stack = made.get_pixels_by_source_instance([image], segment_numbers=numbers, dtype=np.bool_)[0]
    targets = {
        (row.code.value, row.laterality.value if row.laterality else None): name
        for name, row in codes.structures().items()
    }
    names = tuple(
        # a paired structure of unverified side has no side in its code: the label ends in the network's name
        targets.get(_property(segment)) or str(segment.SegmentLabel).rpartition(": ")[2]
        for segment in made.SegmentSequence
    )
    return str(image), names, np.moveaxis(stack, -1, 0)


def _property(segment: Dataset) -> tuple[str, str | None]:
    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    modifiers = kind.get("SegmentedPropertyTypeModifierCodeSequence")
    return str(kind.CodeValue), str(modifiers[0].CodeValue) if modifiers else None


def _below(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from _below(child)


def _name(item: Dataset) -> str:
    concepts = item.get("ConceptNameCodeSequence")
    return str(concepts[0].CodeValue) if concepts else ""


def _score(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].FloatingPointValue) / 100


def _labels() -> dict[str, str]:
    """torchxrayvision's label by the code value of its score, of a patient or of a phantom."""
    return {
        code.value: label
        for label, row in codes.findings().items()
        for code in (row.score, row.score_phantom)
    }

"""What a readable report says, an observation each: read from the object that is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from xrv_node.attributes import items, text
from xrv_node.hl7.mapping import Mapping
from xrv_node.report import codes
from xrv_node.values import OPERATING_POINT

Coded = tuple[str, ...]
"""Identifier, text and coding system, and the same of the alternate where there is one."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One OBX, and what is noted of it."""

    value_type: str
    code: Coded
    value: str
    image: int = 0
    """Number of the answered image that it is of, from 1 (OBX-4); 0: of the study."""
    units: Coded = ()
    reference_range: str = ""
    flag: str = ""
    notes: tuple[str, ...] = ()


def observations(report: Dataset, mapping: Mapping) -> list[Observation]:
    """Read a report.

    Parameters
    ----------
    report
        A ``report`` object of this node (Enhanced SR).

    Returns
    -------
    list of Observation
        The study, then sentences and findings in the report's order.
    """
    found = [Observation("HD", tuple(mapping.observation["study"]), text(report, "StudyInstanceUID"))]
    image = 0
    for section in items(report, "ContentSequence"):
        is_image = _value(section) == dicom_codes.DCM.Findings.value
        image += is_image
        found += _section(section, image if is_image else 0, mapping)
    return found


def _section(section: Dataset, image: int, mapping: Mapping) -> Iterator[Observation]:
    labels, call, finding = _labels(), "", None
    for item in _below(section):
        kind, value = str(item.ValueType), _value(item)
        if kind == "CODE":
            call = _meaning(item.ConceptCodeSequence[0])
        elif kind == "NUM" and value in labels:
            if finding:
                yield finding
            finding = replace(_finding(item, labels[value], mapping), image=image, notes=(call,))
        elif finding and kind == "TEXT" and value == codes.EARLIER.value:
            earlier = f"{_meaning(item.ConceptNameCodeSequence[0])}: {item.TextValue}"
            finding = replace(finding, notes=(*finding.notes, earlier))
        elif kind == "TEXT" and (row := mapping.sentences.get(value)):
            if finding:
                yield finding
            finding = None
            named = (row[0], row[1] or _meaning(item.ConceptNameCodeSequence[0]), row[2])
            yield Observation("TX", named, str(item.TextValue), image)
    if finding:
        yield finding


def _finding(item: Dataset, label: str, mapping: Mapping) -> Observation:
    row, form = codes.finding(label), mapping.finding
    concept, measured = item.ConceptNameCodeSequence[0], item.MeasuredValueSequence[0]
    phantom = concept.CodeValue == row.score_phantom.value
    code: Coded = (str(concept.CodeValue), _meaning(concept), str(concept.CodingSchemeDesignator))
    if not phantom:
        ours = (*code, row.code.value, row.code.meaning, row.code.scheme_designator)
        own = mapping.codes.get(label)
        code = (own[0], own[1] or code[1], own[2]) if own else ours
    present = float(measured.FloatingPointValue) >= OPERATING_POINT * 100
    return Observation(
        form["value_type"],
        code,
        str(measured.NumericValue),
        units=tuple(form["units"]),
        reference_range=form["reference_range"],
        flag="" if phantom else form["present" if present else "below"],
    )


def _labels() -> dict[str, str]:
    """torchxrayvision's label by the code value of its score, of a patient or of a phantom."""
    rows = codes.findings().items()
    return {code.value: label for label, row in rows for code in (row.score, row.score_phantom)}


def _below(item: Dataset) -> Iterator[Dataset]:
    for child in items(item, "ContentSequence"):
        yield child
        yield from _below(child)


def _value(item: Dataset) -> str:
    names = items(item, "ConceptNameCodeSequence")
    return text(names[0], "CodeValue") if names else ""


def _meaning(code: Dataset) -> str:
    return text(code, "CodeMeaning")

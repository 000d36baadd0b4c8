"""What a readable report says, read from the object that is sent: as observations, as text, and of what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from xrv_node.attributes import codes as coded
from xrv_node.attributes import items, text
from xrv_node.hl7.mapping import Mapping
from xrv_node.report import codes
from xrv_node.values import OPERATING_POINT

Coded = tuple[str, ...]
"""Identifier, text and coding system, and the same of the alternate where there is one."""


_WITH_A_FINDING = {code.value for code in (codes.WHERE, codes.NO_REGION, codes.NOTE, codes.EARLIER)} | {
    codes.measurement("CTR").code.value
}


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
        The study, then in the report's order its sentences and, after those of an image, all findings of it.
    """
    found = [Observation("HD", tuple(mapping.observation["study"]), text(report, "StudyInstanceUID"))]
    sections = list(items(report, "ContentSequence"))
    numbers = [one for one in sections if _value(one) == codes.DETAILS.value]
    image = 0
    for section in sections:
        is_image = _value(section) == dicom_codes.DCM.Findings.value
        image += is_image
        if section not in numbers:
            found += _sentences(section, image if is_image else 0, mapping)
        if is_image:
            found += _findings(section, numbers[image - 1], image, mapping)
    return found


def words(report: Dataset) -> str:
    """A report as plain text: its headings with what is below them, but not the numbers of each image."""
    sections = (one for one in items(report, "ContentSequence") if one.ValueType == "CONTAINER")
    return "\n\n".join("\n".join(_lines(one)) for one in sections if _value(one) != codes.DETAILS.value)


def _lines(item: Dataset) -> Iterator[str]:
    name = _meaning(item.ConceptNameCodeSequence[0])
    match item.ValueType:
        case "CONTAINER":
            yield name.upper()
        case "TEXT":
            yield f"{name}: {item.TextValue}"
        case "CODE":
            yield f"{name}: {_meaning(item.ConceptCodeSequence[0])}"
        case "NUM":
            measured = item.MeasuredValueSequence[0]
            unit = measured.MeasurementUnitsCodeSequence[0]
            yield f"{name}: {measured.NumericValue} {_meaning(unit)}"
    for child in items(item, "ContentSequence"):
        yield from _lines(child)


def requested(report: Dataset, mapping: Mapping) -> Coded:
    """The procedure that was asked for: a code, or a text behind an empty one."""
    asked = next(iter(items(report, "ReferencedRequestSequence")), Dataset())
    found = coded(asked, "RequestedProcedureCodeSequence") or coded(report, "ProcedureCodeSequence")
    if found:
        scheme, _, value = found[0].name.partition(":")
        return (value, found[0].meaning, scheme)
    if said := text(asked, "RequestedProcedureDescription") or text(report, "StudyDescription"):
        return ("", said)
    return tuple(mapping.order["service"])


def time_stamp(report: Dataset, what: str) -> str:
    """A time stamp (TS) of the attributes ``<what>Date`` and ``<what>Time``; only the date where the time is
    none."""
    day, time = date(text(report, f"{what}Date")), text(report, f"{what}Time")
    found = re.match(r"([01]\d|2[0-3])[0-5]\d([0-5]\d)?", time) if day else None
    if found is None:
        return day
    zone = re.fullmatch(r"[+-]\d{4}", text(report, "TimezoneOffsetFromUTC"))
    return f"{day}{found[0]}{zone[0] if zone else ''}"


def date(value: str) -> str:
    """A date (DT); empty where it is none."""
    return value if re.fullmatch(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", value) else ""


def _sentences(section: Dataset, image: int, mapping: Mapping) -> Iterator[Observation]:
    for item in _below(section):
        if item.ValueType == "TEXT" and (row := mapping.sentences.get(_value(item))):
            named = (row[0], row[1] or _meaning(item.ConceptNameCodeSequence[0]), row[2])
            yield Observation("TX", named, str(item.TextValue), image)


def _findings(section: Dataset, numbers: Dataset, image: int, mapping: Mapping) -> Iterator[Observation]:
    """All findings of an image, by its numbers; what is noted of each, by what is said of it."""
    labels, notes = _labels(), _notes(section)
    for item in _below(numbers):
        if item.ValueType == "NUM" and (label := labels.get(_value(item))):
            noted = notes.get(label, notes[""])
            yield replace(_finding(item, label, mapping), image=image, notes=noted)


def _notes(section: Dataset) -> dict[str, tuple[str, ...]]:
    """By the label of each finding that is present: its call and what goes with it; by "", the call of all
    others."""
    labels, call, label = _labels(), "", ""
    made: dict[str, tuple[str, ...]] = {"": ("",)}
    for item in _below(section):
        name, value = _meaning(items(item, "ConceptNameCodeSequence")[0]), _value(item)
        if item.ValueType == "CODE":
            call = _meaning(item.ConceptCodeSequence[0])
        elif item.ValueType == "NUM" and value in labels:
            label = labels[value]
            made[label] = (call,)
        elif value in (codes.NEAR.value, codes.NOT_DETECTED.value):
            made[""], label = (name,), ""
        elif label and item.ValueType == "TEXT" and value in _WITH_A_FINDING:
            made[label] = (*made[label], f"{name}: {item.TextValue}")
    return made


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

"""What is searched of a study and a series, from its DICOM JSON, as the columns have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xrv_node.index import normal
from xrv_node.index.levels import key

NAMES = ("PatientName", "ReferringPhysicianName")
REQUESTED = ("ScheduledProcedureStepID", "RequestedProcedureID")
"""Of the items of Request Attributes Sequence."""

Attributes = Mapping[str, Any]


def first(attributes: Attributes, keyword: str) -> str:
    """Return the first value of a text, empty without one."""
    values = attributes.get(key(keyword), {}).get("Value") or [""]
    return "" if values[0] is None or isinstance(values[0], dict) else str(values[0])


def parts(attributes: Attributes, keyword: str) -> list[str]:
    """Return the component groups of the first value of a name; none of what came with another VR."""
    values = attributes.get(key(keyword), {}).get("Value") or [None]
    return (
        [part for part in values[0].values() if isinstance(part, str)] if isinstance(values[0], dict) else []
    )


def study(attributes: Attributes) -> dict[str, str | None]:
    """Return the columns of `StudyRow` that are searched."""
    return {
        "study_date": normal.date(first(attributes, "StudyDate")),
        "study_time": normal.time(first(attributes, "StudyTime")),
        "accession_number": normal.text(first(attributes, "AccessionNumber")),
        "patient_id": normal.text(first(attributes, "PatientID")),
        "patient_birth_date": normal.date(first(attributes, "PatientBirthDate")),
        "study_number": normal.text(first(attributes, "StudyID")),
        "study_description": normal.text(first(attributes, "StudyDescription")),
    }


def series(attributes: Attributes) -> dict[str, Any]:
    """Return the columns of `SeriesRow` that are searched."""
    number = first(attributes, "SeriesNumber")
    digits = number.removeprefix("-")
    return {
        "modality": normal.text(first(attributes, "Modality")),
        "series_number": int(number) if digits.isdecimal() and len(digits) <= 12 else None,
        "series_description": normal.text(first(attributes, "SeriesDescription")),
        "performed_date": normal.date(first(attributes, "PerformedProcedureStepStartDate")),
        "performed_time": normal.time(first(attributes, "PerformedProcedureStepStartTime")),
    }


def names(attributes: Attributes) -> Iterator[tuple[str, str]]:
    """Yield keyword and text of each group of the names of a study."""
    for keyword in NAMES:
        groups = {group for part in parts(attributes, keyword) for group in normal.groups(part)}
        yield from ((keyword, group) for group in sorted(groups))


def of_requests(attributes: Attributes) -> Iterator[tuple[str, str]]:
    """Yield keyword and text of what a series was requested by."""
    items = attributes.get(key("RequestAttributesSequence"), {}).get("Value") or []
    for keyword in REQUESTED:
        texts = {normal.text(first(item, keyword)) for item in items if isinstance(item, dict)}
        yield from ((keyword, text) for text in sorted(texts) if text)


def check(attributes: Attributes) -> None:
    """See that a header can be searched, whatever VRs its attributes came with.

    Raises
    ------
    Exception
        Whatever would otherwise end a search, of all studies.
    """
    study(attributes), series(attributes), list(names(attributes)), list(of_requests(attributes))

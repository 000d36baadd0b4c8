"""What intake reads from a header: what it is of, where it belongs, whether it is analysed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from xrv_node import frontal, priority, reasons
from xrv_node.attributes import items, text
from xrv_node.errors import ImageError, RefusedError
from xrv_node.keyed import KNOWN_BY
from xrv_node.product import MANUFACTURER, MODEL_NAME
from xrv_node.radiograph.header import read_header
from xrv_node.radiograph.header_limits import refuse
from xrv_node.reasons import Reason
from xrv_node.receive.statuses import CANNOT_UNDERSTAND, DOES_NOT_MATCH
from xrv_node.settings.node import FrontalSection
from xrv_node.spool import is_uid
from xrv_node.values import FrontalDecision

AT_ONCE = 4
"""Headers that a process has in memory at once: so many times what one may take is all that they take."""

OWN = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "Manufacturer",
    "ManufacturerModelName", "ContributingEquipmentSequence", "PatientID", "IssuerOfPatientID", "PatientName",
    "PatientBirthDate",
)  # fmt: skip
"""What is looked at beside what the decision does, and is refused where it is too large. The last four are
whose the results are: an object of which nobody can tell that is refused."""

_turns = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is kept of the header: the transaction that records the object parses nothing."""

    study: str
    """Study Instance UID."""
    series: str
    """Series Instance UID."""
    modality: str
    """At most 16 characters (PS3.5 6.2, CS)."""
    known_by: Mapping[str, str]
    """What the row's digests are made of (``keyed.KNOWN_BY``), by column; nothing else is kept of it."""
    study_priority: frozenset[str]
    """What it says of how urgent it is (`priority.of_header`)."""
    is_result: bool
    """Whether some xrv-node made the object: this one, of which the record may be purged, or another. Were it
    an image of its study, the study would be reported again, and two nodes behind one PACS would answer each
    other for ever."""
    decision: FrontalDecision


def read(path: Path, rules: FrontalSection, announced: Mapping[str, str]) -> Facts:
    """Read the header of a file.

    Parameters
    ----------
    announced
        The UIDs that it came with, by keyword.

    Raises
    ------
    RefusedError
        0xA900 where it is not what was announced, 0xC000 where it cannot be understood, or something that is
        looked at is larger than it may be.
    """
    with _turns:
        header = _header(path)
        _see_that_it_is(header, announced)
        study, series = text(header, "StudyInstanceUID"), text(header, "SeriesInstanceUID")
        check_uids(StudyInstanceUID=study, SeriesInstanceUID=series)
        modality = text(header, "Modality")[:16]
        decision = frontal.decide(header, min_age_years=rules.min_age_years)
        known_by = {column: text(header, keyword) for column, keyword in KNOWN_BY.items()}
        urgency = priority.of_header(header)
        return Facts(study, series, modality, known_by, urgency, _is_result(header), decision)


def check_uids(**uids: str) -> None:
    """See that what should be UIDs are.

    Raises
    ------
    RefusedError
        0xC000 where one is none.
    """
    for keyword, uid in uids.items():
        if not is_uid(uid):
            raise RefusedError(CANNOT_UNDERSTAND, Reason("not-a-uid", attribute=keyword))


def _header(path: Path) -> Dataset:
    try:
        header = read_header(path)
        refuse(header, (*OWN, *frontal.attributes()))
    except ImageError as error:
        raise RefusedError(CANNOT_UNDERSTAND, reasons.of(error)) from error
    return header


def _see_that_it_is(header: Dataset, announced: Mapping[str, str]) -> None:
    for keyword, wanted in announced.items():
        if text(header, keyword) != wanted:
            raise RefusedError(DOES_NOT_MATCH, Reason("not-of-the-request", attribute=keyword))


def _is_result(header: Dataset) -> bool:
    equipment = (header, *items(header, "ContributingEquipmentSequence"))
    return any(
        (text(e, "Manufacturer"), text(e, "ManufacturerModelName")) == (MANUFACTURER, MODEL_NAME)
        for e in equipment
    )

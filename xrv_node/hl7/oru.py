"""A readable report as a message ORU^R01 of HL7 v2.5.1 (chapter 7.3.1), the same bytes each time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.valuerep import PersonName

from xrv_node.attributes import items, text
from xrv_node.hl7.mapping import Mapping
from xrv_node.hl7.report import Observation, date, observations, requested, time_stamp
from xrv_node.hl7.segments import Components, Field, message, segment

VERSION = "2.5.1"
UNICODE = ("UNICODE UTF-8", "utf-8")
"""MSH-18 (HL7 table 0211), and Python's codec."""
_CONTROL_ID = 20
"""Characters of a Message Control ID (MSH-10)."""
_SEXES = {"M": "M", "F": "F", "O": "O"}
"""Of HL7 table 0001 by Patient's Sex (0010,0040); any other is unknown, U."""
_GROUPS = ("A", "I", "P")
"""Name representation (HL7 table 0465) of a person's names: alphabetic, ideographic, phonetic."""


@dataclass(frozen=True, slots=True)
class Route:
    """Who sends to whom (MSH-3 to MSH-6), and what for (MSH-11)."""

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    processing_id: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is sent."""

    control_id: str
    """MSH-10, which the answer must name; the same each time that a report is sent."""
    data: bytes


def build(report: Dataset, mapping: Mapping, route: Route) -> Message:
    """Make the message of a report.

    Parameters
    ----------
    report
        A ``report`` object of this node (Enhanced SR).

    Returns
    -------
    Message
        In the report's character set where HL7 has that and it holds the text, else in UTF-8.
    """
    digest = hashlib.sha256(text(report, "SOPInstanceUID").encode()).hexdigest()
    control_id = digest[:_CONTROL_ID].upper()
    declared = mapping.charset.get(text(report, "SpecificCharacterSet"), UNICODE)
    for name, codec in (declared, UNICODE):
        words = message(
            [
                segment("MSH", _header(report, route, control_id, name)),
                segment("PID", _patient(report)),
                segment("OBR", _request(report, mapping)),
                *(
                    one
                    for n, o in enumerate(observations(report, mapping), 1)
                    for one in _observed(n, o, mapping)
                ),
            ]
        )
        try:
            return Message(control_id, words.encode(codec))
        except UnicodeEncodeError:
            continue
    return Message(control_id, words.encode("utf-8", "replace"))  # half a letter is in no character set


def _header(report: Dataset, route: Route, control_id: str, charset: str) -> dict[int, Field]:
    return {
        3: route.sending_application,
        4: route.sending_facility,
        5: route.receiving_application,
        6: route.receiving_facility,
        7: time_stamp(report, "Content"),
        9: ("ORU", "R01", "ORU_R01"),
        10: control_id,
        11: route.processing_id,
        12: VERSION,
        18: charset,
    }


def _patient(report: Dataset) -> dict[int, Field]:
    sex = text(report, "PatientSex")
    return {
        1: "1",
        3: (text(report, "PatientID"), "", "", text(report, "IssuerOfPatientID"), "PI"),
        5: _names(report),
        7: date(text(report, "PatientBirthDate")),
        8: _SEXES.get(sex, "U") if sex else "",
    }


def _names(report: Dataset) -> Sequence[Components]:
    """Family, given and middle name, suffix, prefix (XPN), which DICOM has the other way round; more than one
    only where there are several groups, with what each is."""
    groups = PersonName(text(report, "PatientName")).components[: len(_GROUPS)]
    made: list[Components] = []
    for kind, group in zip(_GROUPS, groups, strict=False):
        parts = [*group.split("^"), "", "", "", ""][:5]
        name = (parts[0], parts[1], parts[2], parts[4], parts[3])
        if any(name):
            made.append((*name, "", "", kind) if len(groups) > 1 else name)
    return made or [("", "", "", "", "", "", "U")]  # of no known name, table 0200: PID-5 must not be empty


def _request(report: Dataset, mapping: Mapping) -> dict[int, Field]:
    """By the order numbers where the images have them, else by the accession number; IHE Radiology has that
    in OBR-18 and the requested procedure in OBR-19."""
    asked = next(iter(items(report, "ReferencedRequestSequence")), Dataset())
    accession = text(report, "AccessionNumber")
    filler = text(asked, "FillerOrderNumberImagingServiceRequest") or accession
    return {
        1: "1",
        2: text(asked, "PlacerOrderNumberImagingServiceRequest"),
        3: filler or text(report, "StudyInstanceUID"),
        4: requested(report, mapping),
        7: time_stamp(report, "Study"),
        18: accession,
        19: text(asked, "RequestedProcedureID"),
        22: time_stamp(report, "Content"),
        24: mapping.order["section"],
        25: mapping.order["status"],
    }


def _observed(number: int, one: Observation, mapping: Mapping) -> list[object]:
    fields: dict[int, Field] = {
        1: str(number),
        2: one.value_type,
        3: one.code,
        4: str(one.image or ""),
        5: one.value,
        6: one.units,
        7: one.reference_range,
        8: one.flag,
        11: mapping.observation["status"],
    }
    notes = (segment("NTE", {1: str(n), 3: words}) for n, words in enumerate(one.notes, 1) if words)
    return [segment("OBX", fields), *notes]

"""A readable report as a FHIR R4 transaction: its DiagnosticReport, an Observation a finding, and the Device.

Each is created where the server has none of its identifier yet, so that to send it twice is harmless and what
people have made of it there stays. Checked by the library's models of R4B, which of these resources has R4's.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_OID, uuid5

from pydantic import ValidationError
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.sr.coding import Code
from pydicom.valuerep import PersonName

from xrv_node.attributes import items, text
from xrv_node.hl7 import mapping
from xrv_node.hl7.report import Observation, observations, requested, time_stamp, words
from xrv_node.report import codes, read_back, uids

Json = dict[str, Any]

MISSING = '"fhir" needs an extra, which is not installed'
REMEDY = "pip install 'xrv-node[fhir]'"

_HL7 = "http://terminology.hl7.org/CodeSystem/"
_DICOM_UID = "urn:dicom:uid"
SYSTEMS = {
    "LN": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "UCUM": "http://unitsofmeasure.org",
    codes.PRIVATE_SCHEME: f"urn:oid:{uids.coding_scheme_uid(codes.PRIVATE_SCHEME)}",
}
"""FHIR's URI by Coding Scheme Designator (R4 4.3.0, PS3.16 table 8-1); codes of any other go without one."""
_CONCLUDES = (codes.PHANTOM_SET.value, dicom_codes.DCM.Impression.value, codes.NOTICE.value)
"""The sentences of a conclusion; the headline ends in "Not for diagnosis."."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a site's server knows patients and orders by."""

    patient_system: str | None = None
    """URI of the system of Patient ID."""
    accession_system: str | None = None
    """URI of the system of Accession Number."""
    find_patient: bool = False
    """Whether the server is to find its Patient, and to refuse the report where it has none."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A Bundle as it is sent; the same bytes each time."""

    data: bytes
    """UTF-8."""
    entries: int


def installed() -> bool:
    """Whether the extra ``fhir`` is; by what comes with it, for a folder of anybody's may be called fhir."""
    return find_spec("fhir_core") is not None


def build(report: Dataset, site: Site) -> Transaction:
    """Make the transaction of a report.

    Parameters
    ----------
    report
        A ``report`` object of this node (Enhanced SR).

    Raises
    ------
    ImportError
        When the extra ``fhir`` is not installed.
    ValueError
        When the resources would not be valid; it names the elements, and no value.
    """
    from fhir.resources.R4B.bundle import Bundle

    entries = _entries(report, site)
    try:
        made = Bundle.model_validate(_pruned({"type": "transaction", "entry": entries}))
    except ValidationError as error:
        where = {".".join(map(str, one["loc"])) for one in error.errors(include_input=False)}
        raise ValueError(", ".join(sorted(where))) from None
    return Transaction(made.model_dump_json().encode(), len(entries))


def _entries(report: Dataset, site: Site) -> list[Json]:
    of_report = _identifier(_DICOM_UID, f"urn:oid:{text(report, 'SOPInstanceUID')}")
    found = observations(report, mapping.load(None, ""))
    said = {one.code[0]: one.value for one in reversed(found)}
    shared = {
        "meta": {"security": [_coding("HTEST", "test health data", _HL7 + "v3-ActReason")]}
        if codes.PHANTOM_SET.value in said
        else {},
        "language": _language(report),
        "status": "preliminary",
        "subject": _patient(report, site),
        "effectiveDateTime": _moment(time_stamp(report, "Study")),
        "issued": issued if "T" in (issued := _moment(time_stamp(report, "Content"))) else "",
    }
    device = _entry(_device(report, said[codes.NOTICE.value]))
    finding = partial(_finding, shared=shared, device=device["fullUrl"], notice=said[codes.NOTICE.value])
    images = list(read_back.findings(report))
    numbers = [one for one in found if one.units]
    scores = [
        _entry(finding(one, _identifier(of_report["value"], str(number)), images[one.image - 1]))
        for number, one in enumerate(numbers, 1)
    ]
    whole = shared | {
        "resourceType": "DiagnosticReport",
        "identifier": [of_report],
        "extension": [_replaces(uid) for uid in sorted(read_back.predecessors(report))],
        "basedOn": _order(report, site),
        "category": [_concept(("RAD", "Radiology", _HL7 + "v2-0074"))],
        "code": _concept(requested(report, mapping.load(None, ""))),
        "result": [{"reference": one["fullUrl"]} for one in scores],
        "imagingStudy": [_by_uid("ImagingStudy", text(report, "StudyInstanceUID"))],
        "conclusion": "\n".join(said[key] for key in _CONCLUDES if key in said),
        "presentedForm": [_text_form(report)],
    }
    return [_entry(whole), device, *scores]


def _finding(
    one: Observation, identifier: Json, image: str, *, shared: Json, device: str, notice: str
) -> Json:
    """The score is the value, named as a score; that a finding is present is said as in the SR, under the
    finding's own code: a search by that finds no scores of those that are not."""
    call = codes.PRESENT if one.flag else codes.NOT_DETECTED
    said = _concept((call.value, call.meaning, call.scheme_designator))
    return shared | {
        "resourceType": "Observation",
        "identifier": [identifier],
        "category": [_concept(("imaging", "Imaging", _HL7 + "observation-category"))],
        "code": _concept(one.code[:3]),
        "valueQuantity": {
            "value": int(one.value),
            "unit": one.units[1],
            "system": SYSTEMS["UCUM"],
            "code": one.units[0],
        },
        "interpretation": [_concept((one.flag, "Abnormal", _HL7 + "v3-ObservationInterpretation"))]
        if one.flag
        else [],
        "referenceRange": [{"text": one.reference_range}],
        "component": [{"code": _concept(one.code[3:6]), "valueCodeableConcept": said}]
        if one.code[3:]
        else [],
        "note": [{"text": note} for note in (*one.notes, notice) if note],
        "device": {"reference": device},
        "derivedFrom": [_by_uid("Media", image)],
    }


def _device(report: Dataset, notice: str) -> Json:
    observer = text(_item(report, dicom_codes.DCM.DeviceObserverUID), "UID")
    return {
        "resourceType": "Device",
        "identifier": [_identifier(_DICOM_UID, f"urn:oid:{observer}")],
        "manufacturer": text(report, "Manufacturer"),
        "deviceName": [{"name": text(report, "ManufacturerModelName"), "type": "model-name"}],
        "serialNumber": text(report, "DeviceSerialNumber"),
        "version": [{"value": text(report, "SoftwareVersions")}],
        "note": [{"text": notice}],
    }


def _patient(report: Dataset, site: Site) -> Json:
    number, name = text(report, "PatientID"), PersonName(text(report, "PatientName"))
    found = _identifier(site.patient_system, number) | {
        "type": _concept(("MR", "Medical record number", _HL7 + "v2-0203")),
        "assigner": {"display": text(report, "IssuerOfPatientID")},
    }
    searched = _query(site.patient_system, number) if site.find_patient and number else ""
    return {
        "reference": f"Patient?{searched}" if searched else "",
        "type": "Patient",
        "identifier": found if number else {},
        "display": name.family_comma_given().strip(", ") or number or "?",
    }


def _order(report: Dataset, site: Site) -> list[Json]:
    if not (accession := text(report, "AccessionNumber")):
        return []
    kind = {"type": _concept(("ACSN", "Accession ID", _HL7 + "v2-0203"))}
    return [{"type": "ServiceRequest", "identifier": _identifier(site.accession_system, accession) | kind}]


def _replaces(uid: str) -> Json:
    url = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces"
    return {"url": url, "valueReference": _by_uid("DiagnosticReport", uid)}


def _text_form(report: Dataset) -> Json:
    return {
        "contentType": "text/plain;charset=utf-8",
        "language": _language(report),
        "title": text(report, "SeriesDescription"),
        "data": b64encode(words(report).encode("utf-8", "replace")).decode(),
    }


def _language(report: Dataset) -> str:
    coded = items(_item(report, dicom_codes.DCM.LanguageOfContentItemAndDescendants), "ConceptCodeSequence")
    return text(coded[0], "CodeValue") if coded else ""


def _item(report: Dataset, name: Code) -> Dataset:
    """The content item of that name below the root; an empty one where there is none."""
    for item in items(report, "ContentSequence"):
        if text(items(item, "ConceptNameCodeSequence")[0], "CodeValue") == name.value:
            return item
    return Dataset()


def _entry(resource: Json) -> Json:
    identifier, kind = resource["identifier"][0], resource["resourceType"]
    query = _query(identifier["system"], identifier["value"])
    return {
        "fullUrl": f"urn:uuid:{uuid5(NAMESPACE_OID, query)}",
        "resource": resource,
        "request": {"method": "POST", "url": kind, "ifNoneExist": query},
    }


def _query(system: str | None, value: str) -> str:
    """A search by identifier (R4 3.1.1.4.10); what separates there is escaped in the value."""
    escaped = re.sub(r"([\\$,|])", r"\\\1", value)
    return f"identifier={quote(f'{system}|' if system else '', ':/')}{quote(escaped, ':')}"


def _identifier(system: str | None, value: str) -> Json:
    return {"system": system, "value": value}


def _by_uid(kind: str, uid: str) -> Json:
    return {"type": kind, "identifier": _identifier(_DICOM_UID, f"urn:oid:{uid}")}


def _concept(code: Sequence[str]) -> Json:
    """Of value, meaning and scheme; a meaning alone is a text. Others' codes go without theirs, which here is
    a translation, and no designation that a terminology server knows."""
    value, meaning, scheme = (*code, "", "")[:3]
    if not value:
        return {"text": meaning}
    system = scheme if scheme.startswith("http") else SYSTEMS.get(scheme)
    display = "" if scheme in SYSTEMS and scheme != codes.PRIVATE_SCHEME else meaning
    return {"coding": [_coding(value, display, system)], "text": meaning}


def _coding(value: str, meaning: str, system: str | None) -> Json:
    return {"system": system, "code": value, "display": meaning}


def _moment(stamp: str) -> str:
    """A time stamp of HL7 v2 as a dateTime; its time only where it has a zone (R4 2.24.0.1)."""
    parts = re.fullmatch(r"(\d{8})(?:(\d{4})(\d\d)?([+-]\d{4})?)?", stamp)
    try:
        day, time, seconds, zone = parts.groups() if parts else ("", "", "", "")
        if not (time and zone):
            return f"{datetime.strptime(day, '%Y%m%d'):%Y-%m-%d}"
        return datetime.strptime(day + time + (seconds or "00") + zone, "%Y%m%d%H%M%S%z").isoformat()
    except ValueError:
        return ""


def _pruned(value: Any) -> Any:
    """The same without what is empty, which FHIR does not have (R4 2.1.3), and without half letters."""
    if isinstance(value, dict):
        made = {key: _pruned(one) for key, one in value.items()}
        return {key: one for key, one in made.items() if one not in (None, "", [], {})}
    if isinstance(value, list):
        return [one for one in map(_pruned, value) if one not in (None, "", [], {})]
    return value.encode("utf-8", "replace").decode().strip() if isinstance(value, str) else value

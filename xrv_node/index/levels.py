"""Which attributes are of which level, and what a search answers with: tables of PS3.3 and PS3.18."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from pydicom.datadict import dictionary_VR, tag_for_keyword

from xrv_node.index.dicom_json import CHARACTER_SET, UTF_8

RETRIEVE_URL = "00081190"

Level = Literal["study", "series", "instance"]
LEVELS: tuple[Level, Level, Level] = ("study", "series", "instance")

STUDY = (
    # PS3.3 C.7.1.1 Patient
    "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID",
    "PatientBirthDate", "PatientBirthTime", "PatientSex", "OtherPatientIDs", "OtherPatientIDsSequence",
    "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "EthnicGroup", "PatientComments",
    "PatientSpeciesDescription", "PatientBreedDescription", "ResponsiblePerson", "ResponsibleOrganization",
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "QualityControlSubject", "PatientBirthDateInAlternativeCalendar", "PatientAlternativeCalendar",
    # C.7.2.1 General Study
    "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence", "StudyID", "StudyDescription",
    "ProcedureCodeSequence", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "ReferencedStudySequence",
    "RequestingService", "ReasonForPerformedProcedureCodeSequence", "ConsultingPhysicianName",
    # C.7.2.2 Patient Study
    "AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence", "PatientAge", "PatientSize",
    "PatientWeight", "MedicalAlerts", "Allergies", "SmokingStatus", "PregnancyStatus", "LastMenstrualDate",
    "PatientState", "Occupation", "AdditionalPatientHistory", "AdmissionID", "PatientSexNeutered",
    # C.12.1
    "TimezoneOffsetFromUTC",
)  # fmt: skip

SERIES = (
    # C.7.3.1 General Series
    "Modality", "SeriesInstanceUID", "SeriesNumber", "Laterality", "SeriesDate", "SeriesTime",
    "PerformingPhysicianName", "ProtocolName", "SeriesDescription", "SeriesDescriptionCodeSequence",
    "OperatorsName", "ReferencedPerformedProcedureStepSequence", "BodyPartExamined", "PatientPosition",
    "RequestAttributesSequence", "PerformedProcedureStepID", "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime", "PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime",
    "PerformedProcedureStepDescription", "PerformedProtocolCodeSequence",
    "CommentsOnThePerformedProcedureStep", "TimezoneOffsetFromUTC",
    # C.7.5.1 General Equipment
    "Manufacturer", "InstitutionName", "InstitutionAddress", "StationName", "InstitutionalDepartmentName",
    "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "FrameOfReferenceUID",
)  # fmt: skip

ANSWERS: Mapping[Level, tuple[str, ...]] = {
    "study": (
        "StudyDate", "StudyTime", "AccessionNumber", "InstanceAvailability", "ModalitiesInStudy",
        "ReferringPhysicianName", "TimezoneOffsetFromUTC", "PatientName", "PatientID", "PatientBirthDate",
        "PatientSex", "StudyInstanceUID", "StudyID", "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ),
    "series": (
        "Modality", "TimezoneOffsetFromUTC", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber",
        "NumberOfSeriesRelatedInstances", "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime", "RequestAttributesSequence", "StudyInstanceUID",
    ),
    "instance": (
        "SOPClassUID", "SOPInstanceUID", "InstanceAvailability", "TimezoneOffsetFromUTC", "InstanceNumber",
        "Rows", "Columns", "BitsAllocated", "NumberOfFrames", "StudyInstanceUID", "SeriesInstanceUID",
    ),
}  # fmt: skip
"""PS3.18 tables 10.6.3-3 to -5, but for Specific Character Set and the Retrieve URL, which all have;
and what a series or object is in, which clients file it by."""

COUNTED = {
    "study": ("InstanceAvailability", "ModalitiesInStudy", "NumberOfStudyRelatedSeries",
              "NumberOfStudyRelatedInstances"),
    "series": ("NumberOfSeriesRelatedInstances",),
    "instance": ("InstanceAvailability",),
}  # fmt: skip
"""What no header holds: the index knows it."""


@cache
def key(keyword: str) -> str:
    """Return the tag of a keyword of the dictionary as DICOM JSON writes it."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return f"{tag:08X}"


def of(level: Level, header: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a header has of a level; of objects what is neither of their study nor of their series."""
    if level == "instance":
        return {tag: value for tag, value in header.items() if tag not in _ABOVE}
    return {tag: header[tag] for tag in _OF[level] if tag in header}


def answer(level: Level, attributes: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return what a search answers with, in the order of tags (annex F.2.2); what is not there has a VR and
    no value. The Retrieve URL is `path`, from the service's address on."""
    found = {key(keyword): attributes.get(key(keyword), {"vr": _vr(keyword)}) for keyword in ANSWERS[level]}
    return dict(sorted({CHARACTER_SET: UTF_8, RETRIEVE_URL: {"vr": "UR", "Value": [path]}, **found}.items()))


def _vr(keyword: str) -> str:
    return dictionary_VR(keyword).partition(" or ")[0]


def level_of(tag: str) -> Level:
    """Return the level of an attribute; of one that is in several the highest."""
    return _LEVEL.get(tag, "instance")


def counted(**values: Sequence[Any]) -> dict[str, Any]:
    """Return what no header holds as DICOM JSON."""
    return {
        key(keyword): {"vr": _vr(keyword)} | ({"Value": list(value)} if value else {})
        for keyword, value in values.items()
    }


_OF: dict[str, tuple[str, ...]] = {
    "study": tuple(map(key, STUDY)),
    "series": tuple(map(key, SERIES)),
}
_ABOVE = frozenset(_OF["study"]) - {key("TimezoneOffsetFromUTC")} | frozenset(_OF["series"]) - {
    key("TimezoneOffsetFromUTC")
}
_LEVEL: dict[str, Level] = {
    **{tag: "series" for tag in _OF["series"]},
    **{tag: "study" for tag in _OF["study"]},
    **{key(keyword): level for level in reversed(LEVELS) for keyword in COUNTED[level]},
}

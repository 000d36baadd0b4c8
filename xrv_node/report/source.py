"""What a result takes over of its source: patient, study and character set."""

from __future__ import annotations

import copy

from pydicom import DataElement, Dataset, config
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import IS, DSfloat, validate_value

from xrv_node.attributes import spaced
from xrv_node.radiograph.header_limits import passed_over

# Type 2 in the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1): there, if only empty.
ALWAYS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip
# Carried along where the source has them; Patient, General Study and Patient Study modules.
WHERE_PRESENT = (
    "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID", "OtherPatientIDs",
    "OtherPatientIDsSequence", "PatientBirthTime", "OtherPatientNames", "EthnicGroup", "PatientComments",
    "PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription",
    "PatientBreedCodeSequence", "BreedRegistrationSequence", "ResponsiblePerson", "ResponsiblePersonRole",
    "ResponsibleOrganization", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "IssuerOfAccessionNumberSequence", "StudyDescription",
    "ProcedureCodeSequence", "PatientAge", "PatientSize", "PatientWeight", "PatientSexNeutered",
)  # fmt: skip


def take(done: Dataset, header: Dataset) -> list[BaseTag]:
    """Put a source's patient, study and character set into a result, decoded; in place.

    What identifies them is taken as it is, right or wrong: a PACS files the result by it. Of the rest, what
    breaks its VR is left out, lest the whole object be refused for it.

    Parameters
    ----------
    done : Dataset
        The result; what it has of these attributes is replaced.
    header : Dataset
        The source's.

    Returns
    -------
    list of BaseTag
        Those of `ALWAYS` and `WHERE_PRESENT` that the result has now.
    """
    for keyword in ("SpecificCharacterSet", *ALWAYS, *WHERE_PRESENT):
        if keyword in done:
            delattr(done, keyword)
        element = _element(header, keyword)
        if element is not None and (keyword not in WHERE_PRESENT or _is_valid(element)):
            done[keyword] = copy.deepcopy(element)
        elif keyword in ALWAYS:
            setattr(done, keyword, "")
    if not {"DeidentificationMethod", "DeidentificationMethodCodeSequence"} & set(done.dir()):
        done.pop("PatientIdentityRemoved", None)  # 1C: allowed with a method only
    if not done.get("SpecificCharacterSet"):
        done.pop("SpecificCharacterSet", None)  # 1C: empty means what none means, and is not allowed
    return [Tag(keyword) for keyword in (*ALWAYS, *WHERE_PRESENT) if keyword in done]


def left_out(header: Dataset) -> list[str]:
    """Return the names of what a result would have of a source, and the source was found to have too much of
    (`radiograph.header_limits`)."""
    over = passed_over(header)
    return [spaced(keyword) for keyword in (*ALWAYS, *WHERE_PRESENT) if Tag(keyword) in over] if over else []


def valid(header: Dataset, keyword: str) -> DataElement | None:
    """Return an attribute that can be read and keeps to its VR, else None."""
    element = _element(header, keyword)
    return element if element is not None and _is_valid(element) else None


def _element(header: Dataset, keyword: str) -> DataElement | None:
    try:
        return header.get(Tag(keyword))
    except (ValueError, TypeError, LookupError, NotImplementedError):
        return None  # an attribute that nobody can read is as good as missing


def _is_valid(element: DataElement) -> bool:
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    try:
        for value in values:
            # pydicom takes its own number classes for the wrong type
            written = str(value) if isinstance(value, DSfloat | IS) else value
            validate_value(element.VR, written, config.RAISE)
    except ValueError:
        return False
    return True

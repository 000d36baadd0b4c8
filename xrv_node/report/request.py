"""The request that an image was made for (PS3.3 table C.17-2): by it a RIS finds the order of a report."""

from __future__ import annotations

from pydicom import Dataset

from xrv_node.attributes import items, text
from xrv_node.report import charset, source

_NUMBERS = (
    "AccessionNumber", "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID", "RequestedProcedureDescription",
)  # fmt: skip
_CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")


def name(done: Dataset, header: Dataset, study_instance_uid: str) -> None:
    """Write Referenced Request Sequence (0040,A370) into a report where the image tells of one; in place.

    Parameters
    ----------
    done : Dataset
        An SR document.
    header : Dataset
        The source's. Its Request Attributes Sequence (0040,0275) counts before what it has itself; of several
        requests the first. An accession number alone is no request: the report has it in any case.
    study_instance_uid : str
        The study that is reported.
    """
    asked = next(iter(items(header, "RequestAttributesSequence")), Dataset())
    known = {keyword: _sure(asked, header, keyword) or _sure(header, header, keyword) for keyword in _NUMBERS}
    if not any(value for keyword, value in known.items() if keyword != "AccessionNumber"):
        return
    request = Dataset()
    request.StudyInstanceUID, request.ReferencedStudySequence = study_instance_uid, []
    for keyword, value in known.items():
        setattr(request, keyword, value)
    coded = items(asked, "RequestedProcedureCodeSequence") or items(header, "RequestedProcedureCodeSequence")
    request.RequestedProcedureCodeSequence = [made for code in coded[:1] if (made := _code(code, header))]
    done.ReferencedRequestSequence = [request]


def _code(item: Dataset, header: Dataset) -> Dataset | None:
    """The code, if it has all that one must have (PS3.3 table 8.8-1)."""
    made = Dataset()
    for keyword in _CODE:
        setattr(made, keyword, _sure(item, header, keyword))
    return made if all(made[keyword].value for keyword in _CODE) else None


def _sure(item: Dataset, header: Dataset, keyword: str) -> str:
    """A single value that keeps to its VR and is what was meant, else an empty one."""
    element, words = source.valid(item, keyword), text(item, keyword)
    return words if element is not None and "\\" not in words and charset.is_sure(header, words) else ""

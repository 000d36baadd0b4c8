"""What the tests send, and what others say of what comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import dciodvfy
import shapes
from made import SECRET
from pydicom import Dataset

from xrv_node.result_kinds import kind_of

STUDY_AND_PATIENT = (
    "SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip


def study(number: int, *views: str, rows: int = 512) -> list[Dataset]:
    """A synthetic study of a patient with a name that must be seen nowhere but in DICOM objects."""
    patient = shapes.Patient(f"{SECRET}^Zoë", f"{SECRET}-{number}", "19700301", "F", "054Y")
    return [
        shapes.dicom(
            view, rows=rows, seed=number, marker="L", patient=patient, study=number, instance=instance
        )
        for instance, view in enumerate(views or ("PA", "LATERAL"), 1)
    ]


def save(directory: Path, objects: Sequence[Dataset]) -> list[Path]:
    """Write each to a file."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{number}.dcm" for number in range(len(objects))]
    for path, one in zip(paths, objects, strict=True):
        one.save_as(path, enforce_file_format=True)
    return paths


NOISE = {
    # The node's own codes; the scheme is named in Coding Scheme Identification Sequence, as PS3.3 C.12.1 has it.
    "Unrecognized defined term = <99XRV>",
    # Device UID in Contributing Equipment Sequence came to PS3.3 C.12.1 after this dciodvfy (2022) was made.
    "DeviceUID(0018,1002)> - Attribute is not present in standard DICOM IOD",
}
"""What dciodvfy warns of and is right as it is."""


def complaints(path: Path) -> list[str]:
    """What dciodvfy finds wrong with an object: every error, and each warning that is not known noise."""
    return [
        line
        for line in dciodvfy.said(path)
        if line.startswith("Error") or (line.startswith("Warning") and not line.endswith(tuple(NOISE)))
    ]


def kinds(results: Sequence[Dataset]) -> dict[str, int]:
    """How many there are of each kind of result."""
    return dict(Counter(kind_of(result) or "none of ours" for result in results))


def references(item: Dataset) -> Iterator[tuple[str, str]]:
    """SOP class and instance of every reference in an object, however deep."""
    if "ReferencedSOPInstanceUID" in item:
        yield str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)
    for element in item:
        if element.VR == "SQ":
            for child in element.value:
                yield from references(child)

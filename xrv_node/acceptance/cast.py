"""A case made into files: phantoms as a PACS would send them, with what is true of them."""

from __future__ import annotations

import uuid
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID

from xrv_node.acceptance.alterations import ALTERATIONS, TRUNCATED
from xrv_node.acceptance.cases import Case, Shot
from xrv_node.acceptance.expected import COMPARED, ExpectedCase, ExpectedImage
from xrv_node.attributes import text
from xrv_node.phantom import phantom
from xrv_node.phantom.objects import dicom

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "acceptance runs of xrv-node")
_SEEDS = 10
"""Of a case: it has fewer images."""
_PERSONS = 8
"""Who are shown: each is projected once a view, which takes most of the time of an image."""


def expected(case: Case, seed: int, salt: str, folder: Path, *, rows: int) -> ExpectedCase:
    """Make the images of a case and write them.

    Parameters
    ----------
    seed
        Of its first image; the next ones have the next seeds.
    salt
        Of this run: a node does not analyse an image that it has had before, so each run has UIDs of its own.
    folder
        For the files.
    rows
        Of the images.
    """
    images = tuple(
        _image(case, number, shot, seed * _SEEDS + number, salt, folder, rows)
        for number, shot in enumerate(case.shots, 1)
    )
    return ExpectedCase(case, images)


def _image(
    case: Case, number: int, shot: Shot, seed: int, salt: str, folder: Path, rows: int
) -> ExpectedImage:
    made = phantom.make(
        seed,
        view=shot.view,
        findings=shot.findings,
        rows=rows,
        person=seed % _PERSONS,
        marked=shot.marked,
    )
    dataset = dicom(made, shot.sending)
    _name(dataset, case, number, salt)
    if shot.supine:
        dataset.SeriesDescription = f"Chest {shot.view} supine"
    if shot.altered:
        ALTERATIONS[shot.altered](dataset)
    path = folder / f"{case.name.replace(' ', '-').replace(',', '')}-{number}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    if shot.altered == TRUNCATED:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    return ExpectedImage(
        instance=text(dataset, "SOPInstanceUID"),
        study=text(dataset, "StudyInstanceUID"),
        patient_id=text(dataset, "PatientID"),
        patient_name=text(dataset, "PatientName"),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        path=path,
        answered=shot.answered,
        as_patient=shot.altered == "patient",
        reason=shot.reason,
        findings={label: there for label, there in made.findings.items() if there is not None}
        if shot.answered
        else {},
        masks={name: made.masks[name] for name in COMPARED} if shot.answered else {},
    )


def _name(dataset: Dataset, case: Case, number: int, salt: str) -> None:
    """Give an object its identity: one patient and study a case, one series an image."""

    def uid(*parts: object) -> UID:
        return UID(f"2.25.{uuid.uuid5(_NAMESPACE, ' '.join(map(str, (salt, case.name, *parts)))).int}")

    dataset.PatientName = f"PHANTOM^{case.name.upper()}"[:64]
    dataset.PatientID = f"ACC-{salt[:8]}-{uuid.uuid5(_NAMESPACE, case.name).hex[:4]}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid("study"), uid("series", number)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid("image", number)
    dataset.AccessionNumber = dataset.StudyID = ""
    dataset.SeriesNumber = dataset.InstanceNumber = dataset.AcquisitionNumber = number
    dataset.AcquisitionTime = dataset.ContentTime = f"08{number:02d}00"

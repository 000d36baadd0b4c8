"""What a node must not answer, or must keep apart, made of a phantom's object: a row each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage

TRUNCATED = "truncated"
Alteration = Callable[[Dataset], None]
"""Changes an object in place, its pixels uncompressed."""


def _hand(dataset: Dataset) -> None:
    """A hand, as its header says and its pixels show."""
    dataset.BodyPartExamined = "HAND"
    dataset.SeriesDescription = dataset.StudyDescription = "Hand PA"
    dataset.pop("AnatomicRegionSequence", None)
    dataset.pop("ViewCodeSequence", None)
    _no_quality_control(dataset)
    _draw(dataset, _fingers(int(dataset.Rows), int(dataset.Columns)))


def _ct(dataset: Dataset) -> None:
    """A slice of computed tomography."""
    from xrv_node.phantom import template

    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.Modality = "CT"
    dataset.SeriesDescription = "Chest CT"
    for keyword in ("ViewPosition", "ViewCodeSequence", "PresentationIntentType"):
        dataset.pop(keyword, None)
    _no_quality_control(dataset)
    volume = template.load()
    middle = volume.hu[volume.hu.shape[0] // 2].astype(np.float64)
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    dataset.SliceThickness = volume.spacing[0]
    _draw(dataset, np.interp(middle, (-1000, 1000), (0.0, 1.0)))


def _physical_phantom(dataset: Dataset) -> None:
    """What a device's phantom is called in routine: not as these images are, and without their mark."""
    dataset.PatientName, dataset.PatientID = "PHANTOM^CHEST LUNGMAN", "QC"
    dataset.SeriesDescription = "QC phantom weekly"


def _patient(dataset: Dataset) -> None:
    """The header of a patient's radiograph, who does not exist."""
    dataset.PatientName = "ACCEPTANCE^UNMARKED"
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.InstitutionName = "Acceptance", "Chest", ""
    dataset.SeriesDescription = dataset.StudyDescription = "Chest PA"
    _no_quality_control(dataset)
    for keyword in ("ImageComments", "DeviceSequence"):
        dataset.pop(keyword, None)


def _another_patient(dataset: Dataset) -> None:
    """The same study, in which somebody has corrected the patient between two images."""
    dataset.PatientName = f"{str(dataset.PatientName).partition('^')[0]}^CORRECTED"
    dataset.PatientID = f"{dataset.PatientID}C"


def _truncated(dataset: Dataset) -> None:
    """Its bytes are cut off when it is written (`cast`)."""


ALTERATIONS: dict[str, Alteration] = {
    "hand": _hand,
    "ct": _ct,
    "physical phantom": _physical_phantom,
    "patient": _patient,
    "another patient": _another_patient,
    TRUNCATED: _truncated,
}


def _no_quality_control(dataset: Dataset) -> None:
    for keyword in ("QualityControlImage", "QualityControlSubject"):
        dataset.pop(keyword, None)


def _draw(dataset: Dataset, picture: NDArray[np.float64]) -> None:
    """Put other pixels into an object: in [0, 1], white is 1."""
    white = 2 ** int(dataset.BitsStored) - 1
    pixels = (picture * white).round().astype("<u2")
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels = (white - pixels).astype("<u2")
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelData = pixels.tobytes()


def _fingers(rows: int, columns: int) -> NDArray[np.float64]:
    """Five rays of three bones and a palm in soft tissue, in [0, 1]."""
    import cv2

    drawn = np.zeros((rows, columns), np.float32)
    palm = np.array([0.55 * columns, 0.72 * rows])
    for width, grey in ((0.06, 0.35), (0.022, 0.8)):
        cv2.ellipse(
            drawn,
            tuple(int(v) for v in palm),
            (int(columns * (0.1 + width)), int(rows * (0.1 + width))),
            0, 0, 360, 0.35 if grey < 0.5 else 0.55, -1,
        )  # fmt: skip
        for angle, length in zip((-62, -20, -5, 9, 24), (0.34, 0.52, 0.57, 0.53, 0.43), strict=True):
            way = np.array([np.sin(np.radians(angle)) * columns, -np.cos(np.radians(angle)) * rows]) * length
            joints = [palm + way * share for share in (0.25, 0.52, 0.55, 0.76, 0.79, 1.0)]
            for begin, end in zip(joints[::2], joints[1::2], strict=True):
                first, last = (joints[0], joints[-1]) if grey < 0.5 else (begin, end)
                ends = [tuple(int(v) for v in point) for point in (first, last)]
                cv2.line(drawn, ends[0], ends[1], grey, max(int(columns * width), 1), cv2.LINE_AA)
    blurred: NDArray[np.float64] = cv2.GaussianBlur(drawn, (0, 0), columns / 300).astype(np.float64)
    return blurred.clip(0, 1)

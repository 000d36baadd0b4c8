"""The user's own files, as the demo sends them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from xrv_node.deliver import scu
from xrv_node.errors import ImageError
from xrv_node.radiograph.read import read


def write(directory: Path, images: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Make what can be sent of the user's files: DICOM as it is, pictures wrapped.

    Returns
    -------
    list of Path, list of str
        What can be sent, and a line for each file that cannot.
    """
    directory.mkdir(parents=True, exist_ok=True)
    good, bad = [], []
    for number, path in enumerate(scu.files_in(images), 1):
        if _is_dicom(path):
            good.append(path)
            continue
        try:
            dataset = secondary_capture(path, number)
        except ImageError as error:
            bad.append(f"{path.name}: {error}")
            continue
        good.append(directory / f"{number}-{path.stem}.dcm")
        dataset.save_as(good[-1], enforce_file_format=True)
    return good, bad


def secondary_capture(picture: Path, number: int) -> Dataset:
    """Wrap a PNG or JPEG into a Secondary Capture (PS3.3 A.8.1) of a chest, of nobody, of unknown view.

    Raises
    ------
    ImageError
        When the picture cannot be read.
    """
    radiograph = read(picture)
    span = max(radiograph.high - radiograph.low, 1)
    pixels = ((radiograph.pixels.astype(np.float64) - radiograph.low) * (65535 / span)).round()
    now = datetime.now(UTC)
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", generate_uid(prefix=None)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(prefix=None), generate_uid(prefix=None)
    dataset.PatientName, dataset.PatientID = f"UNNAMED^PICTURE {number}", f"PICTURE{number}"
    dataset.PatientBirthDate = dataset.PatientSex = dataset.ReferringPhysicianName = ""
    dataset.AccessionNumber = dataset.PatientOrientation = ""
    dataset.StudyDate = dataset.ContentDate = now.strftime("%Y%m%d")
    dataset.StudyTime = dataset.ContentTime = now.strftime("%H%M%S")
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = str(number), 1, 1
    dataset.Modality, dataset.ConversionType, dataset.BodyPartExamined = "CR", "WSD", "CHEST"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"

"""Objects and values that tests of several rooms send around."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from xrv_node.phantom.mark import stamp
from xrv_node.receive.instance_rows import Incoming

CR = "1.2.840.10008.5.1.4.1.1.1"
SECRET = "Zebrafinch"
"""The patient's name in test objects: it must turn up in no log, event or message."""


def radiograph(number: int = 1, study: int = 1, **attributes: Any) -> Dataset:
    """A small frontal CR; `attributes` replace or, when None, remove what it has."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CR
    dataset.StudyInstanceUID = f"1.2.3.{study}"
    dataset.SeriesInstanceUID = f"1.2.3.{study}.1"
    dataset.SOPInstanceUID = f"1.2.3.{study}.1.{number}"
    dataset.PatientName, dataset.PatientID = f"{SECRET}^Anna", f"{SECRET}-4711"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19600101", "F", "066Y"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260101", "101010", "1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "ACC1", ""
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "PA"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, number
    dataset.PatientOrientation = ["L", "F"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = 300, 260
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    rows, columns = np.mgrid[0:300, 0:260]
    pixels = 2000 + 1500 * np.sin(rows / 37 + number) * np.cos(columns / 23 + study)
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def phantom(number: int = 1, study: int = 1, *, marked: bool = True, **attributes: Any) -> Dataset:
    """What a digital phantom is to a node: a small frontal CR with the mark in it, for quality control."""
    dataset = radiograph(number, study)
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(300, 260)
    dataset.PixelData = (stamp(pixels, 4095.0) if marked else pixels).tobytes()
    dataset.QualityControlImage = dataset.QualityControlSubject = "YES"
    dataset.PatientName, dataset.PatientID = "PHANTOM^ONE", "PHANTOM-1"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def encoded(dataset: Dataset) -> bytes:
    """The dataset's bytes as an association carries them."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    whole = buffer.getvalue()
    if whole[128:132] != b"DICM":
        return whole
    length = int.from_bytes(whole[140:144], "little")
    return whole[144 + length :]


def incoming(dataset: Dataset, **changes: Any) -> Incoming:
    """The object as the network hands it to the intake."""
    fields: dict[str, Any] = {
        "sop_class_uid": str(dataset.SOPClassUID),
        "sop_instance_uid": str(dataset.SOPInstanceUID),
        "transfer_syntax_uid": str(ExplicitVRLittleEndian),
        "calling_ae": "PACS",
        "data": (encoded(dataset),),
    }
    return Incoming(**(fields | changes))

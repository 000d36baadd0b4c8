"""Synthetic radiographs as DICOM objects that a modality could have sent."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from shapes.exposure import BITS_STORED, FIELD_MM, LATERAL_WIDTH, SETTINGS, WHITE, radiograph

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "synthetic chest radiographs of xrv-node")

MANUFACTURER = "Synthetic Radiographs"
"""Not the node's own name: the frontal filter takes that for one of the node's results."""

NOTICE = "Computed from simple shapes. Shows no patient."

SOP_CLASSES = {
    "DX": DigitalXRayImageStorageForPresentation,
    "CR": ComputedRadiographyImageStorage,
}


@dataclass(frozen=True, slots=True)
class ViewTags:
    """What the header says of one view."""

    position: str
    """View Position; DX and CR share the terms (PS3.3 C.8.1.1)."""
    orientation: tuple[str, str]
    """Patient Orientation: where rows and columns run to."""
    code: tuple[str, str]
    """Code and meaning in SCT (PS3.16 CID 4010)."""


VIEW_TAGS = {
    "PA": ViewTags("PA", ("L", "F"), ("272479007", "postero-anterior")),
    "AP": ViewTags("AP", ("L", "F"), ("399348003", "antero-posterior")),
    "LATERAL": ViewTags("LL", ("P", "F"), ("399173006", "left lateral")),
}


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient who does not exist."""

    name: str = "SYNTHETIC^ONE"
    identifier: str = "SYNTHETIC-1"
    birth_date: str = "19700301"
    sex: str = "F"
    age: str = "054Y"


def uid(*parts: object) -> UID:
    """Return a UID that is always the same for the same parts (PS3.5 B.2: 2.25 and a UUID)."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, '|'.join(map(str, parts))).int}")


def header(
    view: str,
    *,
    modality: str = "DX",
    photometric: str = "MONOCHROME2",
    rows: int = 1024,
    columns: int | None = None,
    patient: Patient | None = None,
    study: int = 1,
    instance: int = 1,
) -> Dataset:
    """Return the header of a chest radiograph, complete but for the pixels.

    Parameters
    ----------
    view : {"PA", "AP", "LATERAL"}
    modality : {"DX", "CR"}
        Digital X-Ray Image For Presentation, or Computed Radiography Image.
    photometric : {"MONOCHROME1", "MONOCHROME2"}
    rows, columns : int
        As in ``radiograph``.
    patient : Patient, optional
        Who is shown; SYNTHETIC^ONE by default.
    study, instance : int
        Numbers of the study and of the image in it; each image is a series of its own. With the patient they
        determine every UID.

    Returns
    -------
    pydicom.Dataset
        With file meta information, Explicit VR Little Endian.

    Raises
    ------
    KeyError
        If view or modality is none of these.
    """
    patient, tags = patient or Patient(), VIEW_TAGS[view]
    columns = columns or (round(rows * LATERAL_WIDTH) if view == "LATERAL" else rows)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = SOP_CLASSES[modality]
    ds.SOPInstanceUID = uid(patient.identifier, study, instance, view, modality, photometric, rows, columns)
    ds.Modality = modality
    _add_study(ds, patient, study, instance)
    _add_series(ds, view, tags, patient, study, instance)
    _add_image(ds, photometric, rows, columns)
    if modality == "DX":
        _add_dx(ds, tags, inverted=photometric == "MONOCHROME1")
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def dicom(
    view: str,
    *,
    modality: str = "DX",
    photometric: str = "MONOCHROME2",
    rows: int = 1024,
    columns: int | None = None,
    seed: int = 0,
    features: tuple[str, ...] = (),
    marker: str = "",
    patient: Patient | None = None,
    study: int = 1,
    instance: int = 1,
) -> Dataset:
    """Return a synthetic chest radiograph as a DICOM object, ready to be saved or sent.

    Parameters
    ----------
    view, rows, columns, seed, features, marker
        As in ``radiograph``.
    modality, photometric, patient, study, instance
        As in ``header``; a MONOCHROME1 image has the same look and inverted pixels.

    Returns
    -------
    pydicom.Dataset
        12 bits in 16, uncompressed, with file meta information: ``save_as`` writes a standard file.

    Raises
    ------
    ValueError, KeyError
        As ``radiograph`` and ``header``.
    """
    pixels = radiograph(view, rows=rows, columns=columns, seed=seed, features=features, marker=marker)
    if photometric == "MONOCHROME1":
        pixels = WHITE - pixels
    ds = header(
        view,
        modality=modality,
        photometric=photometric,
        rows=rows,
        columns=columns,
        patient=patient,
        study=study,
        instance=instance,
    )
    ds.SOPInstanceUID = uid(ds.SOPInstanceUID, seed, features, marker)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PixelData = pixels.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def samples(rows: int = 1024) -> list[Dataset]:
    """Return the studies of the demonstration.

    Four studies of four patients: postero-anterior and lateral; bedside, with a large heart (CR,
    MONOCHROME1); an effusion; a collapsed lung and a nodule. All but the lateral image are for analysis.

    Parameters
    ----------
    rows : int
        Height of the images; smaller ones are computed faster.
    """
    one = Patient()
    two = Patient("SYNTHETIC^TWO", "SYNTHETIC-2", "19470912", "M", "076Y")
    three = Patient("SYNTHETIC^THREE", "SYNTHETIC-3", "19610120", "M", "063Y")
    four = Patient("SYNTHETIC^FOUR", "SYNTHETIC-4", "19951104", "F", "028Y")
    return [
        dicom("PA", rows=rows, seed=1, marker="L", patient=one, study=1, instance=1),
        dicom("LATERAL", rows=rows, seed=1, marker="L", patient=one, study=1, instance=2),
        dicom(
            "AP",
            rows=rows,
            seed=2,
            features=("cardiomegaly",),
            marker="L",
            modality="CR",
            photometric="MONOCHROME1",
            patient=two,
            study=2,
        ),
        dicom("PA", rows=rows, seed=3, features=("effusion",), marker="R", patient=three, study=3),
        dicom("PA", rows=rows, seed=4, features=("pneumothorax", "nodule"), patient=four, study=4),
    ]


def _add_study(ds: Dataset, patient: Patient, study: int, instance: int) -> None:
    """Add patient, study and equipment."""
    ds.PatientName = patient.name
    ds.PatientID = patient.identifier
    ds.PatientBirthDate = patient.birth_date
    ds.PatientSex = patient.sex
    ds.PatientAge = patient.age
    ds.StudyInstanceUID = uid(patient.identifier, study)
    ds.StudyID = str(study)
    ds.StudyDescription = "Chest, synthetic"
    ds.AccessionNumber = f"SYN{study:04d}"
    ds.ReferringPhysicianName = ""
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240610"
    ds.StudyTime = f"08{study % 60:02d}00"
    ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = f"08{study % 60:02d}{instance % 60:02d}"
    ds.Manufacturer = MANUFACTURER
    ds.ManufacturerModelName = "Chest"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "1"
    ds.InstitutionName = "None: synthetic"


def _add_series(ds: Dataset, view: str, tags: ViewTags, patient: Patient, study: int, instance: int) -> None:
    """Add the series, which holds this one image, and how it was taken."""
    setting = SETTINGS[view]
    ds.SeriesInstanceUID = uid(patient.identifier, study, "series", instance)
    ds.SeriesNumber = ds.InstanceNumber = ds.AcquisitionNumber = instance
    ds.SeriesDescription = f"Chest {tags.position}, synthetic"
    ds.BodyPartExamined = "CHEST"
    ds.ViewPosition = tags.position
    ds.PatientOrientation = list(tags.orientation)
    ds.KVP = 120
    ds.DistanceSourceToDetector = abs(setting.detector - setting.source)


def _add_image(ds: Dataset, photometric: str, rows: int, columns: int) -> None:
    """Add the description of the pixels."""
    spacing = f"{FIELD_MM / rows:.6f}"
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.ImageComments = NOTICE
    ds.BurnedInAnnotation = "NO"  # a side marker names nobody
    ds.ImagerPixelSpacing = ds.PixelSpacing = [spacing, spacing]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = photometric
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, BITS_STORED, BITS_STORED - 1
    ds.PixelRepresentation = 0
    ds.WindowCenter, ds.WindowWidth = (WHITE + 1) / 2, WHITE + 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.LossyImageCompression = "00"


def _add_dx(ds: Dataset, tags: ViewTags, *, inverted: bool) -> None:
    """Add what the DX modules ask for beyond CR (PS3.3 A.26)."""
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.PixelIntensityRelationship = "LOG"
    # +1 where more X-rays give higher values: those of a MONOCHROME1 image (PS3.3 C.8.11.3.1.2).
    ds.PixelIntensityRelationshipSign = 1 if inverted else -1
    ds.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    ds.ImageLaterality = "U"
    ds.AnatomicRegionSequence = [_code("816094009", "Chest")]
    ds.ViewCodeSequence = [_code(*tags.code)]
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = []
    ds.AcquisitionContextSequence = []
    ds.DetectorType = "SCINTILLATOR"
    ds.DetectorConfiguration = "AREA"
    ds.DetectorID = "SYNTHETIC"
    ds.PositionerType = "NONE"


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "SCT"
    item.CodeMeaning = meaning
    return item

"""Phantoms as DICOM objects that a modality could have sent, marked as the standard has it."""

from __future__ import annotations

import hashlib
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

from xrv_node.errors import ConfigError
from xrv_node.phantom import coding, grey_scale, senders
from xrv_node.phantom.phantom import BITS_STORED, WHITE, Phantom

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "phantoms of xrv-node")

MANUFACTURER = "Phantom Radiographs"
"""Not the node's own name: by that it knows its results."""

NOTICE = "Digital chest phantom, computed. Shows no patient."

SOP_CLASSES = {"DX": DigitalXRayImageStorageForPresentation, "CR": ComputedRadiographyImageStorage}

PHOTOMETRIC = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True, slots=True)
class View:
    """What the header says of one view."""

    position: str
    """View Position; DX and CR share the terms (PS3.3 C.8.1.1)."""
    orientation: tuple[str, str]
    """Patient Orientation: where rows and columns run to."""
    code: tuple[str, str]
    """Code and meaning in SCT (PS3.16 CID 4010)."""
    distance: float
    """From source to detector, in mm."""


VIEWS = {
    "PA": View("PA", ("L", "F"), ("272479007", "postero-anterior"), 1800),
    "AP": View("AP", ("L", "F"), ("399348003", "antero-posterior"), 1100),
    "LATERAL": View("LL", ("P", "F"), ("399173006", "left lateral"), 1800),
}


@dataclass(frozen=True, slots=True)
class Patient:
    """Who the header says it is: nobody."""

    name: str = "PHANTOM^ONE"
    identifier: str = "PHANTOM-1"
    birth_date: str = ""
    sex: str = "O"
    age: str = "050Y"
    """Of an adult: networks for chests of adults answer."""


@dataclass(frozen=True, slots=True)
class Sending:
    """How an image is written."""

    modality: str = "DX"
    photometric: str = "MONOCHROME2"
    bits: int | None = None
    """Bits Stored; None: 12, or what the transfer syntax allows."""
    grey: str = "window"
    """A key of `grey_scale.GREYS`."""
    syntax: str = "explicit"
    """A key of `coding.SYNTAXES`."""
    sender: str = "plain"
    """A key of `senders.SENDERS`: whose habits the header follows."""

    def __post_init__(self) -> None:
        """Refuse what there is not, naming what there is."""
        for what, value, known in (
            ("modality", self.modality, SOP_CLASSES),
            ("photometric interpretation", self.photometric, PHOTOMETRIC),
            ("grey scale", self.grey, grey_scale.GREYS),
            ("transfer syntax", self.syntax, coding.SYNTAXES),
            ("sender", self.sender, senders.SENDERS),
        ):
            if value not in known:
                raise ConfigError(f"no {what} {value!r}: choose one of {', '.join(known)}")
        allowed = coding.SYNTAXES[self.syntax].bits
        if self.bits is not None and self.bits not in allowed:
            choice = " or ".join(map(str, allowed))
            raise ConfigError(f"{self.bits} bits with transfer syntax {self.syntax}: choose {choice}")
        if senders.SENDERS[self.sender].signed and coding.SYNTAXES[self.syntax].encode is not None:
            raise ConfigError(f"sender {self.sender} has signed pixels, which are written uncompressed only")

    @property
    def stored_bits(self) -> int:
        """Bits Stored as they will be."""
        allowed = coding.SYNTAXES[self.syntax].bits
        return self.bits or (BITS_STORED if BITS_STORED in allowed else allowed[-1])


def uid(*parts: object) -> UID:
    """Return a UID that is always the same for the same parts (PS3.5 B.2: 2.25 and a UUID)."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, '|'.join(map(str, parts))).int}")


def dicom(
    phantom: Phantom,
    sending: Sending | None = None,
    *,
    patient: Patient | None = None,
    study: int | str = 1,
    instance: int = 1,
    date: str = "20240610",
) -> Dataset:
    """Return a phantom as a DICOM object, ready to be saved or sent.

    Parameters
    ----------
    phantom
        As made.
    sending
        How it is written; DX with 12 bits, a window and Explicit VR Little Endian by default.
    patient
        PHANTOM^ONE by default.
    study, instance
        The study, and the number of the image in it; each image is a series of its own. With the patient they
        decide the UIDs of study and series. The image's follows from its pixels and how it is written too.
    date
        Of the study, as YYYYMMDD.

    Returns
    -------
    pydicom.Dataset
        With file meta information: ``save_as`` writes a standard file.
    """
    patient, how, view = patient or Patient(), sending or Sending(), VIEWS[phantom.view]
    inverted = how.photometric == "MONOCHROME1"
    grey = grey_scale.stored(phantom.pixels, WHITE, how.stored_bits, how.grey, inverted=inverted)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = SOP_CLASSES[how.modality]
    ds.SOPInstanceUID = uid(
        patient.identifier,
        study,
        instance,
        phantom.view,
        how,
        hashlib.sha256(phantom.pixels.tobytes()).hexdigest(),
    )
    ds.Modality = how.modality
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _add_study(ds, patient, study, instance, date)
    _add_phantom(ds)
    _add_series(ds, view, patient, study, instance)
    _add_image(ds, phantom, how)
    if how.modality == "DX":
        _add_dx(ds, view, inverted=inverted)
    for keyword, value in grey.attributes.items():
        setattr(ds, keyword, value)
    values = senders.follow(ds, grey.values, how.sender, phantom.view)
    coding.put(ds, values, how.stored_bits, how.syntax)
    return ds


def _add_study(ds: Dataset, patient: Patient, study: int | str, instance: int, date: str) -> None:
    """Add patient, study and equipment."""
    ds.PatientName = patient.name
    ds.PatientID = patient.identifier
    ds.PatientBirthDate = patient.birth_date
    ds.PatientSex = patient.sex
    ds.PatientAge = patient.age
    ds.StudyInstanceUID = uid(patient.identifier, study)
    ds.StudyID = str(study)[:16]
    ds.StudyDescription = "Chest, digital phantom"
    ds.AccessionNumber = f"PH{study}"[:16]
    ds.ReferringPhysicianName = ""
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = date
    ds.StudyTime = "080000"
    ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = f"0801{instance % 60:02d}"
    ds.Manufacturer = MANUFACTURER
    ds.ManufacturerModelName = "Chest"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "1"
    ds.InstitutionName = "None: phantom"


def _add_phantom(ds: Dataset) -> None:
    """Say that it is a phantom: Patient (C.7.1.1), General Image (C.7.6.1) and Device (C.7.6.12) modules."""
    ds.QualityControlSubject = "YES"
    ds.QualityControlImage = "YES"
    device = _code("706342009", "Phantom")
    device.DeviceDescription = NOTICE
    ds.DeviceSequence = [device]
    ds.ImageComments = NOTICE


def _add_series(ds: Dataset, view: View, patient: Patient, study: int | str, instance: int) -> None:
    """Add the series, which holds this one image, and how it was taken."""
    ds.SeriesInstanceUID = uid(patient.identifier, study, "series", instance)
    ds.SeriesNumber = ds.InstanceNumber = ds.AcquisitionNumber = instance
    ds.SeriesDescription = f"Chest {view.position}"
    ds.BodyPartExamined = "CHEST"
    ds.ViewPosition = view.position
    ds.PatientOrientation = list(view.orientation)
    ds.KVP = 120
    ds.DistanceSourceToDetector = view.distance


def _add_image(ds: Dataset, phantom: Phantom, how: Sending) -> None:
    """Add the description of the pixels."""
    spacing = f"{phantom.spacing:.6f}"
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.BurnedInAnnotation = "NO"  # a side marker names nobody
    ds.ImagerPixelSpacing = ds.PixelSpacing = [spacing, spacing]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = how.photometric
    ds.Rows, ds.Columns = phantom.pixels.shape
    ds.BitsStored, ds.HighBit = how.stored_bits, how.stored_bits - 1
    ds.PixelRepresentation = 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"


def _add_dx(ds: Dataset, view: View, *, inverted: bool) -> None:
    """Add what the DX modules ask for beyond CR (PS3.3 A.26)."""
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.PixelIntensityRelationship = "LOG"
    # +1 where more X-rays give higher values: those of a MONOCHROME1 image (PS3.3 C.8.11.3.1.2).
    ds.PixelIntensityRelationshipSign = 1 if inverted else -1
    ds.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    ds.ImageLaterality = "U"
    ds.AnatomicRegionSequence = [_code("816094009", "Chest")]
    ds.ViewCodeSequence = [_code(*view.code)]
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = []
    ds.AcquisitionContextSequence = []
    ds.DetectorType = "SCINTILLATOR"
    ds.DetectorConfiguration = "AREA"
    ds.DetectorID = "PHANTOM"
    ds.PositionerType = "NONE"


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "SCT"
    item.CodeMeaning = meaning
    return item

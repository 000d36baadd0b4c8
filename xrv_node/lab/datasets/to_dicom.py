"""Images of public datasets as DICOM objects that a modality could have sent, for the way through a node.

What an object says is published with the image; what is not is left empty. Labels are nowhere in it: they
are in a table beside the objects (`export`).
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from xrv_node.attributes import text
from xrv_node.lab.datasets.images import caution, tell_once, unpacked
from xrv_node.lab.datasets.projection import VIEWS, add_projection, add_spacing
from xrv_node.lab.datasets.rows import OLDEST, years
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.datasets.tools import whose
from xrv_node.radiograph.codestream import JPEG_START
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.read import read

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "images of public datasets of xrv-node")
"""Never change it: the same image would get a second UID."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Whom and what an image shows, as its dataset publishes it."""

    dataset: str
    """Name in the catalogue; of a merged table all of them."""
    image: str
    """Path within the dataset: it tells its images apart."""
    patientid: str = ""
    """The dataset's own, with the dataset before it (``nih:13``); empty: nobody else's image."""
    view: str = ""
    sex: str = ""
    """M, F or empty."""
    age_years: float = float("nan")
    field_mm: tuple[float, float] | None = None
    """Height and width of what the image shows, at the detector, in mm; None where it is not published."""


def shown(table: LabelTable, index: int) -> Shown:
    """Return what a row of a table says of its image.

    Parameters
    ----------
    table
        Any.
    index
        Position of the row, from 0.
    """
    row = table.csv.iloc[index]
    patient = f"{whose(table)}{row['patientid']}" if row["patientid"] else ""
    age = float(row["age_years"])
    return Shown(
        dataset=table.name,
        image=row["image"],
        patientid=patient,
        view=row["view"],
        sex=row["sex"],
        age_years=age,
        field_mm=_field(row),
    )


def _field(row: pd.Series) -> tuple[float, float] | None:
    """NIH's table has the original's size and pixel spacing; the published square is all of it, stretched."""
    columns = ("Height]", "y]", "OriginalImage[Width", "OriginalImagePixelSpacing[x")
    if not set(columns) <= set(row.index):
        return None
    rows, row_mm, across, across_mm = (pd.to_numeric(row[name], errors="coerce") for name in columns)
    field = (float(rows * row_mm), float(across * across_mm))
    return field if min(field) > 0 else None


def converted(table: LabelTable, index: int) -> Dataset:
    """Return the image of a row as a DICOM object.

    Parameters
    ----------
    table
        Any.
    index
        Position of the row, from 0.

    Returns
    -------
    pydicom.Dataset
        As `dicom` returns it.

    Raises
    ------
    ImageError
        The image is not there or cannot be decoded.
    """
    with unpacked(table[index].image) as file:
        radiograph = read(file)
        tell_once(caution(table[index].image, radiograph))
        return dicom(radiograph, shown(table, index), compressed=_jpeg_bytes(file))


def dicom(radiograph: Radiograph, about: Shown, *, compressed: int = 0) -> Dataset:
    """Return a radiograph as a DICOM object.

    Parameters
    ----------
    radiograph
        As read. Integers whose range is that of 6 to 16 bits are kept as they are; all others are scaled to
        16 bits, black to 0 and white to 65535.
    about
        What is known of it.
    compressed
        Bytes of the JPEG picture that it was read from; 0 where it was none.

    Returns
    -------
    pydicom.Dataset
        A Digital X-Ray Image For Presentation (PS3.3 A.26) with file meta information, Explicit VR Little
        Endian, not compressed. Each image is a study of its own. The same image of the same dataset always is
        the same object. What `about` leaves open, the header of the image's own file may say.
    """
    about = _completed(about, radiograph.header)
    pixels, bits = _stored(radiograph)
    patient = _long_string(about.patientid or f"{about.dataset}:{_digest(about.image.encode())[:16]}")
    source = (about.dataset, about.image, patient, _digest(pixels.tobytes()))
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID = (
        UID(f"2.25.{uuid.uuid5(_NAMESPACE, chr(10).join((level, *source))).int}")  # PS3.5 B.2
        for level in ("instance", "series", "study")
    )
    _add_patient(ds, about, patient)
    _add_image(ds, pixels, bits)
    _add_compression(ds, radiograph.header, pixels.nbytes, compressed)
    _add_detector(ds)
    add_projection(ds, about.view, radiograph.header)
    add_spacing(ds, radiograph.header, about.field_mm)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def _completed(about: Shown, header: Dataset | None) -> Shown:
    """Take view, sex and age from the header where the dataset's table has none."""
    if header is None:
        return about
    said, sex = text(header, "ViewPosition"), text(header, "PatientSex")
    view = said if about.view not in VIEWS and said in VIEWS else about.view
    age = float(years(pd.Series([text(header, "PatientAge")], dtype=object)).iloc[0])
    return replace(
        about,
        view=view,
        sex=about.sex or (sex if sex in ("M", "F") else ""),
        age_years=age if np.isnan(about.age_years) else about.age_years,
    )


def _stored(radiograph: Radiograph) -> tuple[NDArray[np.unsignedinteger], int]:
    """The stored values, and Bits Stored: 6 to 16 in a DX object (PS3.3 C.8.11.3)."""
    pixels, low, high = radiograph.pixels, radiograph.low, radiograph.high
    bits = int(high).bit_length()
    if np.issubdtype(pixels.dtype, np.integer) and low == 0 and high == (1 << bits) - 1 and 6 <= bits <= 16:
        return pixels.astype("u1" if bits <= 8 else "<u2"), bits
    scaled = (pixels.astype(np.float64) - low) * (65535 / (high - low))
    return np.rint(np.clip(scaled, 0, 65535)).astype("<u2"), 16


def _add_patient(ds: Dataset, about: Shown, patient: str) -> None:
    """Add patient and study under the dataset's pseudonym; no date is invented."""
    ds.PatientID, ds.PatientName = patient, patient.replace(":", "^", 1)
    ds.PatientBirthDate, ds.PatientSex = "", about.sex
    if 0 < about.age_years <= OLDEST:
        years = about.age_years  # an Age String (PS3.5 6.2), of the first two years in months
        ds.PatientAge = f"{int(years):03d}Y" if years >= 2 else f"{max(1, int(12 * years)):03d}M"
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "By the owner of the dataset, before it was published"
    ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "1", 1, 1
    ds.StudyDescription = _long_string(f"Public dataset {about.dataset}")
    ds.Manufacturer = ""
    ds.BodyPartExamined = "CHEST"
    ds.ImageComments = "From a public dataset, for research, not for diagnosis."


def _add_image(ds: Dataset, pixels: NDArray[np.unsignedinteger], bits: int) -> None:
    ds.ImageType = ["DERIVED", "PRIMARY", ""]
    ds.DerivationDescription = "Converted from the file of a public dataset"
    ds.BurnedInAnnotation = "NO"  # what identifies was removed before it was published
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8 * pixels.itemsize, bits, bits - 1
    ds.PixelRepresentation = 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.WindowCenter, ds.WindowWidth = 1 << bits - 1, 1 << bits  # all of the range (PS3.3 C.11.2.1.2.1)
    data = pixels.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OW" if bits > 8 else "OB"


def _add_detector(ds: Dataset) -> None:
    """Add what a DX object says of its grey values and its detector (PS3.3 C.8.11.3, C.8.11.4)."""
    ds.SOPClassUID, ds.Modality = DigitalXRayImageStorageForPresentation, "DX"
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.PresentationLUTShape = "IDENTITY"
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", -1  # what is dense is bright
    ds.DetectorType = ""
    ds.AcquisitionContextSequence = []


def _add_compression(ds: Dataset, source: Dataset | None, raw: int, compressed: int) -> None:
    """Pixels that once went through a lossy compression are marked for ever (PS3.3 C.7.6.1.1.5)."""
    ds.LossyImageCompression = "01" if compressed else "00"
    if compressed:
        ds.LossyImageCompressionRatio = f"{raw / compressed:.4g}"
        ds.LossyImageCompressionMethod = "ISO_10918_1"
    elif source is not None and text(source, "LossyImageCompression") == "01":
        ds.LossyImageCompression = "01"
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if value := text(source, keyword):
                setattr(ds, keyword, value.split("\\"))


def _jpeg_bytes(path: Path) -> int:
    with path.open("rb") as file:
        return path.stat().st_size if file.read(len(JPEG_START)) == JPEG_START else 0


def _long_string(words: str) -> str:
    """At most 64 characters without backslash or control characters (LO, PS3.5 6.2), ``^`` or ``=`` (PN)."""
    kept = "".join(letter if letter.isprintable() and letter not in "\\^=" else "_" for letter in words)
    return kept if len(kept) <= 64 else f"{kept[:47]}-{_digest(words.encode())[:16]}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

"""Synthetic objects: conforming, readable, the same every time, and what the frontal filter makes of them."""

from io import BytesIO
from pathlib import Path

import dciodvfy
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.pixels import apply_voi_lut

import shapes
from shapes.objects import Patient, uid
from xrv_node import frontal
from xrv_node.values import Verdict

KINDS = [
    ("PA", "DX", "MONOCHROME2"),
    ("PA", "DX", "MONOCHROME1"),
    ("LATERAL", "DX", "MONOCHROME2"),
    ("AP", "CR", "MONOCHROME1"),
    ("LATERAL", "CR", "MONOCHROME2"),
]


@pytest.fixture(scope="module")
def samples() -> list[Dataset]:
    return shapes.samples(rows=256)


@pytest.mark.parametrize(("view", "modality", "photometric"), KINDS)
def test_dciodvfy_finds_nothing(tmp_path: Path, view: str, modality: str, photometric: str) -> None:
    path = tmp_path / "image.dcm"
    shapes.dicom(view, modality=modality, photometric=photometric, rows=160).save_as(
        path, enforce_file_format=True
    )
    assert not [line for line in dciodvfy.said(path) if line.startswith(("Error", "Warning"))]


@pytest.mark.parametrize(("view", "modality", "photometric"), KINDS)
def test_pydicom_decodes_it(view: str, modality: str, photometric: str) -> None:
    file = BytesIO()
    shapes.dicom(view, modality=modality, photometric=photometric, rows=160, seed=5).save_as(
        file, enforce_file_format=True
    )
    ds = dcmread(BytesIO(file.getvalue()))
    expected = shapes.radiograph(view, rows=160, seed=5)
    pixels = ds.pixel_array if photometric == "MONOCHROME2" else 4095 - ds.pixel_array
    np.testing.assert_array_equal(pixels, expected)
    assert apply_voi_lut(ds.pixel_array, ds).max() <= 4095
    assert (ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (16, 12, 11)


def test_verdicts_of_the_samples(samples: list[Dataset]) -> None:
    decisions = [frontal.decide(ds) for ds in samples]
    assert [(d.verdict, d.view) for d in decisions] == [
        (Verdict.FRONTAL, "PA"),
        (Verdict.LATERAL, "LL"),
        (Verdict.FRONTAL, "AP"),
        (Verdict.FRONTAL, "PA"),
        (Verdict.FRONTAL, "PA"),
    ]
    assert not [reason for d in decisions for reason in d.reasons if "contradicts" in str(reason)]


def test_samples_are_four_studies_of_four_patients(samples: list[Dataset]) -> None:
    assert len({ds.StudyInstanceUID for ds in samples}) == 4
    assert len({ds.PatientID for ds in samples}) == 4
    assert len({ds.SeriesInstanceUID for ds in samples}) == len({ds.SOPInstanceUID for ds in samples}) == 5
    assert samples[0].StudyInstanceUID == samples[1].StudyInstanceUID
    assert all("SYNTHETIC" in str(ds.PatientName) and "no patient" in ds.ImageComments for ds in samples)
    assert [(ds.Modality, ds.PhotometricInterpretation) for ds in samples[1:3]] == [
        ("DX", "MONOCHROME2"),
        ("CR", "MONOCHROME1"),
    ]


def test_uids_follow_from_the_content() -> None:
    first, again = shapes.dicom("PA", rows=64, seed=1), shapes.dicom("PA", rows=64, seed=1)
    assert first == again
    assert first.SOPInstanceUID == first.file_meta.MediaStorageSOPInstanceUID
    assert first.SOPInstanceUID != shapes.dicom("PA", rows=64, seed=2).SOPInstanceUID
    assert first.StudyInstanceUID != shapes.header("PA", patient=Patient(identifier="OTHER")).StudyInstanceUID
    assert uid("a", 1).is_valid
    assert uid("a", 1).startswith("2.25.")


def test_header_is_the_image_without_its_pixels() -> None:
    header, image = shapes.header("AP", rows=64), shapes.dicom("AP", rows=64)
    del image.PixelData
    image.SOPInstanceUID = header.SOPInstanceUID
    assert header == image
    assert "PixelData" not in header

"""Objects that dciodvfy passes, whose pixels give a network the same input as the dataset's own file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import shapes
from dciodvfy import complaints
from pydicom import dcmread
from typer.testing import CliRunner

from xrv_node import frontal
from xrv_node.cli import app
from xrv_node.errors import DatasetError, ImageError
from xrv_node.lab.datasets.dicom_folder import export
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.to_dicom import Shown, converted, dicom, shown
from xrv_node.lab.datasets.tools import merge
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.prepare import prepare
from xrv_node.radiograph.read import read
from xrv_node.values import Verdict

RANDOM = np.random.default_rng(0)
BRAX = "PatientID,PatientSex,PatientAge,ViewPosition,PngPath,Rows,Columns,No Finding,Edema,Pneumothorax\n"


def brax(folder: Path, *files: tuple[str, str]) -> Path:
    """A folder of BRAX, which holds any files: a name and a view each."""
    lines = [
        f"id_{number},F,{25 + number},{view},images/{name},150,150,0,1,{number % 2}"
        for number, (name, view) in enumerate(files)
    ]
    (folder / "master_spreadsheet_update.csv").write_text(BRAX + "\n".join(lines) + "\n")
    (folder / "images").mkdir(exist_ok=True)
    return folder


PICTURES = {
    "even.png": RANDOM.integers(0, 256, (160, 140), dtype=np.uint8),
    "odd.png": RANDOM.integers(0, 256, (133, 135), dtype=np.uint8),
    "deep.png": RANDOM.integers(0, 65536, (129, 161), dtype=np.uint16),
    "colour.png": RANDOM.integers(0, 256, (140, 150, 3), dtype=np.uint8),
    "lossy.jpg": RANDOM.integers(0, 256, (151, 149), dtype=np.uint8),
}


@pytest.mark.parametrize("name", PICTURES)
def test_dciodvfy_finds_nothing(tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / name), PICTURES[name])
    size = (tmp_path / name).stat().st_size if name.endswith(".jpg") else 0
    about = Shown("nih", name, "nih:13", "PA", "F", 0.5)
    made = dicom(read(tmp_path / name), about, compressed=size)
    assert complaints(made, tmp_path) == []
    assert made.Modality == "DX"


@pytest.mark.parametrize("name", PICTURES)
def test_a_network_sees_the_same(tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / name), PICTURES[name])
    source = read(tmp_path / name)
    dicom(source, Shown("nih", name, view="PA")).save_as(tmp_path / "made.dcm", enforce_file_format=True)
    again = read(tmp_path / "made.dcm")
    largest = np.abs(prepare(again, 64) - prepare(source, 64)).max()
    assert largest < (
        0.02 if name == "colour.png" else 0.001
    )  # of 2048; a grey of colours is rounded to 16 bits


@pytest.mark.parametrize("name", ["even.png", "odd.png", "deep.png"])
def test_pixels_are_kept_as_they_are(tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / name), PICTURES[name])
    dicom(read(tmp_path / name), Shown("nih", name)).save_as(tmp_path / "made.dcm", enforce_file_format=True)
    made = dcmread(tmp_path / "made.dcm")
    np.testing.assert_array_equal(made.pixel_array, PICTURES[name])
    assert made.BitsAllocated == made.BitsStored == 8 * PICTURES[name].itemsize


def test_a_dicom_source_looks_the_same_and_loses_its_patient(tmp_path: Path) -> None:
    source = shapes.dicom("PA", rows=200, photometric="MONOCHROME1")
    source.LossyImageCompression, source.LossyImageCompressionRatio = "01", 10
    source.LossyImageCompressionMethod = "ISO_10918_1"
    source.save_as(tmp_path / "source.dcm", enforce_file_format=True)
    about = Shown("siim-acr", "source.dcm", view="PA")
    dicom(read(tmp_path / "source.dcm"), about).save_as(tmp_path / "made.dcm", enforce_file_format=True)
    made = dcmread(tmp_path / "made.dcm")
    assert (
        np.abs(prepare(read(tmp_path / "made.dcm"), 96) - prepare(read(tmp_path / "source.dcm"), 96)).max()
        < 0.02
    )
    assert made.ImagerPixelSpacing == source.ImagerPixelSpacing
    assert "not published" not in made.ImageComments
    assert (made.LossyImageCompression, made.LossyImageCompressionRatio) == ("01", 10)
    assert "SYNTHETIC" not in str(made).upper()
    assert complaints(made, tmp_path) == []


@pytest.mark.parametrize(
    ("radiograph", "bits", "ends"),
    [
        (Radiograph(np.array([[0, 63]], dtype=np.uint8), 0, 63), 6, [0, 63]),
        (Radiograph(np.array([[0, 31]], dtype=np.uint8), 0, 31), 16, [0, 65535]),
        (Radiograph(np.array([[0, 4095]], dtype=np.uint16), 0, 4095), 12, [0, 4095]),
        (Radiograph(np.array([[-1000, 1000]], dtype=np.int16), -1000, 1000), 16, [0, 65535]),
        (Radiograph(np.array([[-0.5, 1.25]], dtype=np.float32), 0, 1), 16, [0, 65535]),
        (Radiograph(np.array([[0, 1 << 20]], dtype=np.uint32), 0, (1 << 21) - 1), 16, [0, 32768]),
    ],
)
def test_black_and_white_stay_black_and_white(radiograph: Radiograph, bits: int, ends: list[int]) -> None:
    made = dicom(radiograph, Shown("nih", "a.png", view="PA"))
    assert made.BitsStored == bits
    assert made.pixel_array.tolist() == [ends]


@pytest.mark.parametrize(
    ("age", "said"), [(0.5, "006M"), (58, "058Y"), (122, "122Y"), (412, None), (0, None)]
)
def test_an_age_that_nobody_reaches_is_none(age: float, said: str | None) -> None:
    made = dicom(Radiograph(PICTURES["even.png"], 0, 255), Shown("nih", "a.png", age_years=age))
    assert made.get("PatientAge") == said


def test_what_is_published_is_said_and_nothing_else(tmp_path: Path) -> None:
    folder = brax(tmp_path, ("even.png", "PA"), ("lossy.jpg", "L"))
    for name in ("even.png", "lossy.jpg"):
        cv2.imwrite(str(folder / "images" / name), PICTURES[name])
    table = load("brax", folder, views=["*"])
    frontal_, lateral = converted(table, 0), converted(table, 1)
    assert (frontal_.PatientID, str(frontal_.PatientName)) == ("brax:id_0", "brax^id_0")
    assert (frontal_.PatientSex, frontal_.PatientAge, frontal_.StudyDate) == ("F", "025Y", "")
    assert frontal_.PatientIdentityRemoved == "YES"
    assert "not published" in frontal_.ImageComments
    assert [float(side) for side in frontal_.ImagerPixelSpacing] == [pytest.approx(430 / 160, rel=1e-4)] * 2
    assert (frontal_.LossyImageCompression, lateral.LossyImageCompression) == ("00", "01")
    assert float(lateral.LossyImageCompressionRatio) == pytest.approx(
        PICTURES["lossy.jpg"].size / (folder / "images/lossy.jpg").stat().st_size, rel=0.01
    )
    assert float(lateral.ImagerPixelSpacing[0]) == pytest.approx(430 / 151, rel=1e-4)
    for label in table.pathologies:
        assert label not in str(frontal_)


def test_uids_follow_from_the_image(tmp_path: Path) -> None:
    radiograph = Radiograph(PICTURES["even.png"], 0, 255)
    about = Shown("nih", "a.png", "nih:13", "PA")
    made = dicom(radiograph, about)
    assert dicom(radiograph, about) == made
    assert made.SOPInstanceUID == made.file_meta.MediaStorageSOPInstanceUID
    others = [
        dicom(radiograph, replace(about, image="b.png")),
        dicom(radiograph, replace(about, dataset="rsna")),
        dicom(Radiograph(255 - PICTURES["even.png"], 0, 255), about),
    ]
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert len({one[keyword].value for one in (made, *others)}) == 4
        assert made[keyword].value.is_valid
    assert len({made.SOPInstanceUID, made.SeriesInstanceUID, made.StudyInstanceUID}) == 3


def test_images_of_unknown_patients_are_different_patients() -> None:
    radiograph = Radiograph(PICTURES["even.png"], 0, 255)
    first, second = (dicom(radiograph, Shown("tbx11k", name)) for name in ("a.png", "b.png"))
    assert first.PatientID.startswith("tbx11k:")
    assert first.PatientID != second.PatientID


@pytest.mark.parametrize("patient", ["nih:" + "x" * 200, "nih:a\\b=c^d\n", "nih:Ω"])
def test_any_id_is_a_valid_one(tmp_path: Path, patient: str) -> None:
    made = dicom(Radiograph(PICTURES["even.png"], 0, 255), Shown("nih", "a.png", patient, "PA"))
    assert len(made.PatientID) <= 64
    made.save_as(tmp_path / "made.dcm", enforce_file_format=True)
    assert dcmread(tmp_path / "made.dcm").PatientID == made.PatientID
    assert "\\" not in made.PatientID


def test_merged_tables_keep_their_patients_apart(tmp_path: Path) -> None:
    folder = brax(tmp_path, ("even.png", "PA"))
    table = load("brax", folder)
    merged = merge([table, table])
    assert shown(table, 0).patientid == shown(merged, 1).patientid == "brax:id_0"
    assert shown(replace(table, name="nih-google"), 0).patientid == "nih:id_0"


def test_a_folder_of_objects_with_their_labels(tmp_path: Path) -> None:
    files = [("even.png", "PA"), ("missing.png", "PA"), ("odd.png", "AP"), ("deep.png", "PA")]
    folder = brax(tmp_path, *files)
    for name in ("even.png", "odd.png", "deep.png"):
        cv2.imwrite(str(folder / "images" / name), PICTURES[name])
    table = load("brax", folder, views=["*"])
    seen = []
    count, unread = export(table, tmp_path / "out", progress=lambda *done: seen.append(done))
    assert (count, [one.path.name for one in unread]) == (3, ["missing.png"])
    assert seen == [(n, 4) for n in range(1, 5)]
    labels = pd.read_csv(tmp_path / "out/labels.csv")
    assert [Path(path).name for path in labels["image"]] == ["even.png", "odd.png", "deep.png"]
    np.testing.assert_array_equal(labels[list(table.pathologies)], table.labels[[0, 2, 3]])
    for row, index in zip(labels.itertuples(), (0, 2, 3), strict=True):
        made = dcmread(tmp_path / "out" / row.file)
        assert made.SOPInstanceUID == row.sop_instance_uid == Path(row.file).stem
        assert made.StudyInstanceUID == row.study_instance_uid
        np.testing.assert_array_equal(made.pixel_array, PICTURES[files[index][0]])
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    export(table, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    with pytest.raises(ImageError, match="cannot be read"):
        converted(table, 1)


def test_real_radiographs_come_through_unchanged(tmp_path: Path, data: Path) -> None:
    images = sorted((data / "nih" / "images").glob("*.png"))[:3]
    if not images:
        pytest.skip("the radiographs of NIH ChestX-ray14 are not installed")
    for path in images:
        source = read(path)
        made = dicom(source, Shown("nih", path.name, f"nih:{path.stem[:8]}", "PA"))
        made.save_as(tmp_path / "made.dcm", enforce_file_format=True)
        assert np.abs(prepare(read(tmp_path / "made.dcm"), 224) - prepare(source, 224)).max() < 0.001
        assert frontal.decide(made).verdict is Verdict.FRONTAL
        assert complaints(made, tmp_path) == []


def test_the_command_converts_and_names_what_it_cannot(tmp_path: Path) -> None:
    folder = brax(tmp_path, ("even.png", "PA"), ("missing.png", "PA"), ("odd.png", "PA"))
    for name in ("even.png", "odd.png"):
        cv2.imwrite(str(folder / "images" / name), PICTURES[name])
    command = ["datasets", "to-dicom", "brax", str(folder), "--out", str(tmp_path / "out")]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 1
    assert "2 objects and labels.csv" in told.stdout
    assert "missing.png: The file cannot be read" in told.stderr
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 2
    first = CliRunner().invoke(app, [*command[:-1], str(tmp_path / "one"), "--limit", "1"])
    assert first.exit_code == 0
    assert len(pd.read_csv(tmp_path / "one/labels.csv")) == 1
    (tmp_path / "file").touch()
    refused = CliRunner().invoke(app, [*command[:-1], str(tmp_path / "file")])
    assert isinstance(refused.exception, DatasetError)

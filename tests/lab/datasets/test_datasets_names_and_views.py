"""Datasets under the names that people have for them, and views that nobody published."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from owners import put
from small_folders import LABELLED, LABELLER, RSNA, SMALL
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import tools
from xrv_node.lab.datasets.catalog import entries, find
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.statistics import statistics

PUBLISHED = {"nih", "nih-google", "padchest", "chexpert", "chexlocalize", "mimic-cxr", "openi", "brax"}
PUBLISHED |= {"nlm-tb", "covid-19", "stony-brook"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("VinBrain_Dataset", "vindr-cxr"),
        ("vinbigdata", "vindr-cxr"),
        ("ChestX-ray14", "nih"),
        ("chestxray14", "nih"),
        ("NIH ChestX-ray14", "nih"),
        ("mimic", "mimic-cxr"),
        ("MIMIC_CXR", "mimic-cxr"),
        ("SIIM", "siim-acr"),
        ("SIIM_ACR", "siim-acr"),
        ("Padchest", "padchest"),
        ("PC_Dataset", "padchest"),
        ("PC", "padchest"),
        ("CheX", "chexpert"),
        ("CheXpert Plus", "chexpert"),
        ("NIH_Google", "nih-google"),
        ("Openi_Dataset", "openi"),
        ("COVID19", "covid-19"),
        ("RALO", "stony-brook"),
        ("ObjectCXR", "object-cxr"),
        ("RSNA_Pneumonia", "rsna"),
    ],
)
def test_a_name_that_people_have(name: str, meant: str) -> None:
    assert find(name).name == meant


def test_every_class_of_torchxrayvision_is_known() -> None:
    datasets = pytest.importorskip("torchxrayvision").datasets
    made_of_others = {"Dataset", "MergeDataset", "Merge_Dataset", "FilterDataset", "SubsetDataset"}
    classes = [
        name
        for name, one in vars(datasets).items()
        if isinstance(one, type) and issubclass(one, datasets.Dataset) and name not in made_of_others
    ]
    assert len(classes) >= 17
    known = {find(name).name for name in classes if name != "CovariateDataset"}
    assert known == {entry.name for entry in entries()}


@pytest.mark.parametrize(
    ("name", "meant"),
    [("chexprt", "chexpert"), ("padchst", "padchest"), ("vindrcxr1", "vindr-cxr"), ("Shenzhen", "nlm-tb")],
)
def test_a_name_that_is_nearly_one(name: str, meant: str) -> None:
    with pytest.raises(DatasetError, match=f"did you mean .*{meant}.* known are nih, nih-google"):
        find(name)


def test_whose_patients_are_published() -> None:
    assert {entry.name for entry in entries() if entry.patients_published} == PUBLISHED


@pytest.mark.parametrize("name", SMALL)
def test_patients_are_counted_where_the_owner_tells_them(tmp_path: Path, name: str) -> None:
    SMALL[name](tmp_path)
    table = load(name, tmp_path, views=["*"])
    patients = statistics(table)["patients"]
    assert (patients is not None) is (name in PUBLISHED)
    assert patients is None or patients >= 2


def test_stats_say_that_patients_are_not_published(tmp_path: Path) -> None:
    SMALL["rsna"](tmp_path)
    result = CliRunner().invoke(app, ["datasets", "stats", "rsna", str(tmp_path)])
    assert "patients: not published" in result.output


def as_png(folder: Path) -> None:
    """The images of a small folder without their headers."""
    for path in sorted(folder.rglob("*.dcm")):
        cv2.imwrite(str(path.with_suffix(".png")), cv2.UMat(64, 64, cv2.CV_8UC1, 7.0).get())
        path.unlink()


def test_images_of_rsna_without_headers_are_all_kept_and_it_is_said(tmp_path: Path) -> None:
    SMALL["rsna"](tmp_path)
    as_png(tmp_path)
    table = load("rsna", tmp_path)
    assert len(table) == 4
    assert table.views == ("UNKNOWN",)
    (note,) = table.notes
    assert note.startswith("no file here says which images are PA: all 4 of view UNKNOWN are kept; to choose")
    assert "stage_2_train_images_dicom_headers.csv" in note
    with pytest.raises(
        DatasetError, match=r"there is UNKNOWN; take --view '\*' or add its DICOM files, or stage"
    ):
        load("rsna", tmp_path, views=["PA"])
    lines = [f"{name},{'PA' if n else 'AP'},50,F" for n, name in enumerate(RSNA)]
    put(
        tmp_path / "stage_2_train_images_dicom_headers.csv",
        "\n".join(["PatientID,ViewPosition,PatientAge,PatientSex", *lines]),
    )
    assert len(load("rsna", tmp_path)) == 3


def test_images_of_openi_without_headers_are_all_kept_and_it_is_said(tmp_path: Path) -> None:
    SMALL["openi"](tmp_path)
    for path in sorted(tmp_path.rglob("*.dcm")):
        path.unlink()
    table = load("openi", tmp_path, unique_patients=False)
    assert len(table) == 4
    assert any("NLMCXR_dcm.tgz, or nlmcxr_dicom_metadata.csv" in note for note in table.notes)
    with pytest.raises(DatasetError, match="or add the DICOM files of NLMCXR_dcm"):
        load("openi", tmp_path, views=["PA"])


def test_chexperts_test_images_are_frontal_and_nobody_says_which_way(tmp_path: Path) -> None:
    lines = [
        f"test/patient6474{n}/study1/view{n}_{'lateral' if n == 3 else 'frontal'}.jpg,{found}"
        for n, found in enumerate(LABELLED)
    ]
    put(tmp_path / "test_labels.csv", "\n".join([f"Path,{LABELLER}", *lines]))
    table = load("chexpert", tmp_path, part="test")
    assert table.csv["view"].tolist() == ["FRONTAL"] * 3
    assert "all 3 of view FRONTAL are kept" in " ".join(table.notes)


def test_labels_of_google_without_the_nihs_table(tmp_path: Path) -> None:
    put(
        tmp_path / "four_findings_expert_labels/test_labels.csv",
        "Image Index,Fracture,Pneumothorax,Airspace opacity,Nodule or mass\na.png,YES,NO,NO,NO\nb.png,NO,NO,NO,NO\n",
    )
    table = load("nih-google", tmp_path, part="test")
    assert len(table) == 2
    assert table.labels.sum() == 1
    assert any("views and patients are unknown" in note for note in table.notes)
    with pytest.raises(DatasetError, match=r"Data_Entry_2017\.csv is not in"):
        load("nih-google", tmp_path, part="test", views=["PA"])


def test_images_of_an_unknown_view_among_others_are_counted(tmp_path: Path) -> None:
    SMALL["nih"](tmp_path)
    path = tmp_path / "Data_Entry_2017.csv"
    path.write_text(path.read_text().replace(",PA,", ",,", 1))
    table = load("nih", tmp_path)
    assert len(table) == 3
    assert "1 images whose view nobody says are left out; --view UNKNOWN has them" in table.notes
    assert len(load("nih", tmp_path, views=["unknown"])) == 1


@pytest.mark.parametrize("view", ["pa", "Pa", "PA", "*"])
def test_views_in_any_capitals(tmp_path: Path, view: str) -> None:
    SMALL["nih"](tmp_path)
    assert len(load("nih", tmp_path, views=[view])) == 4
    whole = load("nih", tmp_path, views=["*"])
    assert len(tools.limit_to_selected_views(whole, [view])) == 4
    with pytest.raises(DatasetError, match="no image of view ap; there is PA"):
        load("nih", tmp_path, views=["ap"])


def test_notes_of_merged_tables_say_whose_they_are(tmp_path: Path) -> None:
    tables = []
    for name in ("siim-acr", "nih"):
        SMALL[name](tmp_path / name)
        tables.append(load(name, tmp_path / name))
    path = tmp_path / "nih/Data_Entry_2017.csv"
    path.write_text(path.read_text() + ",,,,,,,,,,,\n")
    tables[1] = load("nih", tmp_path / "nih")
    merged = tools.merge([tools.relabel(["Pneumothorax"], table) for table in tables])
    assert merged.notes == ("nih: Data_Entry_2017.csv: 1 blank rows are passed over",)
    assert statistics(merged)["patients"] is None

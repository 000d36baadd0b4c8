"""The folders and archives in which owners publish a dataset, each as a small copy."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from made import radiograph
from owners import all_there, column, put

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.masks import pathology_masks

CHEXPERT = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Pleural Effusion,Support Devices\n"


def test_nih_in_the_archive_that_kaggle_packs(tmp_path: Path) -> None:
    put(
        tmp_path / "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position\n"
        "00000001_000.png,Mass,1,58,M,PA\n00000002_000.png,No Finding,2,80,M,PA\n",
    )
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for name in ("00000001_000.png", "00000002_000.png"):
            archive.writestr(f"images_001/images/{name}", b"")
    put(tmp_path / "images_001/images/00000002_000.png")
    images = load("nih", tmp_path).csv["image"].tolist()
    assert images == [
        "archive.zip/images_001/images/00000001_000.png",
        "images_001/images/00000002_000.png",  # what is unpacked already comes first
    ]


def test_nih_google_lies_beside_labels_of_another_study(tmp_path: Path) -> None:
    headings = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
    )
    put(
        tmp_path / "all_findings_expert_labels/test_labels.csv",
        "Image Index,Patient ID,Abnormal\na.png,1,NO\n",
    )
    for part, image in (("test", "00000013_008.png"), ("validation", "00000032_001.png")):
        put(
            tmp_path / f"four_findings_expert_labels/{part}_labels.csv",
            f"{headings},Fracture,Pneumothorax,Airspace opacity,Nodule or mass\n"
            f"{image},No Finding,8,13,60,M,AP,3056,2544,0.139,0.139,NO,NO,YES,NO\n",
        )
    table = load("nih-google", tmp_path, views=["*"], unique_patients=False)
    assert table.csv["Image Index"].tolist() == ["00000013_008.png", "00000032_001.png"]
    assert column(table, "Lung Opacity") == [1, 1]
    assert len(load("nih-google", tmp_path, part="validation", views=["*"])) == 1


def test_rsna_whose_images_stay_in_the_challenges_archive(tmp_path: Path) -> None:
    put(tmp_path / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target\na,,,,,0\n")
    radiograph(ViewPosition="AP", PatientAge="51", PatientSex="F").save_as(
        tmp_path / "a.dcm", enforce_file_format=True
    )
    with zipfile.ZipFile(tmp_path / "rsna-pneumonia-detection-challenge.zip", "w") as archive:
        archive.write(tmp_path / "a.dcm", "stage_2_train_images/a.dcm")
    (tmp_path / "a.dcm").unlink()
    table = load("rsna", tmp_path, views=["AP"])
    assert table.csv["image"].tolist() == [
        "rsna-pneumonia-detection-challenge.zip/stage_2_train_images/a.dcm"
    ]
    assert (table.csv["age_years"][0], table.csv["sex"][0]) == (51, "F")


def test_padchest_in_its_archives(tmp_path: Path) -> None:
    put(
        tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        ",ImageID,ImageDir,StudyDate_DICOM,PatientID,PatientBirth,PatientSex_DICOM,Projection,Labels\n"
        "0,a.png,0,20140915,83,1930.0,M,PA,\"['normal']\"\n1,b.png,54,20130101,84,1940.0,F,L,\"['nodule']\"\n",
    )
    for number, name in ((0, "a.png"), (54, "b.png")):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.writestr(name, b"")
    table = load("padchest", tmp_path, views=["*"])
    assert table.csv["image"].tolist() == ["0.zip/a.png", "54.zip/b.png"]
    assert table.csv["age_years"].tolist() == [84, 73]


def test_chexpert_in_the_four_parts_of_its_owner(tmp_path: Path) -> None:
    first, second, third = (
        tmp_path / f"CheXpert-v1.0 batch {name}"
        for name in ("1 (validate & csv)", "2 (train 1)", "3 (train 2)")
    )
    lines = "CheXpert-v1.0/{0}/study1/view1_frontal.jpg,Male,60,Frontal,PA,,1.0,,\n"
    put(
        first / "train.csv",
        CHEXPERT + lines.format("train/patient00001") + lines.format("train/patient21514"),
    )
    put(first / "valid.csv", CHEXPERT + lines.format("valid/patient64541"))
    put(second / "patient00001/study1/view1_frontal.jpg")
    put(third / "patient21514/study1/view1_frontal.jpg")
    put(first / "valid/patient64541/study1/view1_frontal.jpg")
    for part, count in (("train", 2), ("valid", 1)):
        table = load("chexpert", tmp_path, part=part)
        assert len(table) == count
        assert all_there(table)


def test_chexlocalize_beside_chexperts_test_images(tmp_path: Path) -> None:
    put(
        tmp_path / "CheXpert/test_labels.csv",
        "Path,Enlarged Cardiomediastinum,Lung Opacity\ntest/patient64741/study1/view1_frontal.jpg,0.0,1.0\n"
        "test/patient64742/study1/view2_lateral.jpg,0.0,0.0\n",
    )
    put(tmp_path / "CheXpert/test/patient64741/study1/view1_frontal.jpg")
    runs = {"patient64741_study1_view1_frontal": {"Airspace Opacity": {"size": [5, 7], "counts": "`0320004"}}}
    put(tmp_path / "CheXlocalize/gt_segmentations_test.json", json.dumps(runs))
    table = load("chexlocalize", tmp_path, part="test")
    assert table.csv["view"].tolist() == ["FRONTAL"]
    assert all_there(table)
    (mask,) = pathology_masks(table, table[0], (5, 7)).values()
    assert mask.sum() == 9  # pycocotools' area of these runs
    assert load("chexlocalize", tmp_path, part="test", xrv_compatible=True).csv["view"].tolist() == [
        "Unknown"
    ]


def test_openi_unpacked_with_both_ways_of_naming_images(tmp_path: Path) -> None:
    for number, image in ((1, "CXR1_1_IM-0001-3001"), (10, "CXR10_IM-0002-1001")):
        put(
            tmp_path / f"ecgen-radiology/{number}.xml",
            f'<eCitation><uId id="CXR{number}"/><MeSH><automatic>edema</automatic></MeSH>'
            f'<parentImage id="{image}"/></eCitation>',
        )
        (tmp_path / str(number)).mkdir()
        radiograph(ViewPosition="PA").save_as(
            tmp_path / f"{number}/{number}_{image[-12:]}.dcm", enforce_file_format=True
        )
    table = load("openi", tmp_path)
    assert table.csv["imageid"].tolist() == ["CXR1_1_IM-0001-3001", "CXR10_IM-0002-1001"]
    assert column(table, "Edema") == [1, 1]
    assert all_there(table)
    put(tmp_path / "ecgen-radiology/2.xml", "<eCitation>")
    with pytest.raises(DatasetError, match=r"2\.xml cannot be read as a report"):
        load("openi", tmp_path)


def test_brax_in_dicom(tmp_path: Path) -> None:
    image = "Anonymized_DICOMs/id_1/Study_1.2/Series_1.3/image-1.4.dcm"
    put(
        tmp_path / "master_spreadsheet.csv",
        "DicomPath,PngPath,PatientID,PatientSex,PatientAge,Edema,ViewPosition,Rows,Columns,Manufacturer\n"
        f"{image},images/id_1/Study_1.2/Series_1.3/image-1.4.png,id_1,F,45,1.0,RL,2000,2100,1\n",
    )
    put(tmp_path / image)
    table = load("brax", tmp_path, views=["L"])
    assert table.csv["view"].tolist() == ["RL"]
    assert all_there(table)


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("montgomery", "NLM-MontgomeryCXRSet/MontgomerySet"),
        ("montgomery", "Montgomery-County-CXR-Set/MontgomerySet"),
        ("shenzhen", "Shenzhen-Hospital-CXR-Set"),
        ("shenzhen", "downloads/ChinaSet_AllFiles"),
    ],
)
def test_nlm_tb_in_the_folders_of_its_archives(tmp_path: Path, part: str, place: str) -> None:
    put(tmp_path / place / "CXR_png/CHNCXR_0327_1.png")
    put(tmp_path / place / "ClinicalReadings/CHNCXR_0327_1.txt", "male 37yrs\nbilateral PTB")
    put(tmp_path / "other/CXR_png/CHNCXR_0001_0.png")
    table = load("nlm-tb", tmp_path, part=part)
    assert column(table, "Tuberculosis") == [1]
    assert (table.csv["sex"][0], table.csv["age_years"][0]) == ("M", 37)
    assert all_there(table)


def test_object_cxr_under_the_heading_of_its_page(tmp_path: Path) -> None:
    put(tmp_path / "dev.csv", "image_path,annotation\n/dev/08001.jpg,1 7 8 9 10\n/dev/08002.jpg,\n")
    put(tmp_path / "dev/08001.jpg")
    table = load("object-cxr", tmp_path, part="dev")
    assert table.csv["view"].unique().tolist() == ["FRONTAL"]
    assert column(table, "Foreign Object") == [1, 0]
    assert table[0].image.is_file()

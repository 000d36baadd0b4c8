"""Small files in the owners' formats, read here and by torchxrayvision; images found where owners put them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import radiograph

from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.table import Region

xrv = pytest.importorskip("torchxrayvision")

LABELS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,"
    "Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_brax(tmp_path: Path) -> None:
    (tmp_path / "master_spreadsheet_update.csv").write_text(
        f"DicomPath,PngPath,PatientID,PatientSex,PatientAge,{LABELS},ViewPosition,Rows,Columns\n"
        "a.dcm,images/id_1/Study_1/Series_1/a.png,id_1,M,85 or more,,,1.0,,,,,,,,-1.0,,,,PA,2000,1800\n"
        "b.dcm,images/id_1/Study_2/Series_1/b.png,id_1,M,85 or more,1.0,,,,,,,,,,,,,1.0,PA,2000,1800\n"
        "c.dcm,images/id_2/Study_1/Series_1/c.png,id_2,F,45,,,,1.0,,,,,,,0.0,,,,,2000,100\n"
        "d.dcm,images/id_3/Study_1/Series_1/d.png,id_3,F,45,,,,1.0,,,,,,,0.0,,,,,2000,2100\n"
    )
    touch(tmp_path / "images/id_1/Study_1/Series_1/a.png")
    for options in ({}, {"views": ["*"], "unique_patients": False}):
        original = xrv.datasets.BRAX_Dataset(
            str(tmp_path / "images"), str(tmp_path / "master_spreadsheet_update.csv"), **options
        )
        table = load("brax", tmp_path, **options)
        np.testing.assert_array_equal(table.labels, original.labels)
        for column in ("patientid", "age_years", "view"):
            assert table.csv[column].tolist() == original.csv[column].tolist()
        assert (table.csv["sex"] == "F").tolist() == original.csv["sex_female"].tolist()
    assert table[0].image.is_file()


@pytest.mark.parametrize("part", ["val", "test"])
def test_chexlocalize(tmp_path: Path, part: str) -> None:
    split = {"val": "valid", "test": "test"}[part]
    known = "Sex,Age,Frontal/Lateral,AP/PA," if part == "val" else ""
    (tmp_path / f"{part}_labels.csv").write_text(
        f"Path,{known}No Finding,Cardiomegaly,Pleural Effusion,Lung Opacity,Support Devices\n"
        + f"CheXpert-v1.0/{split}/patient64541/study1/view1_frontal.jpg,"
        + ("Male,73,Frontal,AP," if known else "")
        + "0.0,1.0,0.0,1.0,0.0\n"
        + f"CheXpert-v1.0/{split}/patient64542/study1/view2_lateral.jpg,"
        + ("Female,0,Lateral,," if known else "")
        + "1.0,0.0,0.0,0.0,1.0\n"
    )
    outlines = tmp_path / f"gt_segmentations_{part}.json"
    runs = {"size": [2828, 2320], "counts": "`X3"}
    outlines.write_text(json.dumps({"patient64541_study1_view1_frontal": {"Airspace Opacity": runs}}))
    touch(tmp_path / "CheXpert" / part / "patient64541/study1/view1_frontal.jpg")
    for views in (["PA", "AP", "Unknown"], ["*"]):
        original = xrv.datasets.CheXlocalize_Dataset(
            str(tmp_path),
            str(tmp_path / f"{part}_labels.csv"),
            views=views,
            segmentation_jsonpath=str(outlines),
        )
        table = load("chexlocalize", tmp_path, part=part, views=views, xrv_compatible=True)
        np.testing.assert_array_equal(table.labels, original.labels)
        for column in ("patientid", "view", "has_masks"):
            assert table.csv[column].tolist() == original.csv[column].tolist()
        np.testing.assert_array_equal(table.csv["age_years"], original.csv["age_years"].astype(float))
    assert table.regions[0] == (Region("Lung Opacity", "coco_rle", "`X3", (2828, 2320)),)
    assert load("chexlocalize", tmp_path, part=part)[0].image.is_file()


@pytest.mark.parametrize("part", ["montgomery", "shenzhen"])
def test_nlm_tb(tmp_path: Path, part: str) -> None:
    place, stem, readings = {
        "montgomery": (
            "MontgomerySet",
            "MCUCXR",
            (
                "Patient's Sex: F\nPatient's Age: 027Y\nnormal \n",
                "Patient's Sex: M\nPatient's Age: 061Y\nTB\n",
            ),
        ),
        "shenzhen": ("ChinaSet_AllFiles", "CHNCXR", ("Female 6month\nnormal", "male 54yrs\nright upper PTB")),
    }[part]
    names = [f"{stem}_0001_0", f"{stem}_0399_1"]
    for name, text in zip(names, readings, strict=True):
        touch(
            tmp_path / place / "CXR_png" / f"{name}.png",
            tmp_path / place / "ClinicalReadings" / f"{name}.txt",
        )
        (tmp_path / place / "ClinicalReadings" / f"{name}.txt").write_text(text)
    touch(tmp_path / "MontgomerySet/ManualMask/leftMask/MCUCXR_0001_0.png")
    original = xrv.datasets.NLMTB_Dataset(str(tmp_path / place))
    table = load("nlm-tb", tmp_path, part=part)
    np.testing.assert_array_equal(table.labels, original.labels)
    assert table.csv["fname"].tolist() == original.csv["fname"].tolist()
    assert table.csv["sex"].tolist() == ["F", "M"]
    assert table.csv["age_years"].tolist() == ([27, 61] if part == "montgomery" else [0.5, 54])
    assert len(load("nlm-tb", tmp_path / place, part=part)) == 2
    assert all(item.image.is_file() for item in table)
    if part == "montgomery":
        (mask,) = table.regions[0]
        assert (mask.name, mask.semantic) == ("Left Lung", True)
        assert (table.root / str(mask.data)).is_file()


def test_tbx11k(tmp_path: Path) -> None:
    kinds = ("ActiveTuberculosis", "ObsoletePulmonaryTuberculosis", "PulmonaryTuberculosis")
    images = [("health/h0001.png", 3), ("tb/tb0003.png", 7), ("sick/s0001.png", 9)]
    boxes = [(7, 1, [10.5, 20.0, 30.0, 40.0]), (7, 2, [1.0, 2.0, 3.0, 4.0])]
    content = {
        "images": [{"id": i, "file_name": name, "height": 512, "width": 512} for name, i in images],
        "categories": [
            {"id": number, "name": name, "supercategory": "Tuberculosis"}
            for number, name in enumerate(kinds, 1)
        ],
        "annotations": [{"image_id": i, "category_id": kind, "bbox": box} for i, kind, box in boxes],
    }
    path = tmp_path / "annotations/json/TBX11K_train.json"
    touch(path, tmp_path / "imgs/health/h0001.png")
    path.write_text(json.dumps(content))
    original = xrv.datasets.TBX11K_Dataset(str(tmp_path))
    table = load("tbx11k", tmp_path)
    assert list(table.pathologies) == original.pathologies
    np.testing.assert_array_equal(table.labels, original.labels)
    assert [[list(region.data) for region in some] for some in table.regions] == original.csv["bbox"].tolist()
    assert table[0].image.is_file()


def test_stony_brook(tmp_path: Path) -> None:
    (tmp_path / "ralo-dataset-metadata.csv").write_text(
        ",,Reader 1,,Reader 2,\n"
        "Subject_ID,Exam_DateTime,Total GEOGRAPHIC,Total OPACITY,Total GEOGRAPHIC,Total OPACITY\n"
        "S1,20200401_101500,4,2,6,3\nS2,20200402_080000,0,0,1,0\n"
    )
    touch(tmp_path / "CXR_images_scored/0.jpg", tmp_path / "CXR_images_scored/1.jpg")
    original = xrv.datasets.StonyBrookCOVID_Dataset(
        str(tmp_path / "CXR_images_scored"), str(tmp_path / "ralo-dataset-metadata.csv")
    )
    table = load("stony-brook", tmp_path)
    np.testing.assert_array_equal(table.labels, original.labels)
    assert table.labels.tolist() == [[5, 2.5], [0.5, 0]]
    assert table.csv["patientid"].tolist() == original.csv["patientid"].tolist()
    assert np.diff(table.csv["offset_day_int"]).tolist() == [1]
    compatible = load("stony-brook", tmp_path, xrv_compatible=True)
    assert compatible.csv["offset_day_int"].tolist() == original.csv["offset_day_int"].tolist()
    assert [item.image.name for item in table if item.image.is_file()] == ["0.jpg", "1.jpg"]


@pytest.mark.parametrize("unpacked", [False, True])
def test_object_cxr(tmp_path: Path, unpacked: bool) -> None:
    (tmp_path / "train.csv").write_text(
        "image_name,annotation\n00001.jpg,0 10 20 30 40;2 1 1 5 1 5 5\n00002.jpg,\n00003.jpg,1 7 8 9 10\n"
    )
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        archive.writestr("train/00001.jpg", b"")
    if unpacked:
        touch(tmp_path / "train/00001.jpg")
    original = xrv.datasets.ObjectCXR_Dataset(str(tmp_path / "train.zip"), str(tmp_path / "train.csv"))
    table = load("object-cxr", tmp_path)
    np.testing.assert_array_equal(table.labels, original.labels)
    assert table.csv["has_masks"].tolist() == original.csv["has_masks"].tolist()
    assert table.regions[0] == (
        Region("Foreign Object", "xyxy", (10, 20, 30, 40)),
        Region("Foreign Object", "polygon", (1, 1, 5, 1, 5, 5)),
    )
    assert table.regions[2] == (Region("Foreign Object", "ellipse", (7, 8, 9, 10)),)
    assert table.csv["image"][0] == ("train/00001.jpg" if unpacked else "train.zip/train/00001.jpg")


def test_rsna_reads_views_from_the_headers_of_its_images(tmp_path: Path) -> None:
    (tmp_path / "stage_2_train_labels.csv").write_text(
        "patientId,x,y,width,height,Target\nb,264.0,152.0,213.0,379.0,1\nb,562.0,152.0,256.0,453.0,1\na,,,,,0\nc,,,,,0\n"
    )
    images = tmp_path / "stage_2_train_images"
    images.mkdir()
    radiograph(ViewPosition="PA", PatientAge="051Y", PatientSex="F").save_as(
        images / "a.dcm", enforce_file_format=True
    )
    radiograph(ViewPosition="AP", PatientAge="018M", PatientSex="M").save_as(
        images / "b.dcm", enforce_file_format=True
    )
    (images / "c.dcm").write_bytes(b"no DICOM at all")
    table = load("rsna", tmp_path, views=["*"])
    assert table.csv["view"].tolist() == ["PA", "AP", "UNKNOWN"]
    assert table.csv["age_years"].tolist()[:2] == [51, 1.5]
    assert table.csv["sex"].tolist() == ["F", "M", ""]
    assert table.labels.tolist() == [[0, 0], [1, 1], [0, 0]]
    assert len(table.regions[1]) == 4  # two boxes, each of both labels
    assert table[1].image == images / "b.dcm"


def test_nih_google_in_the_two_files_of_its_owner(tmp_path: Path) -> None:
    for part, image in (("test", "00000013_008.png"), ("validation", "00000032_001.png")):
        (tmp_path / f"four_findings_expert_labels_{part}_labels.csv").write_text(
            f"Image Index,Fracture,Pneumothorax,Airspace opacity,Nodule or mass\n{image},NO,NO,YES,NO\n"
        )
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position\n"
        "00000013_008.png,No Finding,8,13,060Y,M,AP\n00000032_001.png,Mass,1,32,55,F,PA\n"
    )
    touch(tmp_path / "images_001/images/00000013_008.png")
    table = load("nih-google", tmp_path, views=["*"])
    assert table.csv["patientid"].tolist() == ["13", "32"]
    assert table.csv["age_years"].tolist() == [60, 55]
    assert table.labels.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]]
    assert table[0].image.is_file()
    assert load("nih-google", tmp_path, part="validation").csv["view"].tolist() == ["PA"]


def test_vindr_of_physionet_has_other_capitals_and_local_labels(tmp_path: Path) -> None:
    path = tmp_path / "annotations/annotations_train.csv"
    touch(path, tmp_path / "train/abc.dicom")
    path.write_text(
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\n"
        "abc,R1,Other lesion,10.5,20,30,40\nabc,R2,Pleural effusion,1,2,3,4\nabc,R3,Rib fracture,5,6,7,8\n"
        "def,R1,No finding,,,,\n"
    )
    original = xrv.datasets.VinDr_Dataset(str(tmp_path), str(path))
    table = load("vindr-cxr", tmp_path)
    np.testing.assert_array_equal(table.labels, original.labels)
    assert [(region.name, region.data) for region in table.regions[0]] == [
        ("Other Lesion", (10.5, 20, 30, 40)),
        ("Effusion", (1, 2, 3, 4)),
    ]
    assert table[0].image.is_file()


def test_lung_masks_of_the_covid_collection_lead_into_their_archive(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(
        "patientid,offset,sex,age,finding,view,filename\n2,,M,65,Pneumonia/Viral/COVID-19,PA,case_76_1-3.png\n"
    )
    masks = Path(xrv.__file__).parent / "data/semantic_masks_v7labs_lungs.zip"
    (tmp_path / masks.name).symlink_to(masks)
    (lungs,) = load("covid-19", tmp_path).regions[0]
    archive, _, member = str(lungs.data).partition("/")
    assert (lungs.name, lungs.semantic) == ("Lungs", True)
    with zipfile.ZipFile(tmp_path / archive) as opened:
        assert opened.getinfo(member).file_size > 0


def test_openi_reads_views_from_its_dicom_files(tmp_path: Path) -> None:
    import tarfile

    report = (
        b'<eCitation><uId id="CXR7"/><MeSH><major>Opacity/lung</major><automatic>Pleural Thickening</automatic>'
        b'<automatic>Infiltrate</automatic></MeSH><parentImage id="CXR7_1_IM-2263-1001"/></eCitation>'
    )
    (tmp_path / "7.xml").write_bytes(report)
    with tarfile.open(tmp_path / "NLMCXR_reports.tgz", "w:gz") as archive:
        archive.add(tmp_path / "7.xml", "ecgen-radiology/7.xml")
    (tmp_path / "7").mkdir()
    radiograph(ViewPosition="PA").save_as(tmp_path / "7/7_1_IM-2263-1001.dcm", enforce_file_format=True)
    table = load("openi", tmp_path)
    assert table.csv["view"].tolist() == ["PA"]
    present = [name for name, value in zip(table.pathologies, table.labels[0], strict=True) if value]
    assert present == ["Infiltration", "Pleural_Thickening"]
    assert table[0].image == tmp_path / "7/7_1_IM-2263-1001.dcm"


def test_paths_in_the_label_file_begin_below_one_of_the_usual_folders(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(
        "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding\n"
        "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,PA,1.0\n"
    )
    touch(tmp_path / "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg")
    assert load("chexpert", tmp_path)[0].image.is_file()
    assert pd.isna(load("chexpert", tmp_path).labels).all()

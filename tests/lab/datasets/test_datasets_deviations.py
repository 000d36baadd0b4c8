"""Each error of torchxrayvision: what it does, what the same file gives here, and what gives its numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import owners
import pandas as pd
import pytest

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import tools
from xrv_node.lab.datasets.catalog import find
from xrv_node.lab.datasets.load import load

xrv = pytest.importorskip("torchxrayvision")

CHEXPERT = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Pleural Effusion,Support Devices\n"
    "CheXpert-v1.0/{0}/patient00001/study1/view1_frontal.jpg,Female,0,Frontal,PA,,,1.0,\n"
    "CheXpert-v1.0/{0}/patient00001/study2/view1_frontal.jpg,Female,0,Frontal,PA,,1.0,0.0,\n"
    "CheXpert-v1.0/{0}/patient00002/study1/view1_frontal.jpg,Male,64,Frontal,PA,1.0,,-1.0,1.0\n"
)


def chexpert(folder: Path, split: str = "train") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{split}.csv").write_text(CHEXPERT.format(split))
    return folder


def column(table: object, label: str) -> list[float]:
    return table.labels[:, list(table.pathologies).index(label)].tolist()  # type: ignore[attr-defined]


def test_one_image_a_patient_takes_all_labels_of_that_image(tmp_path: Path) -> None:
    folder = chexpert(tmp_path / "train")
    original = xrv.datasets.CheX_Dataset(str(folder), str(folder / "train.csv"))
    assert column(original, "Edema")[0] == 1  # of the second study, beside the first one's path
    assert "study1" in original.csv["Path"][0]
    assert column(load("chexpert", folder, xrv_compatible=True), "Edema") == column(original, "Edema")
    ours = load("chexpert", folder)
    assert np.isnan(column(ours, "Edema")[0])
    assert column(ours, "Effusion")[0] == 1


def test_an_age_of_zero_is_unknown(tmp_path: Path) -> None:
    folder = chexpert(tmp_path / "train")
    original = xrv.datasets.CheX_Dataset(str(folder), str(folder / "train.csv"))
    assert original.csv["age_years"].tolist() == [0, 64]
    assert load("chexpert", folder, xrv_compatible=True).csv["age_years"].tolist() == [0, 64]
    assert load("chexpert", folder).csv["age_years"].isna().tolist() == [True, False]


def test_the_patient_does_not_hang_on_the_path_of_the_label_file(tmp_path: Path) -> None:
    folder = chexpert(tmp_path / "training", "valid")
    with pytest.raises(KeyError):  # it looks for train/ in paths that begin with valid/
        xrv.datasets.CheX_Dataset(str(folder), str(folder / "valid.csv"))
    with pytest.raises(DatasetError, match="train or valid"):
        load("chexpert", folder, part="valid", xrv_compatible=True)
    assert load("chexpert", folder, part="valid").csv["patientid"].tolist() == ["00001", "00002"]


def test_a_file_of_neither_split_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = chexpert(tmp_path / "labels", "test")
    monkeypatch.chdir(folder.parent)  # the temporary folder's own name must not decide
    with pytest.raises(NotImplementedError):
        xrv.datasets.CheX_Dataset("labels", "labels/test.csv")
    with pytest.raises(DatasetError, match="train or valid"):
        load("chexpert", Path("labels"), part="test", xrv_compatible=True)
    assert load("chexpert", Path("labels"), part="test").csv["patientid"].tolist() == ["00001", "00002"]


def mimic(folder: Path) -> Path:
    (folder / "mimic-cxr-2.0.0-chexpert.csv").write_text(
        "subject_id,study_id,No Finding,Edema,Pleural Effusion,Support Devices\n"
        "10000032,50414267,1.0,,,1.0\n"
        "10000032,53189527,,1.0,-1.0,\n"
        "10000764,57375967,,0.0,1.0,0.0\n"
    )
    (folder / "mimic-cxr-2.0.0-metadata.csv").write_text(
        "dicom_id,subject_id,study_id,ViewPosition,StudyDate\n"
        "02aa804e,10000032,50414267,PA,21800506\n"
        "174413ec,10000032,50414267,LATERAL,21800506\n"
        "2a2277a9,10000032,53189527,PA,21800626\n"
        "096052b7,10000764,57375967,AP,21321015\n"
    )
    return folder


def test_devices_stay_where_there_is_no_finding_and_offsets_are_days(tmp_path: Path) -> None:
    folder = mimic(tmp_path)
    files = [str(folder / f"mimic-cxr-2.0.0-{kind}.csv") for kind in ("chexpert", "metadata")]
    original = xrv.datasets.MIMIC_Dataset(str(folder), *files, views=["*"], unique_patients=False)
    compatible = load("mimic-cxr", folder, views=["*"], unique_patients=False, xrv_compatible=True)
    np.testing.assert_array_equal(compatible.labels, original.labels)
    assert compatible.csv["offset_day_int"].tolist() == original.csv["offset_day_int"].tolist()
    assert compatible.csv["patientid"].tolist() == original.csv["patientid"].tolist()
    ours = load("mimic-cxr", folder, views=["*"], unique_patients=False)
    assert column(original, "Support Devices")[0] == 0
    assert column(ours, "Support Devices")[0] == 1
    assert ours.csv["offset_day_int"].diff()[2] == 51  # 6 May to 26 June
    assert original.csv["offset_day_int"].diff()[2] == 120
    assert ours.csv["view"].tolist() == ["PA", "L", "PA", "AP"]
    paths = ["p10/p10000032/s50414267/02aa804e.jpg", "p10/p10000764/s57375967/096052b7.jpg"]
    assert ours.csv["image"].iloc[[0, 3]].tolist() == paths


def test_mimic_patients_come_from_mimic_iv(tmp_path: Path) -> None:
    folder = mimic(tmp_path)
    (folder / "patients.csv").write_text(
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n10000032,F,52,2180,2014 - 2016,\n"
    )
    table = load("mimic-cxr", folder, views=["PA", "AP"])
    assert table.csv["sex"].tolist() == ["F", ""]
    assert table.csv["age_years"][0] == 52
    assert np.isnan(table.csv["age_years"][1])


def test_offsets_are_not_a_thousand_times_too_small(tmp_path: Path) -> None:
    table = pd.Series(["20140915", "19700102"])
    from xrv_node.lab.datasets import rows

    assert rows.days(table).tolist() == [16328, 1]
    if int(pd.__version__.split(".")[0]) >= 3:
        assert rows.as_xrv_days(table).tolist() == [16, 0]


def test_two_boxes_of_one_finding_are_both_kept(tmp_path: Path) -> None:
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position\n"
        "00000001_000.png,Mass|Nodule,0,1,57,M,PA\n"
    )
    (tmp_path / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000001_000.png,Mass,10,20,30,40\n00000001_000.png,Mass,500,600,70,80\n00000001_000.png,Infiltrate,1,2,3,4\n"
    )
    original = xrv.datasets.NIH_Dataset(
        str(tmp_path), str(tmp_path / "Data_Entry_2017_v2020.csv"), str(tmp_path / "BBox_List_2017.csv")
    )
    mass = list(original.pathologies).index("Mass")
    assert original.get_mask_dict("00000001_000.png", 1024)[mass].sum() == 70 * 80
    kept = load("nih", tmp_path, xrv_compatible=True).regions[0]
    assert [region.data for region in kept if region.name == "Mass"] == [(500, 600, 70, 80)]
    ours = load("nih", tmp_path).regions[0]
    assert [(region.name, region.data) for region in ours] == [
        ("Mass", (10, 20, 30, 40)),
        ("Mass", (500, 600, 70, 80)),
        ("Infiltration", (1, 2, 3, 4)),
    ]


def pixels(runs: list[str]) -> int:
    """How many pixels these annotations cover together."""
    mask = np.zeros(1024 * 1024, dtype=bool)
    for one in runs:
        at = 0
        for start, length in np.array(one.split(), dtype=int).reshape(-1, 2):
            mask[at + start : at + start + length] = True
            at += start + length
    return int(mask.sum())


def test_all_annotations_of_a_pneumothorax_are_kept(tmp_path: Path) -> None:
    folder = owners.folder("siim-acr", tmp_path)
    image = "1.2.276.0.7230010.3.1.4.8323329.1851.1517875169.919023"
    original = xrv.datasets.SIIM_Pneumothorax_Dataset(str(folder))
    assert original.get_pathology_mask_dict(image, 1024)[0].sum() == 4462
    compatible, ours = load("siim-acr", folder, xrv_compatible=True), load("siim-acr", folder)
    (row,) = np.flatnonzero(ours.csv["ImageId"] == image)
    assert pixels([region.data for region in ours.regions[row]]) == 56347
    rows = np.flatnonzero(compatible.csv["ImageId"] == image)
    assert [pixels([region.data for region in compatible.regions[at]]) for at in rows] == [4462] * 10
    assert (len(original), len(compatible), len(ours)) == (12954, 12954, 12047)
    assert ours.csv["ImageId"].is_unique


def test_a_second_folder_is_looked_into(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "train-rle.csv").write_text("ImageId, EncodedPixels\n1.2.3, -1\n")
        (tmp_path / name / "deep" / "1.2.3.dcm").touch()
    xrv.datasets._cache_dict.clear()
    maps = [
        xrv.datasets.SIIM_Pneumothorax_Dataset(str(place), str(place / "train-rle.csv")).file_map
        for place in (tmp_path / "first", tmp_path / "second")
    ]
    assert maps[1]["1.2.3.dcm"] == str(tmp_path / "first/deep/1.2.3.dcm")
    xrv.datasets._cache_dict.clear()
    tables = [load("siim-acr", tmp_path / name) for name in ("first", "second")]
    assert [table[0].image for table in tables] == [
        tmp_path / n / "deep/1.2.3.dcm" for n in ("first", "second")
    ]


def test_findings_that_are_blank_are_not_absent(tmp_path: Path) -> None:
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position\n"
        "00000001_000.png,Mass,0,1,57,M,PA\n00000002_000.png,,0,2,57,M,PA\n00000003_000.png,mass,0,3,57,M,PA\n"
    )
    original = xrv.datasets.NIH_Dataset(str(tmp_path), str(tmp_path / "Data_Entry_2017_v2020.csv"))
    assert column(original, "Mass") == [1, 0, 0]
    assert column(load("nih", tmp_path, xrv_compatible=True), "Mass") == [1, 0, 0]
    ours = load("nih", tmp_path)
    assert column(ours, "Mass")[::2] == [1, 1]
    assert np.isnan(ours.labels[1]).all()


def test_a_blank_is_no_annotation(tmp_path: Path) -> None:
    for image in ("1.2.3", "1.2.4", "1.2.5"):
        (tmp_path / f"{image}.dcm").touch()
    (tmp_path / "train-rle.csv").write_text("ImageId, EncodedPixels\n1.2.3,-1\n1.2.4,\n1.2.5,10 5\n")
    xrv.datasets._cache_dict.clear()
    original = xrv.datasets.SIIM_Pneumothorax_Dataset(str(tmp_path), str(tmp_path / "train-rle.csv"))
    assert original.labels[1, 0] == 1
    compatible = load("siim-acr", tmp_path, xrv_compatible=True)
    np.testing.assert_array_equal(compatible.labels, original.labels)
    np.testing.assert_array_equal(load("siim-acr", tmp_path).labels, [[0], [np.nan], [1]])
    xrv.datasets._cache_dict.clear()


def test_labels_do_not_depend_on_the_views(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(
        "patientid,offset,sex,age,finding,view,filename\n"
        "1,0,M,65,Pneumonia/Viral/COVID-19,PA,a.jpg\n1,3,M,65,Pneumonia/Viral/COVID-19,AP,b.jpg\n"
        "2,,F,,Pneumonia/Bacterial,L,c.jpg\n3,5,F,52,todo,PA,d.jpg\n4,,,,No Finding,PA,e.jpg\n"
    )
    original = xrv.datasets.COVID19_Dataset(str(tmp_path), str(tmp_path / "metadata.csv"))
    compatible = load("covid-19", tmp_path, xrv_compatible=True)
    assert list(compatible.pathologies) == list(original.pathologies)
    np.testing.assert_array_equal(compatible.labels, original.labels)
    np.testing.assert_array_equal(compatible.csv["offset_day_int"], original.csv["offset_day_int"])
    ours = load("covid-19", tmp_path)
    assert set(ours.pathologies) - set(original.pathologies) == {"Bacterial"}
    assert ours.pathologies == load("covid-19", tmp_path, views=["*"]).pathologies
    assert column(ours, "COVID-19") == [1, 1, 0]


def test_no_seed_is_set_for_others(tmp_path: Path) -> None:
    folder = chexpert(tmp_path / "train")
    np.random.seed(7)
    expected = np.random.rand()
    np.random.seed(7)
    load("chexpert", folder)
    assert np.random.rand() == expected
    np.random.seed(7)
    xrv.datasets.CheX_Dataset(str(folder), str(folder / "train.csv"))
    assert np.random.rand() != expected


def test_labels_of_merged_tables_side_by_side(tmp_path: Path) -> None:
    folder = chexpert(tmp_path / "train")
    tables = [load("chexpert", folder, unique_patients=unique) for unique in (False, True)]
    with pytest.raises(NotImplementedError):
        xrv.datasets.MergeDataset(tables, label_concat=True)
    merged = tools.merge(tables, label_concat=True)
    width = len(find("chexpert").pathologies)
    assert merged.labels.shape == (5, 2 * width)
    np.testing.assert_array_equal(merged.labels[:3, :width], tables[0].labels)
    np.testing.assert_array_equal(merged.labels[3:, width:], tables[1].labels)
    assert np.isnan(merged.labels[:3, width:]).all()
    assert np.isnan(merged.labels[3:, :width]).all()


def test_filtering_gives_no_row_twice(tmp_path: Path) -> None:
    table = load("nih", owners.folder("nih", tmp_path))
    names = ["Mass", "Hernia"]
    original = xrv.datasets.FilterDataset(table, names)
    again = tools.filter_labels(table, names, xrv_compatible=True)
    np.testing.assert_array_equal(again.labels, original.labels)
    assert again.csv["image"].tolist() == original.csv["image"].tolist()
    ours = tools.filter_labels(table, names)
    assert (len(original), len(ours)) == (1294, 1282)
    assert ours.csv["image"].is_unique
    assert set(ours.csv["image"]) == set(original.csv["image"])

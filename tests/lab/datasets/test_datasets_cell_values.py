"""Single values of the owners' columns: those that would be a wrong label, and those that are only written otherwise."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from owners import put
from sheets import SHEETS, cell, same, save, whole
from small_folders import SMALL

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.load import load


@pytest.mark.parametrize(
    ("sheet", "heading", "age"),
    [
        ("nih", "Patient Age", "155"),
        ("nih", "Patient Age", "-1"),
        ("nih", "Patient Age", "411Y"),
        ("nih-google", "Patient Age", "148"),
        ("rsna headers", "PatientAge", "155"),
        ("chexpert", "Age", "155"),
        ("chexlocalize", "Age", "150"),
        ("brax", "PatientAge", "155"),
        ("covid-19", "age", "155"),
        ("mimic-cxr patients", "anchor_age", "300"),
        ("padchest", "PatientBirth", "1866"),
    ],
)
def test_an_age_that_nobody_has_is_unknown_and_counted(
    tmp_path: Path, sheet: str, heading: str, age: str
) -> None:
    table = cell(sheet, tmp_path, heading, age)
    assert int(table.csv["age_years"].isna().sum()) - (2 if "patients" in sheet else 0) == 1
    assert any("ages of 1 images are below 0 or above 122" in note for note in table.notes)


@pytest.mark.parametrize(
    ("sheet", "heading", "value", "row"),
    [
        ("nih", "Finding Labels", "", 1),
        ("nih-google", "Pneumothorax", "", 1),
        ("rsna", "Target", "", 1),
        ("siim-acr", "EncodedPixels", "", 1),
        ("siim-acr in PNG", "has_pneumo", "", 1),
        ("chexpert", "Edema", "-1", 3),
        ("brax", "Edema", "-1.0", 3),
        ("mimic-cxr", "Edema", "", 3),
        ("stony-brook", "Total OPACITY", "", 2),
    ],
)
def test_a_label_that_nobody_gave_is_unknown(
    tmp_path: Path, sheet: str, heading: str, value: str, row: int
) -> None:
    path, rows, read = whole(tmp_path, SHEETS[sheet])
    usual = read()
    rows[row][rows[SHEETS[sheet].above].index(heading)] = value
    save(path, rows)
    found = read()
    new = np.isnan(found.labels) & ~np.isnan(usual.labels)
    assert new.any()
    np.testing.assert_array_equal(found.labels[~new], usual.labels[~new])
    assert not found.csv["has_masks"][new.any(axis=1)].any() or sheet not in ("siim-acr", "rsna")


@pytest.mark.parametrize(
    ("sheet", "heading", "value", "row", "why"),
    [
        ("nih", "Finding Labels", "No Finding|Mass", -1, "none of the owner's"),
        ("nih", "Finding Labels", "Mass;Nodule", -1, "none of the owner's"),
        ("nih", "Image Index", "Exported on Monday", -1, "a file's name or path"),
        ("siim-acr", "ImageId", "12047 images", -1, "a file's name or path"),
        ("nih", "Finding Labels", "Mass|", -1, "none of the owner's"),
        ("nih-google", "Fracture", "MAYBE", -1, "none of the owner's: YES, NO"),
        ("rsna", "Target", "0", -1, "is in a row with a box"),
        ("rsna", "x", "", -1, "some of a box's four numbers"),
        ("rsna", "Target", "1", 1, "is in a row without a box"),
        ("rsna", "Target", "2", 1, "none of the owner's: 0, 1"),
        ("siim-acr", "EncodedPixels", "5 6 7", -1, "pairs of whole numbers"),
        ("siim-acr", "EncodedPixels", "5.5 6", -1, "pairs of whole numbers"),
        ("siim-acr", "EncodedPixels", "-1 5", -1, "pairs of whole numbers"),
        ("siim-acr", "EncodedPixels", "1048570 7", -1, "leads out of the picture"),
        ("siim-acr", "EncodedPixels", "-1", 3, "contradicts another row of its image"),
        ("siim-acr in PNG", "has_pneumo", "-1", -1, "none of the owner's: 0, 1"),
        ("chexpert", "Edema", "2", -1, "none of the owner's: 1, 0, -1"),
        ("chexpert", "Edema", "yes", -1, "none of the owner's: 1, 0, -1"),
        ("chexpert", "Age", "old", -1, "an age in years"),
        ("padchest", "Labels", "['cardiomegalia']", -1, "a list like"),
        ("padchest", "Labels", "cardiomegaly", -1, "a list like"),
        ("padchest", "Labels", "[]", -1, "a list like"),
        ("padchest", "PatientID", "1.6855E+38", -1, "a spreadsheet has shortened"),
        ("vindr-cxr", "class_name", "No finding", -1, "has a box"),
        ("vindr-cxr", "class_name", "Cardiomegalie", -1, "none of the owner's"),
        ("vindr-cxr", "x_max", "", -1, "some of a box's four numbers"),
        ("covid-19", "finding", "Pneumonia/Virus", -1, "none of the owner's"),
        ("covid-19", "finding", "No Finding/Pneumonia", -1, "none of the owner's"),
        ("stony-brook", "Total OPACITY", "9", -1, "a number from 0 to 8"),
        ("stony-brook", "Total OPACITY", "-1", -1, "a number from 0 to 8"),
        ("object-cxr", "annotation", "3 1 2 3 4", -1, "0 or 1 and four numbers"),
        ("object-cxr", "annotation", "0 1 2 3", -1, "0 or 1 and four numbers"),
        ("tbx11k simplified", "tb_type", "none", -1, "contradicts the column target"),
        ("tbx11k simplified", "fname", "h0001.png", -1, "contradicts another row of its image"),
        ("tbx11k simplified", "bbox", "{'xmin': 1}", -1, "is no box of four numbers"),
        ("mimic-cxr", "study_id", "50414.26", -1, "a whole number"),
        ("mimic-cxr", "study_id", "5.04E+07", -1, "a spreadsheet has shortened"),
        ("mimic-cxr metadata", "subject_id", "1,00E+07", -1, "a spreadsheet has shortened"),
        ("mimic-cxr metadata", "ViewPosition", "SIDEWAYS", -1, "none of the owner's"),
    ],
)
def test_a_value_that_would_be_a_wrong_label_is_refused(
    tmp_path: Path, sheet: str, heading: str, value: str, row: int, why: str
) -> None:
    path, rows, read = whole(tmp_path, SHEETS[sheet])
    rows[row][rows[SHEETS[sheet].above].index(heading)] = value
    save(path, rows)
    with pytest.raises(DatasetError, match=why):
        read()


@pytest.mark.parametrize(
    ("sheet", "heading", "value", "row"),
    [
        ("nih", "Finding Labels", "cardiomegaly| EFFUSION ", 2),
        ("nih", "Finding Labels", "Pleural Thickening|Nodule", 4),
        ("nih", "Finding Labels", "no finding", 1),
        ("nih", "View Position", "pa", 1),
        ("nih", "Patient Age", "041y", 1),
        ("nih-google", "Fracture", "yes", 1),
        ("rsna", "Target", "1.0", -1),
        ("siim-acr", "EncodedPixels", "-1.0", 1),
        ("siim-acr", "EncodedPixels", " 5000 20 ", -1),
        ("siim-acr in PNG", "has_pneumo", "1.0", -1),
        ("chexpert", "Edema", "1", 3),
        ("chexpert", "Sex", "female", 2),
        ("padchest", "Labels", "['Cardiomegaly', 'Pleural  effusion']", 2),
        ("vindr-cxr", "class_name", "lung_opacity", -1),
        ("covid-19", "finding", "pneumonia/viral/covid-19", 1),
        ("mimic-cxr", "study_id", "50414260.0", 1),
        ("brax", "PatientSex", "f", 1),
    ],
)
def test_the_same_value_written_otherwise_is_the_same(
    tmp_path: Path, sheet: str, heading: str, value: str, row: int
) -> None:
    path, rows, read = whole(tmp_path, SHEETS[sheet])
    usual = read()
    rows[row][rows[SHEETS[sheet].above].index(heading)] = value
    save(path, rows)
    same(read(), usual)


def test_a_decimal_comma_is_one_where_something_else_separates(tmp_path: Path) -> None:
    path, rows, read = whole(tmp_path, SHEETS["rsna"])
    usual = read()
    save(path, [[re.sub(r"^(\d+)\.(\d+)$", r"\1,\2", one) for one in row] for row in rows], ";")
    same(read(), usual)


def test_a_line_is_counted_as_an_editor_does(tmp_path: Path) -> None:
    rows = [
        ["patientid", "offset", "sex", "age", "finding", "view", "filename", "notes"],
        ["1", "0", "M", "65", "Pneumonia", "PA", "a.jpg", "three\nlines\nof text"],
        [],
        ["2", "0", "M", "65", "Pneumonai", "PA", "b.jpg", ""],
    ]
    save(tmp_path / "metadata.csv", rows)
    with pytest.raises(DatasetError, match="line 6, column finding: 'Pneumonai'"):
        load("covid-19", tmp_path)


def test_a_row_of_more_cells_than_headings_is_named(tmp_path: Path) -> None:
    path, rows, read = whole(tmp_path, SHEETS["vindr-cxr"])
    save(path, [*rows, [*rows[-1], "more"]])
    with pytest.raises(DatasetError, match=f"line {len(rows) + 1}: there are more cells than headings"):
        read()


def test_a_long_cell_is_shown_shortened_and_visible(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        cell("nih", tmp_path, "Finding Labels", "\x1b[31m" + "x" * 500)
    assert "\x1b" not in str(caught.value)
    assert "x" * 100 not in str(caught.value)


def test_no_finding_beside_a_finding_makes_that_unknown(tmp_path: Path) -> None:
    path, rows, read = whole(tmp_path, SHEETS["chexpert"])
    usual = read()
    rows[3][rows[0].index("No Finding")] = "1.0"  # beside Lung Opacity, Edema and Support Devices
    save(path, rows)
    found = read()
    at = {
        name: found.labels[2, found.pathologies.index(name)] for name in ("Edema", "Lung Opacity", "Fracture")
    }
    assert np.isnan(at["Edema"])
    assert np.isnan(at["Lung Opacity"])
    assert at["Fracture"] == 0
    devices = found.pathologies.index("Support Devices")
    assert found.labels[2, devices] == usual.labels[2, devices] == 1
    assert "No Finding stands beside 2 present findings: they are unknown" in found.notes


def test_a_label_without_a_column_is_told(tmp_path: Path) -> None:
    path, rows, read = whole(tmp_path, SHEETS["chexpert"])
    rows[0][rows[0].index("Cardiomegaly")] = "Cardiomegally"
    save(path, rows)
    found = read()
    assert np.isnan(found.labels[1:, found.pathologies.index("Cardiomegaly")]).all()
    assert "there is no column of Cardiomegaly: unknown for all images" in found.notes


def test_the_labels_of_chexpert_plus_are_held_to_the_labellers(tmp_path: Path) -> None:
    put(
        tmp_path / "df_chexpert_plus_240401.csv",
        "path_to_image,frontal_lateral,ap_pa,age,sex,split\ntrain/patient1/study1/view1_frontal.jpg,Frontal,PA,60,Male,train\n",
    )
    found: dict[str, Any] = {"path_to_image": "train/patient1/study1/view1_frontal.jpg", "Edema": 1.0}
    put(tmp_path / "impression_fixed.json", json.dumps(found))
    assert len(load("chexpert", tmp_path)) == 1
    put(tmp_path / "impression_fixed.json", json.dumps(found | {"Edema": "maybe"}))
    with pytest.raises(DatasetError, match="line 1, Edema: 'maybe' is none of the owner's"):
        load("chexpert", tmp_path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"category_id": 9}, "annotation 2: category '9'"),
        ({"image_id": 77}, "1 annotations are of images that are not in it"),
        ({"bbox": "wide"}, "is not as TBX11K is published"),
    ],
)
def test_an_annotation_of_tbx11k_that_is_none(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    SMALL["tbx11k"](tmp_path)
    path = tmp_path / "annotations/json/TBX11K_train.json"
    content = json.loads(path.read_text())
    content["annotations"][1] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=why):
        load("tbx11k", tmp_path)


def test_an_image_of_tbx11k_in_two_parts(tmp_path: Path) -> None:
    path, rows, read = whole(tmp_path, SHEETS["tbx11k simplified"])
    other = list(rows[-1])
    other[rows[0].index("source")] = "val"
    save(path, [*rows, other])
    with pytest.raises(DatasetError, match="column source: 'val' contradicts another row of its image"):
        read()


def test_a_report_of_openi_that_says_nothing_and_one_that_is_none(tmp_path: Path) -> None:
    SMALL["openi"](tmp_path)
    report = '<eCitation><uId id="CXR2"/><MeSH/><parentImage id="CXR2_IM-0002-1001"/></eCitation>'
    put(tmp_path / "ecgen-radiology/2.xml", report)
    table = load("openi", tmp_path)
    assert np.isnan(table.labels[1]).all()
    assert not np.isnan(table.labels[[0, 2, 3]]).any()
    assert table.notes == ("the reports of 1 images have no MeSH term: all labels are unknown",)
    put(tmp_path / "ecgen-radiology/2.xml", "<html><body>Log in</body></html>")
    with pytest.raises(DatasetError, match=r"2\.xml cannot be read as a report"):
        load("openi", tmp_path)


def test_what_the_files_of_nlm_do_not_say_is_counted(tmp_path: Path) -> None:
    SMALL["nlm-tb"](tmp_path)
    place = tmp_path / "MontgomerySet"
    (place / "ClinicalReadings/MCUCXR_0001_1.txt").unlink()
    put(place / "ClinicalReadings/MCUCXR_0002_0.txt", "Patient's Sex: M\nPatient's Age: 411Y\n")
    put(place / "CXR_png/MCUCXR_0009_2.png")
    table = load("nlm-tb", tmp_path)
    assert len(table) == 4
    assert table.csv["sex"].tolist() == ["", "M", "F", "M"]
    assert table.csv["age_years"].isna().tolist() == [True, True, False, False]
    assert len(table.notes) == 4
    assert "1 files in CXR_png are not called name_0.png or name_1.png and are passed over" in table.notes


def test_torchxrayvisions_own_reading_stays(tmp_path: Path) -> None:
    path, rows, _ = whole(tmp_path, SHEETS["nih"])
    rows[1][1], rows[2][1] = "", "effusion"
    save(path, rows)
    table = load("nih", tmp_path, xrv_compatible=True)
    assert table.labels[:2].sum() == 0


@pytest.mark.parametrize("end", ["00000002_000.png,No Fin", "00000002_000.png"])
def test_a_table_that_ends_within_a_line_was_cut_short(tmp_path: Path, end: str) -> None:
    SMALL["nih"](tmp_path)
    table = tmp_path / "Data_Entry_2017.csv"
    table.write_text("\n".join([*table.read_text().splitlines()[:2], end]))
    with pytest.raises(DatasetError, match=r"Data_Entry_2017.csv ends within a line: it was cut short"):
        load("nih", tmp_path)


@pytest.mark.parametrize("end", ["", "\n", "\n  "])
def test_a_table_may_end_without_a_line_end(tmp_path: Path, end: str) -> None:
    SMALL["nih"](tmp_path)
    table = tmp_path / "Data_Entry_2017.csv"
    table.write_text(table.read_text().rstrip("\n") + end)
    assert len(load("nih", tmp_path)) == 4


@pytest.mark.parametrize("name", [name for name in SMALL if name not in ("nlm-tb", "openi", "tbx11k")])
def test_a_table_without_rows_says_so(tmp_path: Path, name: str) -> None:
    SMALL[name](tmp_path)
    for table in tmp_path.rglob("*.csv"):
        lines = table.read_text().splitlines()
        table.write_text("\n".join(lines[: 2 if name == "stony-brook" else 1]) + "\n")
    with pytest.raises(DatasetError, match="has no rows below its headings"):
        load(name, tmp_path)


def test_boxes_behind_a_column_of_numbers_that_a_program_put_before_them(tmp_path: Path) -> None:
    SMALL["nih"](tmp_path)
    before = load("nih", tmp_path)
    table = tmp_path / "BBox_List_2017.csv"
    table.write_text("".join(f"{n},{line}\n" for n, line in enumerate(table.read_text().splitlines())))
    assert list(load("nih", tmp_path).regions) == list(before.regions)


@pytest.mark.parametrize("heading", ["Bbox [x,y,w,h],,,", '"Bbox [x,y,w,h]",,,'])
def test_a_box_that_is_no_four_numbers_is_refused(tmp_path: Path, heading: str) -> None:
    SMALL["nih"](tmp_path)
    before = load("nih", tmp_path)
    table = tmp_path / "BBox_List_2017.csv"
    row = "00000003_000.png,Mass,100.5,200.0,300.0,150.0,,,"
    table.write_text(f"Image Index,Finding Label,{heading}\n{row}\n")
    assert list(load("nih", tmp_path).regions) == list(before.regions)
    table.write_text(table.read_text().replace("200.0", "two hundred"))
    with pytest.raises(DatasetError, match=r"BBox_List_2017\.csv.*(two hundred|is no four numbers)"):
        load("nih", tmp_path)


def test_paths_in_capitals_have_their_patients(tmp_path: Path) -> None:
    SMALL["chexpert"](tmp_path)
    before = load("chexpert", tmp_path)
    table = tmp_path / "train.csv"
    head, *lines = table.read_text().splitlines()
    table.write_text("\n".join([head, *(line.upper() for line in lines)]) + "\n")
    again = load("chexpert", tmp_path)
    assert again.csv["patientid"].tolist() == before.csv["patientid"].tolist()
    assert again.csv["image"].tolist() == before.csv["image"].tolist()

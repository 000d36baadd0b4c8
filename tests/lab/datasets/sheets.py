"""The label files of the small folders, with what their readers declare, to be written again with troubles."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from owners import put
from small_folders import COPIES, SMALL

from xrv_node.lab.datasets.columns import Column
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.readers import (
    brax,
    chexpert,
    covid_19,
    mimic_cxr,
    nih,
    nih_google,
    object_cxr,
    openi,
    padchest,
    rsna,
    siim_acr,
    stony_brook,
    tbx11k,
    vindr_cxr,
)
from xrv_node.lab.datasets.table import LabelTable

LAYOUTS = {name: (name, write) for name, write in SMALL.items()} | COPIES


@dataclass(frozen=True)
class Sheet:
    """A label file of a small folder."""

    layout: str
    file: str
    columns: Sequence[Column]
    once: str = ""
    """The column that may name an image in one row only."""
    above: int = 0
    """Lines above the headings."""
    part: str | None = None


SHEETS = {
    "nih": Sheet("nih", "Data_Entry_2017.csv", nih.COLUMNS, "Image Index"),
    "nih boxes": Sheet("nih", "BBox_List_2017.csv", nih.BOX_COLUMNS),
    "nih-google": Sheet(
        "nih-google", "four_findings_expert_labels/test_labels.csv", nih_google.COLUMNS, "Image Index"
    ),
    "rsna": Sheet("rsna", "stage_2_train_labels.csv", rsna.COLUMNS),
    "rsna headers": Sheet("rsna", "stage_2_train_images_dicom_headers.csv", rsna.HEADER_COLUMNS, "PatientID"),
    "padchest": Sheet(
        "padchest", "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", padchest.COLUMNS, "ImageID"
    ),
    "chexpert": Sheet("chexpert", "train.csv", chexpert.COLUMNS, "Path"),
    "chexlocalize": Sheet("chexlocalize", "CheXpert/val_labels.csv", chexpert.COLUMNS, "Path"),
    "mimic-cxr": Sheet(
        "mimic-cxr",
        "mimic-cxr-2.0.0-chexpert.csv",
        next(iter(mimic_cxr.TABLES.values())),
        "study_id",
    ),
    "mimic-cxr metadata": Sheet(
        "mimic-cxr", "mimic-cxr-2.0.0-metadata.csv", mimic_cxr.METADATA_COLUMNS, "dicom_id"
    ),
    "mimic-cxr patients": Sheet("mimic-cxr", "patients.csv", mimic_cxr.PATIENT_COLUMNS, "subject_id"),
    "openi": Sheet(
        "openi", "nlmcxr_dicom_metadata.csv", openi.TABLES["nlmcxr_dicom_metadata.csv"], "imageid"
    ),
    "siim-acr": Sheet("siim-acr", "train-rle.csv", siim_acr.COLUMNS),
    "siim-acr in PNG": Sheet(
        "siim-acr in PNG",
        "siim-acr-pneumothorax/stage_1_train_images.csv",
        siim_acr.PICTURE_COLUMNS,
        "new_filename",
    ),
    "vindr-cxr": Sheet("vindr-cxr", "annotations/annotations_train.csv", vindr_cxr.COLUMNS),
    "brax": Sheet("brax", "master_spreadsheet_update.csv", brax.COLUMNS, "PngPath"),
    "tbx11k simplified": Sheet("tbx11k simplified", "data.csv", tbx11k.COLUMNS),
    "covid-19": Sheet("covid-19", "metadata.csv", covid_19.COLUMNS, "filename"),
    "stony-brook": Sheet("stony-brook", "ralo-dataset-metadata.csv", stony_brook.COLUMNS, above=1),
    "object-cxr": Sheet("object-cxr", "train.csv", object_cxr.COLUMNS, "image_name"),
}


def whole(place: Path, sheet: Sheet) -> tuple[Path, list[list[str]], Callable[[], LabelTable]]:
    """Write the small folder of a sheet; the sheet's path, its cells, and what reads the folder."""
    name, write = LAYOUTS[sheet.layout]
    write(place)
    path = place / sheet.file
    if sheet.layout == "rsna" and "headers" in sheet.file:
        lines = [f"0004cfab-14fd-4e49-80ba-63a80b6bddd{n},PA,5{n},M" for n in range(4)]
        put(path, "\n".join(["PatientID,ViewPosition,PatientAge,PatientSex", *lines]) + "\n")
    if sheet.layout == "openi":
        put(
            path,
            "imageid,View Position\n"
            + "".join(f"CXR{n}_IM-000{n}-1001,{'PA' if n < 4 else 'LL'}\n" for n in range(1, 5)),
        )
    rows = [[one.strip() for one in row] for row in csv.reader(io.StringIO(path.read_text()))]
    return path, rows, partial(load, name, place, part=sheet.part, views=["*"], unique_patients=False)


def save(path: Path, rows: Sequence[Sequence[str]], separator: str = ",", encoding: str = "utf-8") -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))


def same(table: LabelTable, other: LabelTable) -> None:
    np.testing.assert_array_equal(table.labels, other.labels)
    for name in ("image", "patientid", "view", "age_years", "sex", "has_masks"):
        assert table.csv[name].fillna(-1).tolist() == other.csv[name].fillna(-1).tolist(), name
    assert [[region.data for region in some] for some in table.regions] == [
        [region.data for region in some] for some in other.regions
    ]


def cell(sheet: str, place: Path, heading: str, value: str, row: int = -1) -> LabelTable:
    """Read a small folder with one cell changed."""
    path, rows, read = whole(place, SHEETS[sheet])
    rows[row][rows[SHEETS[sheet].above].index(heading)] = value
    save(path, rows)
    return read()

"""The label files that torchxrayvision carries, row by row against its classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import owners
import pytest

from xrv_node.lab.datasets.catalog import find
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.table import LabelTable

xrv = pytest.importorskip("torchxrayvision")

ALL = {"views": ["*"], "unique_patients": False}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("nih", {}, {}),
    ("nih", ALL, ALL),
    ("nih-google", {}, {}),
    ("nih-google", ALL, ALL),
    ("rsna", {}, {}),
    ("rsna", {"views": ["PA", "AP"]}, {"views": ["PA", "AP"]}),
    ("padchest", {}, {}),
    ("chexpert", {}, {}),
    ("openi", {}, {}),
    ("openi", ALL, ALL),
    ("openi", {"use_tsne_derived_view": True}, {"part": "tsne"}),
    ("siim-acr", {}, {}),
    ("vindr-cxr", {}, {}),
]
"""Dataset, torchxrayvision's options, ours. Nothing said is torchxrayvision's choice on both sides."""

IMAGE = {
    "rsna": "patientId",
    "padchest": "ImageID",
    "chexpert": "Path",
    "openi": "imageid",
    "siim-acr": "ImageId",
}
IMAGE |= {"vindr-cxr": "image_id"}


def theirs(name: str, folder: Path, options: dict[str, Any]) -> Any:
    return getattr(xrv.datasets, find(name).xrv_class)(imgpath=str(folder), **options)


def same_rows(table: LabelTable, original: Any) -> None:
    """Labels and the common columns, as far as torchxrayvision has them."""
    assert list(table.pathologies) == list(original.pathologies)
    np.testing.assert_array_equal(table.labels, original.labels)
    assert table.labels.dtype == np.float32
    for column in ("patientid", "view", "has_masks"):
        if column in original.csv:
            assert table.csv[column].astype(str).tolist() == original.csv[column].astype(str).tolist(), column
    for column in ("age_years", "offset_day_int"):
        if column in original.csv:
            np.testing.assert_array_equal(table.csv[column], original.csv[column].astype(float), column)
    if "sex_male" in original.csv:
        assert (table.csv["sex"] == "M").tolist() == original.csv["sex_male"].tolist()
        assert (table.csv["sex"] == "F").tolist() == original.csv["sex_female"].tolist()


@pytest.mark.parametrize(("name", "their_options", "our_options"), CASES)
def test_compatible_tables_have_the_rows_of_torchxrayvision(
    tmp_path: Path, name: str, their_options: dict[str, Any], our_options: dict[str, Any]
) -> None:
    folder = owners.folder(name, tmp_path)
    original = theirs(name, folder, their_options)
    table = load(name, folder, **our_options, xrv_compatible=True)
    same_rows(table, original)
    heading = IMAGE.get(name, "Image Index")
    assert table.csv[heading].tolist() == original.csv[heading].tolist()


@pytest.mark.parametrize("name", ["nih", "nih-google", "rsna", "openi", "vindr-cxr"])
def test_without_its_errors_the_labels_are_the_same_where_it_has_none(tmp_path: Path, name: str) -> None:
    folder = owners.folder(name, tmp_path)
    original = theirs(name, folder, {})
    table = load(name, folder)
    np.testing.assert_array_equal(table.labels, original.labels)
    heading = IMAGE.get(name, "Image Index")
    assert table.csv[heading].tolist() == original.csv[heading].tolist()


def test_padchest_without_its_errors(tmp_path: Path) -> None:
    folder = owners.folder("padchest", tmp_path)
    table = load("padchest", folder, views=["PA", "AP"], unique_patients=False)
    assert len(table) == 94815
    assert {name: table.totals()[name][1.0] for name in ("Cardiomegaly", "Pneumothorax", "Tube")} == {
        "Cardiomegaly": 8743,
        "Pneumothorax": 243,
        "Tube": 1592,
    }
    dates = table.csv["StudyDate_DICOM"].astype(str)
    days = np.array([f"{text[:4]}-{text[4:6]}-{text[6:]}" for text in dates], dtype="datetime64[D]").astype(
        int
    )
    np.testing.assert_array_equal(table.csv["offset_day_int"], days)
    exam_years = dates.str[:4].astype(int)
    np.testing.assert_array_equal(table.csv["age_years"], exam_years - table.csv["PatientBirth"])


def test_chexpert_without_its_errors(tmp_path: Path) -> None:
    """Each row of the unmixed table is a row of the file: nothing comes from another image of the patient."""
    folder = owners.folder("chexpert", tmp_path)
    mixed = load("chexpert", folder, xrv_compatible=True)
    table = load("chexpert", folder)
    whole = load("chexpert", folder, views=["PA"], unique_patients=False)
    position = {path: row for row, path in enumerate(whole.csv["Path"])}
    np.testing.assert_array_equal(table.labels, whole.labels[[position[path] for path in table.csv["Path"]]])
    assert table.csv["Path"].tolist() == mixed.csv["Path"].tolist()
    differing = ~((table.labels == mixed.labels) | (np.isnan(table.labels) & np.isnan(mixed.labels)))
    assert (int(differing.any(axis=1).sum()), int(differing.sum())) == (3197, 12189)


def test_the_table_counts_like_torchxrayvision(tmp_path: Path) -> None:
    folder = owners.folder("nih-google", tmp_path)
    assert load("nih-google", folder, **ALL).totals() == theirs("nih-google", folder, ALL).totals()

"""CheXpert: train.csv, valid.csv, test_labels.csv; or CheXpert Plus, the same images with another table."""

from __future__ import annotations

import os
from dataclasses import replace

import pandas as pd

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import Place, Words
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.json_file import read_json_lines
from xrv_node.lab.datasets.readers import labeler
from xrv_node.lab.datasets.table import LabelTable

_FILES = {
    "train": ("train.csv", "chexpert_train.csv"),
    "valid": ("valid.csv", "val_labels.csv"),
    "test": ("test.csv", "test_labels.csv"),
}

COLUMNS = (Place("Path"), *labeler.FACTS, *labeler.COLUMNS)

PARTS = 3
"""Patient, study and view tell an image from all others; patients count through train, valid and test."""

_PLUS = "df_chexpert_plus_240401.csv"
_PLUS_LABELS = "impression_fixed.json"
"""The labeller's findings in the impression of each report, as in CheXpert (Chambon et al. 2024); a line of
JSON for each image."""
_PLUS_HEADINGS = {
    "path_to_image": "Path",
    "frontal_lateral": "Frontal/Lateral",
    "ap_pa": "AP/PA",
    "age": "Age",
    "sex": "Sex",
}
"""CheXpert Plus's headings and CheXpert's; its reports stay unread."""
PLUS_COLUMNS = (
    *(
        replace(column, heading=heading, needed=True)
        for column, heading in zip(COLUMNS, _PLUS_HEADINGS, strict=False)
    ),
    Words("split", words=("train", "valid")),
)


TABLES = {"train.csv, valid.csv, test_labels.csv": COLUMNS, _PLUS: PLUS_COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the label file of the part, or CheXpert Plus where that is in the folder instead."""
    names = _FILES[options.part]
    plus = folder.find(*names) is None and options.part != "test" and folder.find(_PLUS) is not None
    as_is = options.xrv_compatible
    frame = _plus(folder, options) if plus else folder.table(*names, columns=COLUMNS, key="Path", as_is=as_is)
    patient = rows.extracted(frame["Path"], r"(?i)patient(\d+)")
    if nobodys := int(patient.isna().sum()):
        folder.notes.append(f"{nobodys} paths name no patient: whose images they are is unknown")
    frame = frame.assign(view=labeler.views(frame), patient=patient)
    frame = rows.selected(folder, frame, options, "patient")
    labels = labeler.labels(folder, frame, as_is=as_is)
    frame = labeler.with_patients(frame, zero_is_unknown=not options.xrv_compatible)
    frame["patientid"] = frame["patient"]
    if options.xrv_compatible:
        frame["patientid"] = _ids_by_file_path(frame, str(folder.file(*names)))
    paths = without_release(frame["Path"])
    others = (paths.str.replace(r"\.jpg$", ending, regex=True) for ending in (".png", ".dcm"))
    frame["image"] = folder.images(paths, _in_batches(folder, paths), *others, least=PARTS)
    return rows.built(folder, options, frame.drop(columns="patient"), labels)


def without_release(paths: pd.Series) -> pd.Series:
    """Return the paths without the release's name that they begin with (CheXpert-v1.0, -small)."""
    return paths.astype(str).str.replace(r"^CheXpert-v1\.0(?:-small)?/", "", regex=True)


def _plus(folder: Folder, options: Options) -> pd.DataFrame:
    """CheXpert Plus under CheXpert's headings."""
    as_is = options.xrv_compatible
    table = folder.table(_PLUS, columns=PLUS_COLUMNS, key="path_to_image", others=False, as_is=as_is)
    chosen = table.loc[table["split"] == options.part, list(_PLUS_HEADINGS)]
    lines = read_json_lines(folder.file(_PLUS_LABELS, packed=("",)))
    found = pd.DataFrame([line for line in lines if isinstance(line, dict)])
    if "path_to_image" not in found.columns:
        raise DatasetError(
            f"{_PLUS_LABELS} in {folder.path} is not as CheXpert Plus is published; get it again"
        )
    labeler.check_lines(found, folder.path / _PLUS_LABELS)
    known = [column.heading for column in labeler.COLUMNS if column.heading in found.columns]
    found = found.drop_duplicates(["path_to_image", *known])
    if found["path_to_image"].duplicated().any():
        raise DatasetError(f"{_PLUS_LABELS} in {folder.path} has two lines of one image with other labels")
    if without := int((~chosen["path_to_image"].isin(found["path_to_image"])).sum()):
        folder.notes.append(f"{_PLUS_LABELS} has no line of {without} images: their labels are unknown")
    return chosen.merge(found, on="path_to_image", how="left").rename(columns=_PLUS_HEADINGS)


def _in_batches(folder: Folder, paths: pd.Series) -> pd.Series:
    """The paths where the owner's archives were unpacked, each into a folder of its own.

    ``CheXpert-v1.0 batch 2 (train 1)`` holds patients without a ``train`` above them, the first batch
    ``valid``.
    """
    batches = [path for path in folder.path.glob("CheXpert-v1.0 batch *") if path.is_dir()]
    place = {name: batch.name for batch in batches for name in os.listdir(batch)}

    def within(path: str) -> str:
        split, _, rest = path.partition("/")
        patient = rest.partition("/")[0]
        return f"{place[patient]}/{rest}" if patient in place else f"{place.get(split, '.')}/{path}"

    return paths.map(within) if place else paths


def _ids_by_file_path(frame: pd.DataFrame, path: str) -> pd.Series:
    """The patient as torchxrayvision finds it: by the first of two words in the path of the label file."""
    split = next((word for word in ("train", "valid") if word in path), None)
    if split is None or not frame["Path"].str.contains(f"{split}/", regex=False).any():
        raise DatasetError(
            "torchxrayvision reads CheXpert files only where their path has train or valid in it"
        )
    return rows.extracted(frame["Path"], rf"{split}/patient(.*?)(?:/study|$)")

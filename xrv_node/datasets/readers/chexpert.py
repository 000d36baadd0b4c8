"""CheXpert: train.csv, valid.csv, test.csv."""

from __future__ import annotations

import pandas as pd

from xrv_node.datasets import rows
from xrv_node.datasets.catalog import Options
from xrv_node.datasets.found import Folder
from xrv_node.datasets.readers import labeler
from xrv_node.datasets.table import LabelTable
from xrv_node.errors import DatasetError

_FILES = {
    "train": ("train.csv", "chexpert_train.csv"),
    "valid": ("valid.csv", "val_labels.csv"),
    "test": ("test.csv", "test_labels.csv"),
}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the label file of the part."""
    path = folder.file(*_FILES[options.part])
    frame = folder.table(*_FILES[options.part], columns=("Path",))
    patient = rows.extracted(frame["Path"], r"patient(\d+)")
    frame = frame.assign(view=labeler.views(frame), patient=patient)
    frame = rows.selected(frame, options, "patient")
    labels = labeler.labels(frame, folder.entry.pathologies)
    frame = labeler.with_patients(frame, zero_is_unknown=not options.xrv_compatible)
    frame["patientid"] = _ids_by_file_path(frame, str(path)) if options.xrv_compatible else frame["patient"]
    frame["image"] = folder.placed(without_release(frame["Path"]))
    return rows.built(folder, options, frame.drop(columns="patient"), labels)


def without_release(paths: pd.Series) -> pd.Series:
    """Return the paths without the release's name that they begin with (CheXpert-v1.0, -small)."""
    return paths.astype(str).str.replace(r"^CheXpert-v1\.0(?:-small)?/", "", regex=True)


def _ids_by_file_path(frame: pd.DataFrame, path: str) -> pd.Series:
    """The patient as torchxrayvision finds it: by the first of two words in the path of the label file."""
    split = next((word for word in ("train", "valid") if word in path), None)
    if split is None or not frame["Path"].str.contains(f"{split}/", regex=False).any():
        raise DatasetError(
            "torchxrayvision reads CheXpert files only where their path has train or valid in it"
        )
    return rows.extracted(frame["Path"], rf"{split}/patient(.*?)(?:/study|$)")

"""RSNA Pneumonia Detection Challenge: a line for each box, views in the DICOM headers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import UNKNOWN, Number, Place, Rule, Words, ages
from xrv_node.lab.datasets.csv_table import read_table
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.headers import read_headers
from xrv_node.lab.datasets.table import LabelTable, Region

_BOX = ["x", "y", "width", "height"]
_GRID = (1024, 1024)
"""Rows and columns of all its images."""

COLUMNS = (
    Place("patientId"),
    *(Number(side, "no box", low=0) for side in _BOX),
    Number("Target", UNKNOWN, among=(0, 1)),
)
RULES = (
    Rule("Target", "is in a row with some of a box's four numbers", lambda lines: rows.partial(lines, _BOX)),
    Rule(
        "Target",
        "is in a row without a box",
        lambda lines: (lines["Target"] == 1) & lines[_BOX].isna().any(axis="columns"),
    ),
    Rule(
        "Target",
        "is in a row with a box",
        lambda lines: (lines["Target"] != 1) & lines[_BOX].notna().any(axis="columns"),
    ),
    Rule(
        "Target",
        "contradicts another row of its image",
        lambda lines: rows.differing(lines, "patientId", "Target"),
    ),
)
HEADER_COLUMNS = (
    Place("PatientID"),
    Words("ViewPosition", UNKNOWN, words=("PA", "AP")),
    ages("PatientAge"),
    Words("PatientSex", UNKNOWN, words=("M", "F")),
)


TABLES = {
    "stage_2_train_labels.csv": COLUMNS,
    "stage_2_train_images_dicom_headers.csv": HEADER_COLUMNS,
}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one row an image. Both labels are the challenge's target: opacity that may be pneumonia."""
    lines = folder.table(
        "stage_2_train_labels.csv",
        "kaggle_stage_2_train_labels.csv",
        columns=COLUMNS,
        rules=RULES,
        as_is=options.xrv_compatible,
    )
    frame = lines.drop_duplicates("patientId").sort_values("patientId").reset_index(drop=True)
    frame["image"] = folder.images(frame["patientId"], endings=(".dcm", ".jpg", ".png"))
    frame = _with_headers(folder, frame, options.xrv_compatible)
    frame = rows.selected(folder, frame.assign(view=frame["ViewPosition"]), options)
    labels = np.repeat(frame[["Target"]].to_numpy(dtype=np.float32), len(folder.entry.pathologies), axis=1)
    regions = rows.grouped(frame["patientId"], _boxes(lines, folder.entry.pathologies))
    frame["patientid"] = frame["patientId"]
    return rows.built(folder, options, frame, labels, regions=regions)


def _with_headers(folder: Folder, frame: pd.DataFrame, as_is: bool) -> pd.DataFrame:
    """Add view, age and sex from a table of headers, if one was made, else from the headers."""
    path = folder.find(
        "stage_2_train_images_dicom_headers.csv", "kaggle_stage_2_train_images_dicom_headers.csv"
    )
    if path is None:
        headers = read_headers(folder.path, frame["image"].tolist())
    else:
        table = read_table(path, HEADER_COLUMNS, key="PatientID", as_is=as_is, notes=folder.notes)
        table = table.drop_duplicates("PatientID").set_index("PatientID")
        headers = table.reindex(frame["patientId"]).reset_index(drop=True)
    headers = headers.assign(age_years=rows.years(headers["PatientAge"]), sex=headers["PatientSex"])
    return pd.concat([frame, headers], axis="columns")


def _boxes(lines: pd.DataFrame, names: tuple[str, ...]) -> Iterator[tuple[str, Region]]:
    drawn = lines[lines[_BOX].notna().all(axis="columns")]
    for image, *box in zip(drawn["patientId"], *(drawn[side] for side in _BOX), strict=True):
        for name in names:
            yield image, Region(name, "xywh", tuple(map(float, box)), _GRID)

"""BRAX: master_spreadsheet_update.csv."""

from __future__ import annotations

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import UNKNOWN, Matching, Name, Number, Place, Words, ages
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.readers import labeler
from xrv_node.lab.datasets.table import LabelTable

_LONGEST = 10.0
"""Long side over short. Twelve labelled images are strips, 19 to 213 times as long as wide, and no chest
(torchxrayvision); every other one is below 9."""

_PARTS = 4
"""Patient, study, series and image: the owner says of none of them that it is unique by itself."""


COLUMNS = (
    Name("PatientID", UNKNOWN),
    Place("PngPath"),
    Place("DicomPath", "not there", needed=False),
    Matching(
        "ViewPosition",
        "unknown",
        pattern=r"[A-Za-z][A-Za-z _-]*",
        form="a word in letters, which is the view",
    ),
    ages("PatientAge"),
    Words("PatientSex", UNKNOWN, words=("M", "F", "O")),
    Number("Rows", low=1),
    Number("Columns", low=1),
    *labeler.COLUMNS,
)


TABLES = {"master_spreadsheet_update.csv": COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the table, without the strips. Ages are published in steps of five years, 85 for all above."""
    frame = folder.table(
        "master_spreadsheet_update.csv",
        "master_spreadsheet.csv",
        columns=COLUMNS,
        key="PngPath",
        as_is=options.xrv_compatible,
    )
    sides = frame[["Rows", "Columns"]]
    frame = frame[sides.max(axis="columns") <= _LONGEST * sides.min(axis="columns")]
    frame = rows.selected(folder, frame.assign(view=frame["ViewPosition"]), options)
    if options.unique_patients:  # here torchxrayvision mixes no rows and keeps the file's order
        frame = frame.drop_duplicates("PatientID").reset_index(drop=True)
    images = [frame[name].astype(str) for name in ("PngPath", "DicomPath") if name in frame.columns]
    labels = labeler.labels(folder, frame, as_is=options.xrv_compatible)
    frame = frame.assign(
        patientid=frame["PatientID"],
        age_years=rows.years(frame["PatientAge"]),
        sex=frame["PatientSex"],
        image=folder.images(*images, least=_PARTS),
    )
    return rows.built(folder, options, frame, labels)

"""BRAX: master_spreadsheet_update.csv."""

from __future__ import annotations

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.readers import labeler
from xrv_node.lab.datasets.table import LabelTable

_LONGEST = 10.0
"""Long side over short. Twelve labelled images are strips, 19 to 213 times as long as wide, and no chest
(torchxrayvision); every other one is below 9."""


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the table, without the strips. Ages are published in steps of five years, 85 for all above."""
    columns = ("PatientID", "PngPath", "ViewPosition", "PatientAge", "PatientSex", "Rows", "Columns")
    frame = folder.table("master_spreadsheet_update.csv", "master_spreadsheet.csv", columns=columns)
    sides = frame[["Rows", "Columns"]]
    frame = frame[sides.max(axis="columns") <= _LONGEST * sides.min(axis="columns")]
    frame = rows.selected(frame.assign(view=frame["ViewPosition"]), options)
    if options.unique_patients:  # here torchxrayvision mixes no rows and keeps the file's order
        frame = frame.drop_duplicates("PatientID").reset_index(drop=True)
    images = [frame[name].astype(str) for name in ("PngPath", "DicomPath") if name in frame.columns]
    labels = labeler.labels(frame, folder.entry.pathologies)
    frame = frame.assign(
        patientid=frame["PatientID"],
        age_years=rows.years(frame["PatientAge"]),
        sex=frame["PatientSex"],
        image=folder.placed(*images),
    )
    return rows.built(folder, options, frame, labels)

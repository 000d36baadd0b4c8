"""Stony Brook's RALO: two radiologists' scores of severity."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import UNKNOWN, Matching, Name, Number
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.table import LabelTable

_SCORES = {"Geographic Extent": "Total GEOGRAPHIC", "Lung Opacity": "Total OPACITY"}


COLUMNS = (
    Name("Subject_ID", UNKNOWN),
    Matching("Exam_DateTime", UNKNOWN, pattern=r"\d{8}(?:_\d+)?", form="YYYYMMDD_HHMMSS"),
    *(Number(f"{name}{end}", UNKNOWN, low=0, high=8) for name in _SCORES.values() for end in ("", ".1")),
)
"""A score is the sum over both lungs, each up to 4."""


TABLES = {"ralo-dataset-metadata.csv": COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the mean of the two readers' scores; image i of the table is ``i.jpg``. All are AP.

    The file's first line is a heading over groups of columns; a score's second column is the second reader's.
    """
    frame = folder.table("ralo-dataset-metadata.csv", columns=COLUMNS, as_is=options.xrv_compatible)
    files = folder.images(pd.Series(frame.index.astype(str), dtype=object), endings=(".jpg", ".png"))
    (beyond,) = folder.images(
        pd.Series([str(len(frame))], dtype=object), endings=(".jpg", ".png"), notes=False
    )
    if (folder.path / beyond).is_file():
        folder.notes.append(
            f"{beyond} is beyond the {len(frame)} rows of the table: if rows were taken out of it, "
            "labels are those of other images; get it again"
        )
    dates = frame["Exam_DateTime"].astype(str).str.split("_").str[0]
    frame = frame.assign(
        image=files,
        view="AP",
        patientid=frame["Subject_ID"],
        offset_day_int=rows.as_xrv_days(dates) if options.xrv_compatible else rows.days(dates),
        **{name: (frame[score] + frame[f"{score}.1"]) / 2 for name, score in _SCORES.items()},
    )
    frame = rows.selected(folder, frame, options, "patientid")
    labels = frame[list(_SCORES)].to_numpy(dtype=np.float32)
    return rows.built(folder, options, frame.drop(columns=list(_SCORES)), labels)

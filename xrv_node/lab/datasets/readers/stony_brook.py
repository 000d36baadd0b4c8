"""Stony Brook's RALO: two radiologists' scores of severity."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.table import LabelTable

_SCORES = {"Geographic Extent": "Total GEOGRAPHIC", "Lung Opacity": "Total OPACITY"}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the mean of the two readers' scores; image i of the table is ``i.jpg``. All are AP.

    The file's first line is a heading over groups of columns; a score's second column is the second reader's.
    """
    columns = (
        "Subject_ID",
        "Exam_DateTime",
        *(f"{name}{end}" for name in _SCORES.values() for end in ("", ".1")),
    )
    frame = folder.table("ralo-dataset-metadata.csv", columns=columns, skip=1)
    files = folder.named(
        pd.Series([str(number) for number in frame.index], dtype=object), (".jpg", ".png"), ("*.zip",)
    )
    dates = frame["Exam_DateTime"].astype(str).str.split("_").str[0]
    frame = frame.assign(
        image=files,
        view="AP",
        patientid=frame["Subject_ID"],
        offset_day_int=rows.as_xrv_days(dates) if options.xrv_compatible else rows.days(dates),
        **{name: (frame[score] + frame[f"{score}.1"]) / 2 for name, score in _SCORES.items()},
    )
    frame = rows.selected(frame, options, "patientid")
    labels = frame[list(_SCORES)].to_numpy(dtype=np.float32)
    return rows.built(folder, options, frame.drop(columns=list(_SCORES)), labels)

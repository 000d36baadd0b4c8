"""NIH ChestX-ray14: Data_Entry_2017 and the boxes of BBox_List_2017."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder, read_table
from xrv_node.lab.datasets.table import LabelTable, Region

GRID = (1024, 1024)
"""Rows and columns of the published images, on which the boxes were drawn."""


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the label table; the boxes too where their file is there."""
    columns = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "View Position")
    frame = folder.table("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", columns=columns)
    frame = rows.selected(frame.assign(view=frame["View Position"]), options, "Patient ID")
    frame = with_patients(frame)
    names = frame["Image Index"].astype(str)
    labels = rows.containing(frame["Finding Labels"], {name: (name,) for name in folder.entry.pathologies})
    regions = rows.grouped(names, _boxes(folder), last_only=options.xrv_compatible)
    frame["image"] = folder.named(names, ("",), ("*.zip",))
    return rows.built(folder, options, frame, labels, regions=regions)


def with_patients(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the common columns of patients; the sex is under another heading in the file of 2020's reissue."""
    sex = "Patient Sex" if "Patient Sex" in frame.columns else "Patient Gender"
    return frame.assign(
        patientid=frame["Patient ID"],
        age_years=rows.years(frame["Patient Age"]),
        sex=frame[sex] if sex in frame.columns else "",
    )


def _boxes(folder: Folder) -> Iterator[tuple[str, Region]]:
    """Image and box of each line; its heading names one column for four, so they are told by position."""
    path = folder.find("BBox_List_2017.csv")
    if path is None:
        return
    frame = read_table(path, ("Image Index", "Finding Label"))
    numbers = frame.iloc[:, 2:6].apply(pd.to_numeric, errors="coerce")
    good = numbers.notna().all(axis="columns")
    for image, finding, *box in zip(
        frame["Image Index"][good],
        frame["Finding Label"][good].replace({"Infiltrate": "Infiltration"}),
        *(numbers[good][column] for column in numbers.columns),
        strict=True,
    ):
        yield str(image), Region(str(finding), "xywh", tuple(map(float, box)), GRID)

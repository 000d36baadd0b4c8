"""NIH ChestX-ray14: Data_Entry_2017 and the boxes of BBox_List_2017."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import UNKNOWN, Name, Number, Place, Words, ages
from xrv_node.lab.datasets.csv_table import read_table
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.table import LabelTable, Region
from xrv_node.visible import visible

FILES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")

GRID = (1024, 1024)
"""Rows and columns of the published images, on which the boxes were drawn."""

IMAGE = Place("Image Index")
PATIENTS = (
    Name("Patient ID", UNKNOWN),
    ages("Patient Age"),
    Words("Patient Sex", UNKNOWN, needed=False, words=("M", "F")),
    Words("Patient Gender", UNKNOWN, needed=False, words=("M", "F")),
    Words("View Position", UNKNOWN, words=("PA", "AP")),
)
COLUMNS = (
    IMAGE,
    Words(
        "Finding Labels",
        UNKNOWN,
        words=(
            *(
                "Atelectasis",
                "Cardiomegaly",
                "Consolidation",
                "Edema",
                "Effusion",
                "Emphysema",
                "Fibrosis",
                "Hernia",
            ),
            *(
                "Infiltration",
                "Mass",
                "Nodule",
                "Pleural_Thickening",
                "Pneumonia",
                "Pneumothorax",
                "No Finding",
            ),
        ),
        between="|",
        alone=("No Finding",),
    ),
    *PATIENTS,
)
BOX_COLUMNS = (
    IMAGE,
    Words(
        "Finding Label",
        words=(
            *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltrate", "Infiltration", "Mass", "Nodule"),
            *("Pneumonia", "Pneumothorax"),
        ),
    ),
    *(Number(side, low=0, needed=False) for side in ("Bbox [x", "y", "w", "h]")),
)


TABLES = {"Data_Entry_2017_v2020.csv, Data_Entry_2017.csv": COLUMNS, "BBox_List_2017.csv": BOX_COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read the label table; the boxes too where their file is there."""
    frame = folder.table(*FILES, columns=COLUMNS, key="Image Index", as_is=options.xrv_compatible)
    frame = rows.selected(folder, frame.assign(view=frame["View Position"]), options, "Patient ID")
    frame = with_patients(frame)
    names = frame["Image Index"].astype(str)
    labels = rows.containing(frame["Finding Labels"], {name: (name,) for name in folder.entry.pathologies})
    if not options.xrv_compatible:
        labels[frame["Finding Labels"].isna()] = np.nan
    regions = rows.grouped(
        names.str.rpartition("/")[2], _boxes(folder, options.xrv_compatible), last_only=options.xrv_compatible
    )
    frame["image"] = folder.images(names)
    return rows.built(folder, options, frame, labels, regions=regions)


def with_patients(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the common columns of patients; the sex is under another heading in the file of 2020's reissue."""
    sex = "Patient Sex" if "Patient Sex" in frame.columns else "Patient Gender"
    return frame.assign(
        patientid=frame["Patient ID"],
        age_years=rows.years(frame["Patient Age"]),
        sex=frame[sex] if sex in frame.columns else "",
    )


def _boxes(folder: Folder, as_is: bool) -> Iterator[tuple[str, Region]]:
    """Image and box of each line; its heading names one column for four, so they are told by position."""
    path = folder.find("BBox_List_2017.csv")
    if path is None:
        return
    frame = read_table(path, BOX_COLUMNS, as_is=as_is, notes=folder.notes)
    first = list(frame.columns).index("Finding Label") + 1
    numbers = frame.iloc[:, first : first + 4].apply(pd.to_numeric, errors="coerce")
    good = numbers.notna().all(axis="columns") & (numbers.shape[1] == 4)
    if not as_is and not good.all():
        image = visible(str(frame["Image Index"][~good].iloc[0]))
        raise DatasetError(f"{path}: the box of {image} is no four numbers; correct it, or get it again")
    for image, finding, *box in zip(
        frame["Image Index"][good],
        frame["Finding Label"][good].replace({"Infiltrate": "Infiltration"}),
        *(numbers[good][column] for column in numbers.columns),
        strict=True,
    ):
        yield str(image), Region(str(finding), "xywh", tuple(map(float, box)), GRID)

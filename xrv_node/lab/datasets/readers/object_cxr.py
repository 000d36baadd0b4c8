"""Object-CXR: foreign objects, each a rectangle, an ellipse or a polygon."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import Matching, Place
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.table import LabelTable, Region, Shape

_SHAPES: dict[str, Shape] = {"0": "xyxy", "1": "ellipse", "2": "polygon"}
"""By the number that an annotation begins with."""


_HEADINGS = ("image_name", "image_path")
"""Of the images, in the file and on the owner's page."""
_NUMBER = r" -?\d+(?:\.\d+)?"
_OBJECT = rf"(?:[01](?:{_NUMBER}){{4}}|2(?:{_NUMBER}{_NUMBER}){{3,}})"
COLUMNS = (
    *(Place(heading, needed=False) for heading in _HEADINGS),
    Matching(
        "annotation",
        "no foreign object",
        pattern=rf"{_OBJECT}(?:; ?{_OBJECT})*;?",
        form="0 or 1 and four numbers, or 2 and the corners of a polygon; several with ; between",
    ),
)


TABLES = {"train.csv, dev.csv": COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read train.csv or dev.csv; the images may stay in the zip archive of the same name. All are frontal."""
    frame = folder.table(f"{options.part}.csv", columns=COLUMNS, key=_HEADINGS, as_is=options.xrv_compatible)
    heading = next((name for name in _HEADINGS if name in frame.columns), None)
    if heading is None:
        raise DatasetError(
            f"{options.part}.csv in {folder.path} has no column image_name; it is of another dataset"
        )
    names = frame[heading].astype(str).str.rpartition("/")[2]
    frame = rows.selected(folder, frame.assign(view="FRONTAL", name=names), options)
    (label,) = folder.entry.pathologies
    regions = rows.grouped(frame["name"], _objects(frame, label))
    frame["image"] = folder.images(frame["name"])
    labels = frame["annotation"].notna().to_numpy().astype(np.float32)[:, None]
    return rows.built(folder, options, frame.drop(columns="name"), labels, regions=regions)


def _objects(frame: pd.DataFrame, label: str) -> Iterator[tuple[str, Region]]:
    """``0 x1 y1 x2 y2;2 x1 y1 x2 y2 x3 y3``: kind and coordinates of each object."""
    for name, text in zip(frame["name"], frame["annotation"].astype(object).fillna(""), strict=True):
        for kind, *numbers in map(str.split, filter(str.strip, str(text).split(";"))):
            if kind not in _SHAPES:
                raise DatasetError(f"an annotation of Object-CXR begins with {kind!r}; known are 0, 1 and 2")
            yield name, Region(label, _SHAPES[kind], tuple(map(float, numbers)))

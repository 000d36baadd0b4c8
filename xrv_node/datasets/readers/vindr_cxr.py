"""VinDr-CXR: a line for each box of each radiologist."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from xrv_node.datasets import rows
from xrv_node.datasets.catalog import Options
from xrv_node.datasets.found import Folder
from xrv_node.datasets.table import LabelTable, Region

_FILES = {
    "train": ("annotations_train.csv", "train.csv", "vinbigdata-train.csv"),
    "test": ("annotations_test.csv",),
}
"""Those of PhysioNet's release first, then the challenge's."""

_CLASSES = {"Effusion": "Pleural effusion", "Pleural_Thickening": "Pleural thickening"}
"""The owner's class where it is not torchxrayvision's name."""

_BOX = ["x_min", "y_min", "x_max", "y_max"]


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one row an image: a finding is present if any of its radiologists says so."""
    lines = folder.table(*_FILES[options.part], columns=("image_id", "class_name", *_BOX))
    lines = lines.assign(image_id=lines["image_id"].astype(str), class_name=lines["class_name"].astype(str))
    said = lines.groupby("image_id")["class_name"].agg(lambda names: "|".join(sorted(set(names))))
    frame = rows.selected(said.reset_index().assign(view=None), options)
    classes = {name: _CLASSES.get(name, name).lower() for name in folder.entry.pathologies}
    labels = rows.containing(
        frame["class_name"].str.lower(), {name: (word,) for name, word in classes.items()}
    )
    regions = rows.grouped(frame["image_id"], _boxes(lines, {word: name for name, word in classes.items()}))
    frame["image"] = folder.named(frame["image_id"], (".dicom", ".dcm", ".png"))
    return rows.built(folder, options, frame, labels, regions=regions)


def _boxes(lines: pd.DataFrame, names: dict[str, str]) -> Iterator[tuple[str, Region]]:
    """The classes' capitals differ from torchxrayvision's names and between releases."""
    drawn = lines[lines[_BOX].notna().all(axis="columns")]
    for image, word, *box in zip(
        drawn["image_id"], drawn["class_name"].str.lower(), *(drawn[side] for side in _BOX), strict=True
    ):
        if word in names:
            yield image, Region(names[word], "xyxy", tuple(map(float, box)))

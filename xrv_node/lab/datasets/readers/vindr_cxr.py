"""VinDr-CXR: a line for each box of each radiologist."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder, read_table
from xrv_node.lab.datasets.table import LabelTable, Region

_FILES = {
    "train": ("annotations_train.csv", "train.csv", "vinbigdata-train.csv"),
    "test": ("annotations_test.csv",),
}
"""Those of PhysioNet's release first, then the challenge's."""

_CLASSES = {"Effusion": "Pleural effusion", "Pleural_Thickening": "Pleural thickening"}
"""The owner's class where it is not torchxrayvision's name."""

_BOX = ["x_min", "y_min", "x_max", "y_max"]
_SIZE = ("height", "width")
"""Of the original image; only copies of the challenge's files say them."""


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one row an image: a finding is present if any of its radiologists says so."""
    lines = folder.table(*_FILES[options.part], columns=("image_id", "class_name", *_BOX))
    lines = lines.assign(image_id=lines["image_id"].astype(str), class_name=lines["class_name"].astype(str))
    said = lines.groupby("image_id")["class_name"].agg(lambda names: "|".join(sorted(set(names))))
    frame = rows.selected(said.reset_index().assign(view="PA"), options)  # all are, as the owner says
    classes = {name: _CLASSES.get(name, name).lower() for name in folder.entry.pathologies}
    labels = rows.containing(
        frame["class_name"].str.lower(), {name: (word,) for name, word in classes.items()}
    )
    names = {word: name for name, word in classes.items()}
    regions = rows.grouped(frame["image_id"], _boxes(_with_sizes(folder, lines), names))
    frame["image"] = folder.named(frame["image_id"], (".dicom", ".dcm", ".png", ".jpg"), ("*.zip",))
    return rows.built(folder, options, frame, labels, regions=regions)


def _with_sizes(folder: Folder, lines: pd.DataFrame) -> pd.DataFrame:
    """Add height and width of the original images, on which boxes were drawn, where they are known.

    Reduced copies in PNG or JPEG have them in the table itself, or as ``dim0`` and ``dim1`` beside it.
    """
    if set(_SIZE) <= set(lines.columns):
        return lines
    if (path := folder.find("train_meta.csv")) is None:
        return lines.assign(height=float("nan"), width=float("nan"))
    sizes = read_table(path, ("image_id", "dim0", "dim1")).drop_duplicates("image_id").set_index("image_id")
    return lines.assign(
        height=lines["image_id"].map(sizes["dim0"]), width=lines["image_id"].map(sizes["dim1"])
    )


def _boxes(lines: pd.DataFrame, names: dict[str, str]) -> Iterator[tuple[str, Region]]:
    """The classes' capitals differ from torchxrayvision's names and between releases."""
    lines = lines.assign(**{side: pd.to_numeric(lines[side], errors="coerce") for side in _SIZE})
    drawn = lines[lines[_BOX].notna().all(axis="columns")]
    for image, word, height, width, *box in zip(
        drawn["image_id"],
        drawn["class_name"].str.lower(),
        *(drawn[side] for side in (*_SIZE, *_BOX)),
        strict=True,
    ):
        if word in names:
            grid = (int(height), int(width)) if height > 0 and width > 0 else None
            yield image, Region(names[word], "xyxy", tuple(map(float, box)), grid)

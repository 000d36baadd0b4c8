"""VinDr-CXR: a line for each box of each radiologist."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import Column, Number, Place, Rule, Words
from xrv_node.lab.datasets.csv_table import read_table
from xrv_node.lab.datasets.folder import Folder
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

_NONE = "No finding"
COLUMNS = (
    Place("image_id"),
    Words(
        "class_name",
        words=(
            *("Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture"),
            *("Consolidation", "Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity"),
            *(
                "Lung cavity",
                "Lung cyst",
                "Mediastinal shift",
                "Nodule/Mass",
                "Other lesion",
                "Pleural effusion",
            ),
            *("Pleural thickening", "Pneumothorax", "Pulmonary fibrosis", "Rib fracture", _NONE),
        ),
    ),
    Column("rad_id", "unknown", needed=False),
    *(Number(side, "no box", low=0) for side in _BOX),
    *(Number(side, "unknown", needed=False, low=1) for side in _SIZE),
)
"""The 22 findings that have boxes; the six of whole images are in other files of the owner's."""


def _contradicted(lines: pd.DataFrame) -> pd.Series:
    """True where a radiologist says "No finding" of an image beside a finding."""
    none = lines["class_name"] == _NONE
    if "rad_id" not in lines.columns:
        return none & False
    told = none.groupby([lines["image_id"], lines["rad_id"].fillna("")])
    return none & ~told.transform("all")


RULES = (
    Rule("class_name", "has some of a box's four numbers", lambda lines: rows.partial(lines, _BOX)),
    Rule("class_name", "contradicts another row of the same radiologist", _contradicted),
    Rule(
        "class_name",
        "has a box",
        lambda lines: (lines["class_name"] == _NONE) & lines[_BOX].notna().any(axis="columns"),
    ),
)
SIZE_COLUMNS = (Place("image_id"), Number("dim0", "unknown", low=1), Number("dim1", "unknown", low=1))


TABLES = {"annotations_train.csv, annotations_test.csv, train.csv": COLUMNS, "train_meta.csv": SIZE_COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one row an image: a finding is present if any of its radiologists says so."""
    as_is = options.xrv_compatible
    lines = folder.table(*_FILES[options.part], columns=COLUMNS, rules=RULES, as_is=as_is)
    lines = lines.assign(image_id=lines["image_id"].astype(str), class_name=lines["class_name"].astype(str))
    said = lines.groupby("image_id")["class_name"].agg(lambda names: "|".join(sorted(set(names))))
    frame = rows.selected(folder, said.reset_index().assign(view="PA"), options)  # all are, as the owner says
    classes = {name: _CLASSES.get(name, name).lower() for name in folder.entry.pathologies}
    labels = rows.containing(
        frame["class_name"].str.lower(), {name: (word,) for name, word in classes.items()}
    )
    names = {word: name for name, word in classes.items()}
    regions = rows.grouped(frame["image_id"], _boxes(_with_sizes(folder, lines, as_is), names))
    frame["image"] = folder.images(frame["image_id"], endings=(".dicom", ".dcm", ".png", ".jpg"))
    return rows.built(folder, options, frame, labels, regions=regions)


def _with_sizes(folder: Folder, lines: pd.DataFrame, as_is: bool) -> pd.DataFrame:
    """Add height and width of the original images, on which boxes were drawn, where they are known.

    Reduced copies in PNG or JPEG have them in the table itself, or as ``dim0`` and ``dim1`` beside it.
    """
    if set(_SIZE) <= set(lines.columns):
        return lines
    if (path := folder.find("train_meta.csv")) is None:
        return lines.assign(height=float("nan"), width=float("nan"))
    sizes = read_table(path, SIZE_COLUMNS, key="image_id", as_is=as_is, notes=folder.notes)
    sizes = sizes.drop_duplicates("image_id").set_index("image_id")
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

"""Labels of NIH ChestX-ray14 images that a panel of radiologists agreed on (Majkowska et al. 2020)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import UNKNOWN, Words
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.readers import nih
from xrv_node.lab.datasets.table import LabelTable

_HEADINGS = {
    "Lung Opacity": "Airspace opacity",
    "Fracture": "Fracture",
    "Nodule/Mass": "Nodule or mass",
    "Pneumothorax": "Pneumothorax",
}
COLUMNS = (
    nih.IMAGE,
    *(Words(heading, UNKNOWN, words=("YES", "NO")) for heading in _HEADINGS.values()),
    *(replace(column, needed=False) for column in nih.PATIENTS),
    Words("Set Id", UNKNOWN, needed=False, words=("val", "test")),
)
_FILES = {
    part: (
        f"four_findings_expert_labels/{part}_labels.csv",
        f"four_findings_expert_labels_{part}_labels.csv",
        f"{part}_labels.csv",
    )
    for part in ("test", "validation")
}
"""In the owner's store the labels of this study lie beside those of another, under the same names."""
_BOTH = "google2019_nih-chest-xray-labels.csv"
"""The two files in one, as torchxrayvision hands them on; it calls validation ``val``."""


TABLES = {"test_labels.csv, validation_labels.csv": COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read both files, or that of the part; views and patients come from the NIH's table if need be."""
    frame = _labels(folder, options)
    if "View Position" not in frame.columns and folder.find(*nih.FILES) is None and not options.views_asked:
        frame = frame.assign(**{"View Position": None, "Patient ID": None, "Patient Age": None})
        folder.notes.append(f"no {' or '.join(nih.FILES)} is there: views and patients are unknown")
    elif "View Position" not in frame.columns:
        columns = (nih.IMAGE, *nih.PATIENTS)
        entry = folder.table(*nih.FILES, columns=columns, key="Image Index", as_is=options.xrv_compatible)
        known = entry[entry.columns.difference(frame.columns).union(["Image Index"])]
        frame = frame.merge(known, on="Image Index", how="left")
    frame = rows.selected(folder, frame.assign(view=frame["View Position"]), options, "Patient ID")
    labels = np.stack([frame[heading] == "YES" for heading in _HEADINGS.values()], axis=1).astype(np.float32)
    if not options.xrv_compatible:  # torchxrayvision leaves the patients of this dataset out
        frame = nih.with_patients(frame)
        labels[frame[list(_HEADINGS.values())].isna().to_numpy()] = np.nan
    frame["image"] = folder.images(frame["Image Index"])
    return rows.built(folder, options, frame, labels)


def _labels(folder: Folder, options: Options) -> pd.DataFrame:
    part, as_is = options.part, options.xrv_compatible
    if folder.find(_BOTH) is not None:
        frame = folder.table(_BOTH, columns=COLUMNS, key="Image Index", as_is=as_is)
        if part == "all" or "Set Id" not in frame.columns:
            return frame
        return frame[frame["Set Id"] == {"validation": "val"}.get(part, part)]
    chosen = _FILES if part == "all" else {part: _FILES[part]}
    return pd.concat(
        [
            folder.table(*names, columns=COLUMNS, key="Image Index", as_is=as_is).assign(**{"Set Id": key})
            for key, names in chosen.items()
        ],
        ignore_index=True,
    )

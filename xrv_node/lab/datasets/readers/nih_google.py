"""Labels of NIH ChestX-ray14 images that a panel of radiologists agreed on (Majkowska et al. 2020)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.readers.nih import with_patients
from xrv_node.lab.datasets.table import LabelTable

_HEADINGS = {
    "Lung Opacity": "Airspace opacity",
    "Fracture": "Fracture",
    "Nodule/Mass": "Nodule or mass",
    "Pneumothorax": "Pneumothorax",
}
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


def read(folder: Folder, options: Options) -> LabelTable:
    """Read both files, or that of the part; views and patients come from the NIH's table if need be."""
    frame = _labels(folder, options.part)
    if "View Position" not in frame.columns:
        columns = ("Image Index", "Patient ID", "Patient Age", "View Position")
        entry = folder.table("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", columns=columns)
        known = entry[entry.columns.difference(frame.columns).union(["Image Index"])]
        frame = frame.merge(known, on="Image Index", how="left")
    frame = rows.selected(frame.assign(view=frame["View Position"]), options, "Patient ID")
    labels = np.stack([frame[heading] == "YES" for heading in _HEADINGS.values()], axis=1)
    if not options.xrv_compatible:  # torchxrayvision leaves the patients of this dataset out
        frame = with_patients(frame)
    frame["image"] = folder.named(frame["Image Index"].astype(str), ("",), ("*.zip",))
    return rows.built(folder, options, frame, labels.astype(np.float32))


def _labels(folder: Folder, part: str) -> pd.DataFrame:
    columns = ("Image Index", *_HEADINGS.values())
    if folder.find(_BOTH) is not None:
        frame = folder.table(_BOTH, columns=columns)
        if part == "all" or "Set Id" not in frame.columns:
            return frame
        return frame[frame["Set Id"] == {"validation": "val"}.get(part, part)]
    chosen = _FILES if part == "all" else {part: _FILES[part]}
    return pd.concat(
        [folder.table(*names, columns=columns).assign(**{"Set Id": key}) for key, names in chosen.items()],
        ignore_index=True,
    )

"""What the tables share that Stanford's CheXpert labeller made: CheXpert, CheXlocalize, MIMIC-CXR, BRAX."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.columns import UNKNOWN, Number, Words, ages
from xrv_node.lab.datasets.folder import Folder
from xrv_node.visible import visible

DEVICES = "Support Devices"

_HEADINGS = {"Effusion": "Pleural Effusion"}
"""Where the owners' heading is not torchxrayvision's name."""


LABEL = Number("", "not mentioned", needed=False, among=(1, 0, -1))
COLUMNS = tuple(
    replace(LABEL, heading=heading)
    for heading in (
        *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
        *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other"),
        *("Fracture", DEVICES),
    )
)
"""The labeller's fourteen: 1 present, 0 absent, -1 uncertain."""

FACTS = (
    Words("Frontal/Lateral", needed=False, words=("Frontal", "Lateral")),
    Words("AP/PA", "a lateral, or unknown", needed=False, words=("AP", "PA", "LL", "RL")),
    ages("Age", needed=False),
    Words("Sex", UNKNOWN, needed=False, words=("Male", "Female", "Unknown")),
)
"""What CheXpert's tables say beside the labels, but for that of the test images."""


def labels(
    folder: Folder, frame: pd.DataFrame, *, as_is: bool = False, spare_devices: bool = True
) -> NDArray[np.float32]:
    """Read the labels: 1 and 0 as they are, -1 (uncertain) and blank (not mentioned) unknown.

    "No Finding" makes every other label absent. The labeller gives it beside Support Devices, which are no
    finding (Irvin et al. 2019, section 3), so their label stays. A finding that is present in the same row
    contradicts it: it is unknown, and a note counts them.

    Parameters
    ----------
    folder
        Its entry has torchxrayvision's names of the labels, in order.
    frame
        A column for each label; a label without one is unknown.
    as_is
        As torchxrayvision: "No Finding" wins over findings that are present.
    spare_devices
        Whether Support Devices stay; torchxrayvision makes them absent too in MIMIC-CXR.
    """
    names = folder.entry.pathologies
    values = np.full((len(frame), len(names)), np.nan, dtype=np.float32)
    for column, name in enumerate(names):
        heading = _HEADINGS.get(name, name)
        if heading in frame.columns:
            values[:, column] = pd.to_numeric(frame[heading], errors="coerce").to_numpy(dtype=np.float32)
    missing = [name for name in names if _HEADINGS.get(name, name) not in frame.columns]
    if missing and not as_is:
        folder.notes.append(f"there is no column of {', '.join(missing)}: unknown for all images")
    if "No Finding" in frame.columns:
        healthy = (frame["No Finding"] == 1).to_numpy()
        zeroed = np.array(
            [
                _HEADINGS.get(name, name) in frame.columns and (name != DEVICES or not spare_devices)
                for name in names
            ]
        )
        contradicted = (values == 1) & healthy[:, None] & np.array([name != DEVICES for name in names])
        values[np.ix_(healthy, zeroed)] = 0
        if contradicted.any() and not as_is:
            values[contradicted] = np.nan
            folder.notes.append(
                f"No Finding stands beside {int(contradicted.sum())} present findings: they are unknown"
            )
    values[values == -1] = np.nan
    return values


def check_lines(found: pd.DataFrame, path: Path) -> None:
    """Hold the labels of lines of JSON to what the labeller gives.

    Raises
    ------
    DatasetError
        One is no 1, 0, -1 or null.
    """
    for column in COLUMNS:
        if column.heading in found.columns:
            told = found[column.heading]
            wrong = told.notna() & ~told.isin(column.among)
            if wrong.any():
                row = int(wrong.to_numpy().argmax())
                cell = visible(str(told.iloc[row])[:60])
                raise DatasetError(
                    f"{path}, line {int(found.index[row]) + 1}, {column.heading}: {cell!r} is none of the "
                    f"owner's: {column.allowed()}; correct it, or get it again"
                )


def with_patients(frame: pd.DataFrame, *, zero_is_unknown: bool = True) -> pd.DataFrame:
    """Add age and sex of CheXpert's columns, which its test file leaves out.

    Parameters
    ----------
    frame
        With or without ``Age`` and ``Sex``.
    zero_is_unknown
        CheXpert writes age 0 for unknown; torchxrayvision keeps it as an age.
    """
    age = rows.years(frame["Age"]) if "Age" in frame.columns else pd.Series(np.nan, index=frame.index)
    if zero_is_unknown:
        age = age.mask(age == 0)
    return frame.assign(age_years=age, sex=frame["Sex"] if "Sex" in frame.columns else "")


def views(frame: pd.DataFrame, frontal: str = "FRONTAL") -> pd.Series:
    """Return AP or PA of a frontal image, else L.

    Parameters
    ----------
    frame
        With ``Path``. CheXpert's test file tells laterals by this name only.
    frontal
        The word for a frontal image of which nobody says whether it is AP or PA.
    """
    if "Frontal/Lateral" in frame.columns:
        is_frontal = frame["Frontal/Lateral"] == "Frontal"
    else:
        is_frontal = ~frame["Path"].str.contains("_lateral", case=False, regex=False)
    known = frame["AP/PA"] if "AP/PA" in frame.columns else pd.Series(frontal, index=frame.index)
    return known.astype(object).where(is_frontal, "L")

"""What the tables share that Stanford's CheXpert labeller made: CheXpert, CheXlocalize, MIMIC-CXR, BRAX."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrv_node.lab.datasets import rows

DEVICES = "Support Devices"

_HEADINGS = {"Effusion": "Pleural Effusion"}
"""Where the owners' heading is not torchxrayvision's name."""


def labels(frame: pd.DataFrame, names: tuple[str, ...], *, spare_devices: bool = True) -> NDArray[np.float32]:
    """Read the labels: 1 and 0 as they are, -1 (uncertain) and blank (not mentioned) unknown.

    "No Finding" makes every other label absent. The labeller gives it beside Support Devices, which are no
    finding (Irvin et al. 2019, section 3), so their label stays.

    Parameters
    ----------
    frame
        A column for each label; a label without one is unknown.
    names
        torchxrayvision's names of the labels, in order.
    spare_devices
        Whether Support Devices stay; torchxrayvision makes them absent too in MIMIC-CXR.
    """
    values = np.full((len(frame), len(names)), np.nan, dtype=np.float32)
    for column, name in enumerate(names):
        heading = _HEADINGS.get(name, name)
        if heading in frame.columns:
            values[:, column] = pd.to_numeric(frame[heading], errors="coerce").to_numpy(dtype=np.float32)
    if "No Finding" in frame.columns:
        healthy = (frame["No Finding"] == 1).to_numpy()
        zeroed = np.array(
            [
                _HEADINGS.get(name, name) in frame.columns and (name != DEVICES or not spare_devices)
                for name in names
            ]
        )
        values[np.ix_(healthy, zeroed)] = 0
    values[values == -1] = np.nan
    return values


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

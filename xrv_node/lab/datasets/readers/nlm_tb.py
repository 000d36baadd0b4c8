"""The tuberculosis sets of the National Library of Medicine: the label is the last digit of the file name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from xrv_node.attributes import UNITS_IN_A_YEAR
from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.table import LabelTable, Region

_FOLDERS = {
    "montgomery": ("MontgomerySet", "Montgomery-County-CXR-Set", "NLM-MontgomeryCXRSet"),
    "shenzhen": ("Shenzhen-Hospital-CXR-Set", "ChinaSet_AllFiles"),
}
"""The owner's names of each set's folder, which may lie in one of the archive's name."""
_IMAGES = "CXR_png"
_MASKS = {"Left Lung": "ManualMask/leftMask", "Right Lung": "ManualMask/rightMask"}
"""Montgomery's; the names are those of torchxrayvision's segmenter."""

_AGE = re.compile(r"(\d+)\s*(y|month|m|week|w|day|d)", re.IGNORECASE)
_SEX = re.compile(r"\b(female|male|f|m)\b", re.IGNORECASE)


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one set: ``folder`` is its folder, or the one that holds it. All images are PA."""
    place = _place(folder, options.part)
    names = sorted(path.name for path in (folder.path / place / _IMAGES).glob("*_[01].png"))
    if not names:
        raise DatasetError(
            f"{folder.entry.title}: no image like name_0.png or name_1.png is in {folder.path}"
        )
    frame = pd.DataFrame({"fname": names, "view": "PA"})
    if not options.xrv_compatible:  # torchxrayvision does not read what is known of the patients
        frame["patientid"] = frame["fname"].str.removesuffix(".png").str[:-2]  # one image each
        readings = [_reading(folder.path / place / "ClinicalReadings" / f"{name[:-4]}.txt") for name in names]
        frame["sex"], frame["age_years"] = zip(*readings, strict=True)
    frame = rows.selected(frame, options)
    frame["image"] = [(place / _IMAGES / name).as_posix() for name in frame["fname"]]
    labels = frame["fname"].str[-5].to_numpy(dtype=np.float32)[:, None]
    regions = rows.grouped(
        frame["fname"],
        (
            (name, Region(structure, "file", (place / masks / name).as_posix(), semantic=True))
            for name in names
            for structure, masks in _MASKS.items()
            if (folder.path / place / masks / name).is_file()
        ),
    )
    return rows.built(folder, options, frame, labels, regions=regions)


def _place(folder: Folder, part: str) -> Path:
    """The set's folder, relative: one of its usual names, else the folder itself if it holds images."""
    places = (
        path for name in _FOLDERS[part] for deep in ("", "*/") for path in folder.path.glob(deep + name)
    )
    for place in (*places, folder.path):
        if (place / _IMAGES).is_dir():
            return place.relative_to(folder.path)
    raise DatasetError(
        f"{folder.entry.title}: {_FOLDERS[part][0]}/{_IMAGES} is not in {folder.path}; it is obtained from "
        f"{folder.entry.home}"
    )


def _reading(path: Path) -> tuple[str, float]:
    """Sex and age of a clinical reading: ``Patient's Age: 027Y`` (Montgomery), ``Male 54yrs`` (Shenzhen)."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", float("nan")
    head = " ".join(text.splitlines()[:2]).replace("Patient's", "")
    sex, age = _SEX.search(head), _AGE.search(head)
    years = float("nan") if age is None else float(age[1]) / UNITS_IN_A_YEAR[age[2][0].upper()]
    return "" if sex is None else sex[1][0].upper(), years

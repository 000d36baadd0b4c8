"""The tuberculosis sets of the National Library of Medicine: the label is the last digit of the file name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from xrv_node.attributes import UNITS_IN_A_YEAR
from xrv_node.errors import DatasetError, ImageError
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.finder import key
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.images import unpacked
from xrv_node.lab.datasets.table import LabelTable, Region

_FOLDERS = {
    "montgomery": ("MontgomerySet", "Montgomery-County-CXR-Set", "NLM-MontgomeryCXRSet"),
    "shenzhen": ("Shenzhen-Hospital-CXR-Set", "ChinaSet_AllFiles"),
}
"""The owner's names of each set's folder, which may lie in one of the archive's name."""
_IMAGES = "CXR_png"
_NAMED = re.compile(rf"{_IMAGES}/[^/]+_([01])", re.IGNORECASE)
_PREFIXES = {"montgomery": "mcucxr_", "shenzhen": "chncxr_"}
"""With which the names of each set's images begin."""
_MASKS = {"Left Lung": "ManualMask/leftMask", "Right Lung": "ManualMask/rightMask"}
"""Montgomery's; the names are those of torchxrayvision's segmenter."""

_AGE = re.compile(r"(\d+)\s*(y|month|m|week|w|day|d)", re.IGNORECASE)
_SEX = re.compile(r"\b(female|male|f|m)\b", re.IGNORECASE)


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one set: ``folder`` is its folder, or the one that holds it. All images are PA."""
    files = _files(folder, options.part)
    pictures = [end for end in sorted(files) if end.startswith(key(f"{_IMAGES}/"))]
    ends = [end for end in pictures if _NAMED.fullmatch(end)]
    others = len(pictures) - len(ends)
    prefixes = {part: [end for end in ends if f"/{start}" in end] for part, start in _PREFIXES.items()}
    if all(prefixes.values()):  # some copies have both sets in one folder
        ends = prefixes[options.part]
    if not ends:
        raise DatasetError(
            f"{folder.entry.title}: no image like name_0.png or name_1.png is in {folder.path}"
        )
    if others:
        folder.notes.append(
            f"{others} files in {_IMAGES} are not called name_0.png or name_1.png and are passed over"
        )
    names = [files[end].rpartition("/")[2] for end in ends]
    stems = [end.rpartition("/")[2] for end in ends]
    frame = pd.DataFrame({"fname": names, "view": "PA"})
    if not options.xrv_compatible:  # torchxrayvision does not read what is known of the patients
        frame["patientid"] = [name.rpartition("_")[0] for name in names]  # one image each
        texts = [files.get(key(f"ClinicalReadings/{stem}.txt")) for stem in stems]
        frame["sex"], frame["age_years"] = zip(*(_reading(folder.path, text) for text in texts), strict=True)
        for what, told in (("sex", frame["sex"] != ""), ("age", frame["age_years"].notna())):
            if not told.all():
                folder.notes.append(
                    f"ClinicalReadings say no {what} of {int((~told).sum())} images: it is unknown"
                )
    frame = rows.selected(folder, frame, options)
    frame["image"] = [files[end] for end in ends]
    labels = np.array([stem[-1] for stem in stems], dtype=np.float32)[:, None]
    regions = rows.grouped(
        names,
        (
            (name, Region(structure, "file", mask, semantic=True))
            for name, stem in zip(names, stems, strict=True)
            for structure, place in _MASKS.items()
            if (mask := files.get(key(f"{place}/{stem}"))) is not None
        ),
    )
    return rows.built(folder, options, frame, labels, regions=regions)


def _files(folder: Folder, part: str) -> dict[str, str]:
    """The set's files by the `key` of their path below its folder: one of its usual names, or the user's.

    They may lie in a zip archive of that name.
    """
    owners = [name.casefold() for name in _FOLDERS[part]]
    for files in (folder.files, folder.members):
        above = {path.rpartition("/")[0] for path in files}
        ending = f"/{_IMAGES}".casefold()
        places = {f"/{one}"[: -len(_IMAGES)] for one in above if f"/{one}".casefold().endswith(ending)}
        for place in sorted(places, key=lambda place: (place.count("/"), place)):
            names = [name.removesuffix(".zip") for name in place.casefold().split("/")]
            if place == "/" or any(name in owners for name in names):
                start = len(place) - 1
                inside = [path for path in files if f"/{path}".startswith(place)]
                # of an image in two formats the owner's, PNG, is kept
                inside.sort(key=lambda path: (path.casefold().endswith(".png"), path))
                return {key(path[start:]): path for path in inside}
    raise DatasetError(
        f"{folder.entry.title}: {_FOLDERS[part][0]}/{_IMAGES} is not in {folder.path}; it is obtained from "
        f"{folder.entry.home}"
    )


def _reading(folder: Path, text: str | None) -> tuple[str, float]:
    """Sex and age of a clinical reading: ``Patient's Age: 027Y`` (Montgomery), ``Male 54yrs`` (Shenzhen)."""
    if text is None:
        return "", float("nan")
    try:
        with unpacked(folder / text) as path:
            words = path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ImageError):
        return "", float("nan")
    head = " ".join(words.splitlines()[:2]).replace("Patient's", "")
    sex, age = _SEX.search(head), _AGE.search(head)
    years = float("nan") if age is None else float(age[1]) / UNITS_IN_A_YEAR[age[2][0].upper()]
    return "" if sex is None else sex[1][0].upper(), years

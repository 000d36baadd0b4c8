"""TBX11K: COCO's JSON, a category for each kind of tuberculosis; or data.csv of its simplified copy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import Matching, Place, Rule, Words
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.json_file import read_json
from xrv_node.lab.datasets.table import LabelTable, Region
from xrv_node.visible import visible

_ANY = "Tuberculosis"
"""The category over all others, and the label that any of them makes present."""

_SIMPLIFIED = "data.csv"
_KINDS = {
    "active_tb": "ActiveTuberculosis",
    "latent_tb": "ObsoletePulmonaryTuberculosis",
    "uncertain_tb": "PulmonaryTuberculosis",
}
"""The words of data.csv, which are those of the paper (Liu et al. 2020), and the categories."""

COLUMNS = (
    Place("fname"),
    Words("source", words=("train", "val", "trainval", "test")),
    Matching(
        "bbox",
        "none",
        pattern=r"(?i:none)|\{.*\}",
        form="none, or {'xmin': ..., 'ymin': ..., 'width': ..., 'height': ...}",
    ),
    Words("target", needed=False, words=("no_tb", "tb")),
    Words("tb_type", words=("none", *_KINDS)),
)
RULES = (
    Rule(
        "source",
        "contradicts another row of its image",
        lambda lines: rows.differing(lines, "fname", "source"),
    ),
    Rule(
        "tb_type",
        "contradicts another row of its image",
        lambda lines: rows.differing(lines.assign(sick=lines["tb_type"] != "none"), "fname", "sick"),
    ),
    Rule("bbox", "is no box of four numbers", lambda lines: ~lines["bbox"].fillna("none").map(_is_box)),
    Rule(
        "tb_type",
        "contradicts the column target",
        lambda lines: (
            (lines["target"] == "tb") != (lines["tb_type"] != "none")
            if "target" in lines.columns
            else lines["tb_type"].isna()
        ),
    ),
)

_SIDES = ("xmin", "ymin", "width", "height")


TABLES = {"data.csv": COLUMNS}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one row an image of the part, healthy and otherwise sick ones too."""
    name = f"TBX11K_{options.part}.json"
    files = (f"annotations/json/{name}", f"json/{name}", name)
    if folder.find(*files, packed=("",)) is None and folder.find(_SIMPLIFIED) is not None:
        return _read_simplified(folder, options)
    path = folder.file(*files, packed=("",))
    content = read_json(path)
    try:
        frame = pd.DataFrame(content["images"])[["id", "file_name", "height", "width"]]
        categories = {one["id"]: one["name"] for one in content["categories"]}
        tuberculosis = {one["name"] for one in content["categories"] if one["supercategory"] == _ANY}
        boxes = [
            (one["image_id"], _region(path, number, one, categories))
            for number, one in enumerate(content["annotations"])
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path} is not as TBX11K is published; get it again") from error
    if stray := {image for image, _ in boxes} - set(frame["id"]):
        raise DatasetError(f"{path}: {len(stray)} annotations are of images that are not in it; get it again")
    if frame["id"].duplicated().any() or frame["file_name"].duplicated().any():
        raise DatasetError(f"{path}: an image is in it twice; get it again")
    frame = rows.selected(folder, frame.assign(view=None), options)
    regions = rows.grouped(frame["id"], boxes)
    found = [{region.name for region in some} for some in regions]
    frame["image"] = folder.images(frame["file_name"])
    labels = _labels(found, tuberculosis, folder.entry.pathologies)
    return rows.built(folder, options, frame, labels, regions=regions)


def _read_simplified(folder: Folder, options: Options) -> LabelTable:
    """Read data.csv: a line for each box, with the kind of tuberculosis in words."""
    lines = folder.table(_SIMPLIFIED, columns=COLUMNS, rules=RULES, as_is=options.xrv_compatible)
    if options.part != "trainval":
        lines = lines[lines["source"] == options.part]
    lines = lines.assign(kind=lines["tb_type"].map(_KINDS))
    frame = rows.selected(folder, lines.drop_duplicates("fname").assign(view=None), options)
    known = lines[lines["kind"].notna()]
    boxes = []
    for image, kind, text in zip(known["fname"], known["kind"], known["bbox"].astype(str), strict=True):
        sides = dict(re.findall(r"'(\w+)': *([-+.\deE]+)", text))
        if set(_SIDES) <= set(sides):  # one patient's tuberculosis has no box
            boxes.append((image, Region(kind, "xywh", tuple(_number(sides[side]) for side in _SIDES))))
    by_image = known.groupby("fname")["kind"].agg(set)
    found = [by_image.get(name, set()) for name in frame["fname"]]
    frame["image"] = folder.images(frame["fname"])
    labels = _labels(found, set(_KINDS.values()), folder.entry.pathologies)
    frame = frame.drop(columns=["bbox", "kind"])
    frame = frame.rename(columns={"image_height": "height", "image_width": "width"})  # as in the JSON
    return rows.built(folder, options, frame, labels, regions=rows.grouped(frame["fname"], boxes))


def _region(path: Path, number: int, one: dict[str, Any], categories: dict[Any, str]) -> Region:
    """An annotation; `verify` tells of boxes that cannot be drawn."""
    name = categories.get(one["category_id"], "")
    if name not in (*_KINDS.values(), _ANY):
        what = visible(str(name or one["category_id"])[:60])
        raise DatasetError(
            f"{path}, annotation {number + 1}: category {what!r} is none of the owner's; get it again"
        )
    return Region(name, "xywh", tuple(map(float, one["bbox"])))


def _is_box(text: str) -> bool:
    sides = dict(re.findall(r"'(\w+)': *([-+.\deE]+)", text))
    return text.casefold() == "none" or (
        set(_SIDES) <= set(sides) and all(np.isfinite(_number(sides[one])) for one in _SIDES)
    )


def _labels(found: list[set[str]], tuberculosis: set[str], names: tuple[str, ...]) -> NDArray[np.float32]:
    kinds = {name: tuberculosis if name == _ANY else {name} for name in names}
    return np.array([[bool(some & kind) for kind in kinds.values()] for some in found], dtype=np.float32)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # drawing its mask says that it is none

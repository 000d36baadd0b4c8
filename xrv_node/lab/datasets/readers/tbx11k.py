"""TBX11K: COCO's JSON, a category for each kind of tuberculosis; or data.csv of its simplified copy."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder, read_json
from xrv_node.lab.datasets.table import LabelTable, Region

_ANY = "Tuberculosis"
"""The category over all others, and the label that any of them makes present."""

_SIMPLIFIED = "data.csv"
_KINDS = {
    "active_tb": "ActiveTuberculosis",
    "latent_tb": "ObsoletePulmonaryTuberculosis",
    "uncertain_tb": "PulmonaryTuberculosis",
}
"""The words of data.csv, which are those of the paper (Liu et al. 2020), and the categories."""

_SIDES = ("xmin", "ymin", "width", "height")


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
            (one["image_id"], Region(categories[one["category_id"]], "xywh", tuple(map(float, one["bbox"]))))
            for one in content["annotations"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path} is not as TBX11K is published; get it again") from error
    frame = rows.selected(frame.assign(view=None), options)
    regions = rows.grouped(frame["id"], boxes)
    found = [{region.name for region in some} for some in regions]
    frame["image"] = folder.placed(frame["file_name"].astype(str))
    labels = _labels(found, tuberculosis, folder.entry.pathologies)
    return rows.built(folder, options, frame, labels, regions=regions)


def _read_simplified(folder: Folder, options: Options) -> LabelTable:
    """Read data.csv: a line for each box, with the kind of tuberculosis in words."""
    lines = folder.table(_SIMPLIFIED, columns=("fname", "source", "bbox", "tb_type"))
    if options.part != "trainval":
        lines = lines[lines["source"] == options.part]
    lines = lines.assign(kind=lines["tb_type"].map(_KINDS))
    frame = rows.selected(lines.drop_duplicates("fname").assign(view=None), options)
    known = lines[lines["kind"].notna()]
    boxes = []
    for image, kind, text in zip(known["fname"], known["kind"], known["bbox"].astype(str), strict=True):
        sides = dict(re.findall(r"'(\w+)': *([-+.\deE]+)", text))
        if set(_SIDES) <= set(sides):  # one patient's tuberculosis has no box
            boxes.append((image, Region(kind, "xywh", tuple(_number(sides[side]) for side in _SIDES))))
    by_image = known.groupby("fname")["kind"].agg(set)
    found = [by_image.get(name, set()) for name in frame["fname"]]
    frame["image"] = folder.placed(frame["fname"].astype(str))
    labels = _labels(found, set(_KINDS.values()), folder.entry.pathologies)
    frame = frame.drop(columns=["bbox", "kind"])
    frame = frame.rename(columns={"image_height": "height", "image_width": "width"})  # as in the JSON
    return rows.built(folder, options, frame, labels, regions=rows.grouped(frame["fname"], boxes))


def _labels(found: list[set[str]], tuberculosis: set[str], names: tuple[str, ...]) -> NDArray[np.float32]:
    kinds = {name: tuberculosis if name == _ANY else {name} for name in names}
    return np.array([[bool(some & kind) for kind in kinds.values()] for some in found], dtype=np.float32)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # drawing its mask says that it is none

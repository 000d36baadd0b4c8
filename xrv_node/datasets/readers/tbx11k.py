"""TBX11K: COCO's JSON, a category for each kind of tuberculosis."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xrv_node.datasets import rows
from xrv_node.datasets.catalog import Options
from xrv_node.datasets.found import Folder, read_json
from xrv_node.datasets.table import LabelTable, Region
from xrv_node.errors import DatasetError

_ANY = "Tuberculosis"
"""The category over all others, and the label that any of them makes present."""


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one row an image of the part, healthy and otherwise sick ones too."""
    name = f"TBX11K_{options.part}.json"
    path = folder.file(f"annotations/json/{name}", f"json/{name}", name, packed=("",))
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
    kinds = {name: tuberculosis if name == _ANY else {name} for name in folder.entry.pathologies}
    labels = np.array([[bool(names & kind) for kind in kinds.values()] for names in found], dtype=np.float32)
    frame["image"] = folder.placed(frame["file_name"].astype(str))
    return rows.built(folder, options, frame, labels, regions=regions)

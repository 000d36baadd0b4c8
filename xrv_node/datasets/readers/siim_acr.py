"""SIIM-ACR Pneumothorax Segmentation: a line for each annotation, its mask in runs."""

from __future__ import annotations

import numpy as np

from xrv_node.datasets import rows
from xrv_node.datasets.catalog import Options
from xrv_node.datasets.found import Folder
from xrv_node.datasets.table import LabelTable, Region

_GRID = (1024, 1024)
"""Rows and columns of all its images."""


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one row an image, with all its annotations.

    torchxrayvision has one row an annotation, and a mask of the image's last annotation only.
    """
    lines = folder.table(
        *("train-rle.csv", "stage_2_train.csv", "siim-pneumothorax-train-rle.csv"),
        columns=("ImageId", "EncodedPixels"),
    )
    lines = lines.assign(
        ImageId=lines["ImageId"].astype(str), EncodedPixels=lines["EncodedPixels"].astype(str).str.strip()
    )
    drawn = lines[lines["EncodedPixels"] != "-1"]
    frame = lines if options.xrv_compatible else lines.drop_duplicates("ImageId")
    frame = rows.selected(frame.assign(view=None), options)
    (name,) = folder.entry.pathologies
    if options.xrv_compatible:
        positive = frame["EncodedPixels"] != "-1"
    else:
        positive = frame["ImageId"].isin(drawn["ImageId"])
    regions = rows.grouped(
        frame["ImageId"],
        (
            (image, Region(name, "offset_rle", runs, _GRID))
            for image, runs in zip(drawn["ImageId"], drawn["EncodedPixels"], strict=True)
        ),
        last_only=options.xrv_compatible,
    )
    frame["image"] = folder.named(frame["ImageId"], (".dcm", ".png", ".jpg"))
    labels = positive.to_numpy().astype(np.float32)[:, None]
    return rows.built(folder, options, frame.drop(columns="EncodedPixels"), labels, regions=regions)

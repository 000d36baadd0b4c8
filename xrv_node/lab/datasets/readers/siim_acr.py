"""SIIM-ACR Pneumothorax Segmentation: a line for each annotation, its mask in runs; or PNG files of both."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.table import LabelTable, Region

_GRID = (1024, 1024)
"""Rows and columns of all its images."""

_RUNS = ("train-rle.csv", "stage_2_train.csv", "siim-pneumothorax-train-rle.csv")
_PICTURES = ("stage_1_train_images.csv", "stage_1_test_images.csv")
"""Tables of the copy in PNG that lies beside the challenge: ``png_images`` and ``png_masks``."""


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one row an image, with all its annotations.

    torchxrayvision has one row an annotation, and a mask of the image's last annotation only.
    """
    if folder.find(*_RUNS) is None and folder.find(*_PICTURES) is not None:
        return _read_pictures(folder, options)
    lines = folder.table(*_RUNS, columns=("ImageId", "EncodedPixels"))
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
    frame["image"] = folder.named(frame["ImageId"], (".dcm", ".png", ".jpg"), ("*.zip",))
    labels = positive.to_numpy().astype(np.float32)[:, None]
    return rows.built(folder, options, frame.drop(columns="EncodedPixels"), labels, regions=regions)


def _read_pictures(folder: Folder, options: Options) -> LabelTable:
    """Read the copy in PNG: an image and its mask have the same file name."""
    columns = ("new_filename", "ImageId", "has_pneumo")
    tables = [folder.table(name, columns=columns) for name in _PICTURES if folder.find(name) is not None]
    frame = rows.selected(pd.concat(tables, ignore_index=True).assign(view=None), options)
    (name,) = folder.entry.pathologies
    files = frame["new_filename"].astype(str)
    positive = frame["has_pneumo"] == 1
    above = [path.parent for deep in ("", "*/") for path in folder.path.glob(f"{deep}png_images")]
    place = (above or [folder.path])[0].relative_to(folder.path)
    masks = ((file, (place / "png_masks" / file).as_posix()) for file in files[positive])
    regions = rows.grouped(files, ((file, Region(name, "file", mask)) for file, mask in masks))
    frame["image"] = [(place / "png_images" / file).as_posix() for file in files]
    labels = positive.to_numpy().astype(np.float32)[:, None]
    return rows.built(folder, options, frame, labels, regions=regions)

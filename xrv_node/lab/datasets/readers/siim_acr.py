"""SIIM-ACR Pneumothorax Segmentation: a line for each annotation, its mask in runs; or PNG files of both."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xrv_node.lab.datasets import rows
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.columns import UNKNOWN, Matching, Number, Place, Rule
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.table import LabelTable, Region

_GRID = (1024, 1024)
"""Rows and columns of all its images."""

COLUMNS = (
    Place("ImageId"),
    Matching(
        "EncodedPixels",
        UNKNOWN,
        pattern=r"-1(?:[.,]0+)?|\d+\s+\d+(?:\s+\d+\s+\d+)*",
        form="-1, or pairs of whole numbers: pixels outside, pixels inside",
    ),
)
RULES = (
    Rule(
        "EncodedPixels",
        "leads out of the picture",
        lambda lines: lines["EncodedPixels"].map(_beyond).fillna(False),
    ),
    Rule(
        "EncodedPixels",
        "contradicts another row of its image",
        lambda lines: rows.differing(lines.assign(drawn=_drawn(lines)), "ImageId", "drawn"),
    ),
)
PICTURE_COLUMNS = (Place("new_filename"), Place("ImageId"), Number("has_pneumo", UNKNOWN, among=(0, 1)))

_RUNS = ("train-rle.csv", "stage_2_train.csv", "siim-pneumothorax-train-rle.csv")
_PICTURES = ("stage_1_train_images.csv", "stage_1_test_images.csv")
"""Tables of the copy in PNG that lies beside the challenge: ``png_images`` and ``png_masks``."""


TABLES = {
    "train-rle.csv, stage_2_train.csv": COLUMNS,
    "stage_1_train_images.csv, stage_1_test_images.csv": PICTURE_COLUMNS,
}


def read(folder: Folder, options: Options) -> LabelTable:
    """Read one row an image, with all its annotations.

    torchxrayvision has one row an annotation, and a mask of the image's last annotation only.
    """
    if folder.find(*_RUNS) is None and folder.find(*_PICTURES) is not None:
        return _read_pictures(folder, options)
    lines = folder.table(*_RUNS, columns=COLUMNS, rules=RULES, as_is=options.xrv_compatible)
    lines = lines.assign(present=_drawn(lines))
    if options.xrv_compatible:  # a blank is an annotation there
        runs = lines["EncodedPixels"].astype(str).str.strip()
        lines = lines.assign(EncodedPixels=runs, present=(runs != "-1").astype(float))
    drawn = lines[lines["present"] == 1]
    frame = lines if options.xrv_compatible else lines.drop_duplicates("ImageId")
    frame = rows.selected(folder, frame.assign(view=None), options)
    (name,) = folder.entry.pathologies
    positive = frame["present"]
    regions = rows.grouped(
        frame["ImageId"],
        (
            (image, Region(name, "offset_rle", runs, _GRID))
            for image, runs in zip(drawn["ImageId"], drawn["EncodedPixels"], strict=True)
        ),
        last_only=options.xrv_compatible,
    )
    frame["image"] = folder.images(frame["ImageId"], endings=(".dcm", ".png", ".jpg"))
    labels = positive.to_numpy().astype(np.float32)[:, None]
    frame = frame.drop(columns=["EncodedPixels", "present"])
    return rows.built(folder, options, frame, labels, regions=regions)


def _drawn(lines: pd.DataFrame) -> pd.Series:
    """1 in a row with runs, 0 in one without, NaN where nothing is said."""
    runs = lines["EncodedPixels"]
    return (~runs.astype(str).str.strip().str.fullmatch(r"-1(?:[.,]0+)?")).astype(float).where(runs.notna())


def _beyond(runs: object) -> bool:
    """Whether the runs are more pixels than the picture has."""
    return isinstance(runs, str) and sum(map(float, runs.split())) > _GRID[0] * _GRID[1]


def _read_pictures(folder: Folder, options: Options) -> LabelTable:
    """Read the copy in PNG: an image and its mask have the same file name."""
    tables = [
        folder.table(name, columns=PICTURE_COLUMNS, key="new_filename", as_is=options.xrv_compatible)
        for name in _PICTURES
        if folder.find(name) is not None
    ]
    frame = rows.selected(folder, pd.concat(tables, ignore_index=True).assign(view=None), options)
    (name,) = folder.entry.pathologies
    files = frame["new_filename"].astype(str)
    known = frame["has_pneumo"]
    drawn = files[known == 1]
    masks = (found or f"png_masks/{file}" for file, found in zip(drawn, folder.masks(drawn), strict=True))
    outlines = [Region(name, "file", mask) for mask in masks]
    regions = rows.grouped(files, zip(drawn, outlines, strict=True))
    frame["image"] = folder.images(files)
    labels = known.to_numpy().astype(np.float32)[:, None]
    return rows.built(folder, options, frame, labels, regions=regions)

"""The table that every dataset is read into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Shape = Literal["xywh", "xyxy", "ellipse", "polygon", "offset_rle", "coco_rle", "file"]
"""How a region's ``data`` is to be read. Coordinates are pixels, x to the right and y down from the top left.

``xywh``: a box's left, top, width, height. ``xyxy``: its left, top, right, bottom; ``ellipse``: the same, of
the box around it. ``polygon``: x and y of each corner. ``offset_rle``: runs column by column, each start
counted from the end of the run before (SIIM-ACR). ``coco_rle``: the compressed runs of COCO, column by
column. ``file``: a mask image's path, like ``image``."""

COLUMNS = ("image", "patientid", "view", "offset_day_int", "age_years", "sex", "has_masks")
"""The columns of ``LabelTable.csv`` that every dataset has; the owner's own follow."""


@dataclass(frozen=True, slots=True)
class Region:
    """Where on an image its annotator saw something, as the owner wrote it down."""

    name: str
    """A name of ``pathologies``, or of an anatomical structure where ``semantic``."""
    shape: Shape
    data: tuple[float, ...] | str
    grid: tuple[int, int] | None = None
    """Rows and columns of the grid that the coordinates are on; None: the image's own."""
    semantic: bool = False
    """A structure (torchxrayvision's ``semantic_masks``) and no finding (``pathology_masks``)."""
    others: tuple[int, ...] = ()
    """Values of a mask file that are another structure's."""


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One row of a table. Its image has not been opened."""

    idx: int
    lab: NDArray[np.float32]
    """``[len(pathologies)]``, 1 present, 0 absent, NaN unknown."""
    image: Path
    """May lead through a zip archive as if that were a folder."""
    patientid: str
    view: str
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LabelTable:
    """The images of a dataset and what is known of each; never changed, the tools make new ones.

    ``pathologies``, ``labels`` and ``csv`` are torchxrayvision's names.

    Raises
    ------
    ValueError
        The parts are not of one length, or a common column is missing.
    """

    name: str
    """As in the catalogue; merged tables join theirs with ``+``."""
    root: Path
    """The folder that ``image`` is relative to."""
    pathologies: tuple[str, ...]
    labels: NDArray[np.float32]
    """``[n, len(pathologies)]``, 1 present, 0 absent, NaN unknown (Stony Brook: scores of severity)."""
    csv: pd.DataFrame
    """``COLUMNS``, then the owner's; row i is that of ``labels[i]``, the index counts from 0.

    ``image`` relative path; ``patientid`` text, empty if not published; ``view`` PA, AP, AP Supine,
    FRONTAL (one of these), L, LL or RL (lateral, left or right where published), UNKNOWN, or a word of the
    owner's; ``offset_day_int`` day of the exam, counted from 1970-01-01 or the
    owner's day 0, NaN if not published; ``age_years`` NaN likewise; ``sex`` M, F or empty; ``has_masks``."""
    regions: NDArray[np.object_]
    """``[n]`` of tuples of `Region`."""
    views: tuple[str, ...] = ("*",)
    """The views that were asked for."""
    xrv_compatible: bool = False
    """Read with torchxrayvision's errors: masks follow them too."""
    notes: tuple[str, ...] = ()
    """What was passed over, missing or unknown in the owner's files, a sentence each, with numbers."""

    def __post_init__(self) -> None:
        lengths = {len(self.labels), len(self.csv), len(self.regions)}
        if len(lengths) > 1 or self.labels.shape[1] != len(self.pathologies):
            raise ValueError("labels, csv, regions and pathologies do not fit together")
        if missing := set(COLUMNS) - set(self.csv.columns):
            raise ValueError(f"csv lacks {', '.join(sorted(missing))}")
        self.labels.flags.writeable = False

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.labels)

    def __getitem__(self, index: int) -> Item:
        """Return one row, counted from the end if negative; IndexError beyond either end."""
        position = range(len(self))[index]
        row = self.csv.iloc[position]
        return Item(
            position,
            self.labels[position],
            self.root / row["image"],
            row["patientid"],
            row["view"],
            self.regions[position],
        )

    def __repr__(self) -> str:
        """Return a line like torchxrayvision's."""
        return f"{self.name} num_samples={len(self)} views={list(self.views)}"

    def totals(self) -> dict[str, dict[float, int]]:
        """Count the values of each label, unknown ones left out: ``{label: {value: rows}}``."""
        counted = {}
        for name, column in zip(self.pathologies, self.labels.T, strict=True):
            values, rows = np.unique(column[~np.isnan(column)], return_counts=True)
            counted[name] = dict(zip(values.tolist(), rows.tolist(), strict=True))
        return counted

    def take(self, indices: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> LabelTable:
        """Return the rows at these positions, in this order, or where a mask of all rows is True."""
        chosen = np.arange(len(self))[np.asarray(indices) if len(indices) else np.empty(0, dtype=int)]
        return replace(
            self,
            labels=self.labels[chosen],
            csv=self.csv.iloc[chosen].reset_index(drop=True),
            regions=self.regions[chosen],
        )

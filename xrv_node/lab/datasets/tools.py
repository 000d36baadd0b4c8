"""What is done with tables before they are measured or trained on: each function makes a new one.

The names are torchxrayvision's (``relabel_dataset``, ``MergeDataset``, ``SubsetDataset``, ``FilterDataset``,
``CovariateDataset``), the tables stay unchanged, and no seed is set for anyone else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.catalog import entries
from xrv_node.lab.datasets.table import LabelTable, Region
from xrv_node.lab.datasets.views import with_sides

Mode = Literal["train", "valid", "test"]


def relabel(pathologies: Sequence[str], table: LabelTable) -> LabelTable:
    """Bring the labels into this order, drop the others, and add those that are missing as unknown.

    Regions keep their names: those of a dropped label are there again when it is.
    """
    labels = np.full((len(table), len(pathologies)), np.nan, dtype=np.float32)
    for column, name in enumerate(pathologies):
        if name in table.pathologies:
            labels[:, column] = table.labels[:, table.pathologies.index(name)]
    return replace(table, pathologies=tuple(pathologies), labels=labels)


def subset(table: LabelTable, indices: Sequence[int] | NDArray[np.integer]) -> LabelTable:
    """Keep the rows at these positions, in this order."""
    return table.take(indices)


def filter_labels(table: LabelTable, names: Sequence[str], *, xrv_compatible: bool = False) -> LabelTable:
    """Keep the rows where any of these labels is present, in their order.

    Parameters
    ----------
    table
        Any.
    names
        Of its ``pathologies``.
    xrv_compatible
        As torchxrayvision: label after label, a row again for each of its labels.

    Raises
    ------
    DatasetError
        The table has no such label.
    """
    if unknown := [name for name in names if name not in table.pathologies]:
        raise DatasetError(f"{table.name} has no label {', '.join(unknown)}")
    present = [table.labels[:, table.pathologies.index(name)] == 1 for name in names]
    if xrv_compatible:
        return table.take([int(row) for one in present for row in np.flatnonzero(one)])
    return table.take(np.flatnonzero(np.any(present, axis=0)) if present else [])


def limit_to_selected_views(table: LabelTable, views: Sequence[str]) -> LabelTable:
    """Keep the rows of these views, in any capitals; ``*`` keeps all, ``L`` laterals of either side too."""
    capitals = [view.upper() for view in views]
    wanted = set(capitals) if table.xrv_compatible else with_sides(capitals)
    kept = table if "*" in wanted else table.take(np.flatnonzero(table.csv["view"].str.upper().isin(wanted)))
    return replace(kept, views=tuple(views))


def unique_patients(table: LabelTable) -> LabelTable:
    """Keep the first row of each patient, and every row whose patient is not published."""
    patients = table.csv["patientid"]
    return table.take(np.flatnonzero(~patients.duplicated() | (patients == "")))


def merge(tables: Sequence[LabelTable], *, label_concat: bool = False) -> LabelTable:
    """Put tables below one another; the column ``which_dataset`` counts them from 0.

    The id of a patient gets its dataset before it, ``nih:13``, as two datasets may have the same id; datasets
    of the same patients share theirs, so that no patient is on both sides of a split.

    Parameters
    ----------
    tables
        At least one, all with the same ``pathologies`` in the same order (`relabel` makes them so).
    label_concat
        Give each table label columns of its own, named ``nih: Mass``, unknown in the others' rows. (With
        torchxrayvision 1.5.7 this raises an error.)

    Raises
    ------
    DatasetError
        The labels differ.
    """
    names = tables[0].pathologies
    if differing := [table.name for table in tables if table.pathologies != names]:
        raise DatasetError(
            f"{', '.join(differing)} and {tables[0].name} have other labels; relabel them first"
        )
    labels = np.concatenate([table.labels for table in tables])
    if label_concat:
        blocks = [np.full((len(labels), len(names)), np.nan, dtype=np.float32) for _ in tables]
        which = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        for number, block in enumerate(blocks):
            block[which == number] = labels[which == number]
        labels = np.concatenate(blocks, axis=1)
        names = tuple(f"{table.name}: {name}" for table in tables for name in names)
    return _stacked(tables, names, labels, "which_dataset")


def covariate_shift(
    first: LabelTable,
    first_target: NDArray[np.floating | np.integer],
    second: LabelTable,
    second_target: NDArray[np.floating | np.integer],
    *,
    ratio: float = 0.5,
    mode: Mode = "train",
    seed: int = 0,
    nsamples: int | None = None,
    splits: Sequence[float] = (0.5, 0.25, 0.25),
) -> LabelTable:
    """Draw from two sites so that site and label are correlated, and the other way round when tested.

    The rows, in their order, are those of torchxrayvision's ``CovariateDataset`` for the same seed.

    Parameters
    ----------
    first, second
        The sites; the column ``site`` is 0 and 1.
    first_target, second_target
        ``[len(site)]``, 1 or 0 each.
    ratio
        In [0, 1]: at 1 all negatives of the training set are the first site's and all positives the second's,
        and in the other sets the reverse; at 0.5 nothing is shifted.
    mode
        Which of the three sets; they share no row.
    seed
        Of the drawing.
    nsamples
        Cut each of the four groups down so that about so many remain (torchxrayvision's rounding); None: all.
    splits
        Shares of the three sets, which add up to 1.

    Returns
    -------
    LabelTable
        One label, ``Custom``.

    Raises
    ------
    DatasetError
        A target is unknown, a share is out of range, or a site lacks one of the two classes.
    """
    targets = (np.asarray(first_target, dtype=float), np.asarray(second_target, dtype=float))
    if not all(np.isin(target, (0, 1)).all() for target in targets):
        raise DatasetError(
            "a target of the covariate shift is neither 0 nor 1; leave rows with unknown labels out"
        )
    if not 0 <= ratio <= 1 or not np.isclose(sum(splits), 1):
        raise DatasetError("the ratio of a covariate shift lies in [0, 1], and its shares add up to 1")
    joined = _stacked(
        (first, second), ("Custom",), np.concatenate(targets)[:, None].astype(np.float32), "site"
    )
    site, positive = joined.csv["site"].to_numpy(), joined.labels[:, 0] == 1
    # site 0 negative, site 0 positive, site 1 negative, site 1 positive
    pools = [
        np.flatnonzero((site == where) & (positive == which)) for where in (0, 1) for which in (False, True)
    ]
    count = min(map(len, pools))
    if not count:
        raise DatasetError("a site of the covariate shift has no image with, or none without, the finding")
    random = np.random.RandomState(seed)  # the legacy generator, whose numbers torchxrayvision's are
    pools = [random.choice(pool, count, replace=False) for pool in pools]
    for name, share in zip(("train", "valid", "test"), splits, strict=True):
        alike, other = (int(count * part * share * 2) for part in _parts(ratio, name))
        drawn = [
            pool if name == "test" else random.choice(pool, size, replace=False)
            for pool, size in zip(pools, (alike, other, other, alike), strict=True)
        ]
        if name == mode:
            break
        pools = [np.setdiff1d(pool, taken) for pool, taken in zip(pools, drawn, strict=True)]
    if nsamples is not None:
        sizes = (np.floor, np.ceil, np.ceil, np.floor)
        drawn = [pool[: int(size(nsamples / 4))] for pool, size in zip(drawn, sizes, strict=True)]
    return joined.take(np.concatenate(drawn))


def _parts(ratio: float, name: str) -> tuple[float, float]:
    """How much of the set are (site 0 negative, site 0 positive): turned round outside training."""
    return (ratio, 1 - ratio) if name == "train" else (1 - ratio, ratio)


def _stacked(
    tables: Sequence[LabelTable], names: tuple[str, ...], labels: NDArray[np.float32], counter: str
) -> LabelTable:
    """The tables below one another, images relative to the folder that holds all of them."""
    root = Path(os.path.commonpath([table.root.resolve() for table in tables]))
    frames, regions = [], []
    for number, table in enumerate(tables):
        place = table.root.resolve().relative_to(root).as_posix()
        start = "" if place == "." else f"{place}/"
        frame = table.csv.copy()
        frame["image"] = start + frame["image"]
        frame["patientid"] = frame["patientid"].where(
            frame["patientid"] == "", whose(table) + frame["patientid"]
        )
        frame[counter] = number
        frames.append(frame)
        regions.append(_moved(table.regions, start))
    views = tuple(dict.fromkeys(view for table in tables for view in table.views))
    return LabelTable(
        name="+".join(table.name for table in tables),
        root=root,
        pathologies=names,
        labels=labels,
        csv=pd.concat(frames, ignore_index=True),
        regions=np.concatenate(regions),
        views=views,
        xrv_compatible=any(table.xrv_compatible for table in tables),
        notes=tuple(f"{table.name}: {note}" for table in tables for note in table.notes),
    )


def whose(table: LabelTable) -> str:
    """What tells the table's patients from those of others; nothing if it was merged, as they have it."""
    if "+" in table.name:
        return ""
    shared = next((entry.patients for entry in entries() if entry.name == table.name), "")
    return f"{shared or table.name}:"


def _moved(regions: NDArray[np.object_], start: str) -> NDArray[np.object_]:
    """The same regions with the files of masks below ``start``."""

    def moved(region: Region) -> Region:
        return replace(region, data=f"{start}{region.data}") if region.shape == "file" else region

    result = regions.copy()
    for row in np.flatnonzero([bool(some) for some in regions]) if start else ():
        result[row] = tuple(map(moved, regions[row]))
    return result

"""What the readers share: choosing rows, and turning the owners' columns into the common ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xrv_node.attributes import UNITS_IN_A_YEAR
from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import finder, views
from xrv_node.lab.datasets.catalog import Options
from xrv_node.lab.datasets.folder import Folder
from xrv_node.lab.datasets.table import COLUMNS, LabelTable, Region
from xrv_node.visible import visible

OLDEST = 122
"""Years: nobody is known to have become older (Jeanne Calment, 1875 to 1997). The headers of RSNA's challenge
and NIH's table of 2017 have greater ages, none of which was anybody's."""


_SEX = {"M": "M", "F": "F", "Male": "M", "Female": "F", "male": "M", "female": "F"}


def selected(
    folder: Folder, frame: pd.DataFrame, options: Options, patient: str | None = None
) -> pd.DataFrame:
    """Keep the rows that were asked for.

    Where nobody asked for views, and no file in the folder tells PA from AP, those of an unknown or frontal
    view are kept, and a note says so.

    Parameters
    ----------
    folder
        Gets the notes.
    frame
        With a column ``view``, the owner's word or missing.
    options
        Their views and unique patients.
    patient
        The column that tells patients apart; None where the owner publishes none.

    Returns
    -------
    DataFrame
        Index from 0; ordered by ``patient`` if one image of each is kept, as torchxrayvision does.

    Raises
    ------
    DatasetError
        None is left; the sentence says which views there are.
    """
    if options.xrv_compatible:
        frame = frame.assign(view=frame["view"].astype(object).fillna("UNKNOWN"))
        wanted = set(options.views)
    else:
        frame = frame.assign(view=views.in_our_words(frame["view"]))
        wanted = views.with_sides(views.in_our_words(pd.Series(options.views, dtype=object)))
        if not options.views_asked:
            wanted = views.as_published(folder, frame["view"], wanted)
    if "*" not in wanted:
        capitals = {view.upper() for view in wanted}
        kept = frame[frame["view"].astype(str).str.upper().isin(capitals)]
        if kept.empty:
            there = ", ".join(sorted(map(str, frame["view"].unique()))) or "no image at all"
            raise DatasetError(
                f"{folder.entry.title}: no image of view {', '.join(options.views)}; there is {there}"
                f"{views.what_to_do(folder, there)}"
            )
        frame = kept
    if options.unique_patients and patient is not None:
        frame = _first_of_each(frame, patient, options)
    return frame.reset_index(drop=True)


def _first_of_each(frame: pd.DataFrame, patient: str, options: Options) -> pd.DataFrame:
    """One row a patient: the first.

    torchxrayvision takes pandas' ``groupby().first()``, which is the first *known value of each column*: a
    patient's row then has labels of several images.
    """
    if options.xrv_compatible:
        return frame.groupby(patient).first().reset_index()
    first = ~frame.duplicated(patient) | frame[patient].isna()  # whose patient is unknown is nobody's second
    return frame[first].sort_values(patient, kind="stable")


def partial(frame: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Return True for rows that have some of these columns and not all."""
    there = frame[list(names)].notna()
    return there.any(axis="columns") & ~there.all(axis="columns")


def differing(frame: pd.DataFrame, key: str, name: str) -> pd.Series:
    """Return True for rows whose column ``name`` is not that of the first row of their ``key``."""
    told = frame[name].astype(object).where(frame[name].notna(), -1)
    return told != told.groupby(frame[key]).transform("first")


def extracted(text: pd.Series, pattern: str) -> pd.Series:
    """Return the first group of a pattern in each text, None where it does not match.

    pandas' own ``str.extract`` takes ten times as long on paths, none of which repeats.
    """
    search = re.compile(pattern).search
    found = [match[1] if (match := search(str(one))) else None for one in text]
    return pd.Series(found, index=text.index, dtype=object)


def containing(text: pd.Series, terms: Mapping[str, Sequence[str]]) -> NDArray[np.float32]:
    """Label rows by the words in a text.

    Parameters
    ----------
    text
        E.g. findings between separators. A row without text has no label.
    terms
        By label: the words, any of which makes it present. Part of a longer word counts, as with
        torchxrayvision.

    Returns
    -------
    ndarray
        ``[len(text), len(terms)]``, 1 or 0.
    """
    codes, distinct = pd.factorize(text)  # reports repeat: each text is searched once
    searched = pd.Series(distinct, dtype=object).astype(str)
    found = np.zeros((len(searched) + 1, len(terms)), dtype=np.float32)  # the last row: no text
    for column, words in enumerate(terms.values()):
        for word in words:
            found[:-1, column] += searched.str.contains(word, regex=False).to_numpy(dtype=bool)
    return (found > 0).astype(np.float32)[codes]


def years(ages: pd.Series) -> pd.Series:
    """Turn ages, numbers or texts like ``058Y``, ``006M``, ``85 or more``, into years; NaN if unreadable."""
    if pd.api.types.is_numeric_dtype(ages):
        return ages.astype(float)
    distinct = pd.Series(ages.unique(), dtype=object)
    parts = distinct.astype(str).str.extract(r"^\s*(-?\d+(?:\.\d+)?) ?([YMWDymwd]?)")
    found = pd.to_numeric(parts[0]) / parts[1].str.upper().map(UNITS_IN_A_YEAR).fillna(1.0)
    return ages.map(dict(zip(distinct, found, strict=True))).astype(float)


def days(dates: pd.Series) -> pd.Series:
    """Turn dates, ``YYYYMMDD`` as text or number, into days since 1970-01-01; NaN if unreadable."""
    distinct = pd.Series(dates.unique(), dtype=object)
    text = distinct.astype(str).str.extract(r"^(\d{8})(?:\D|$)")[0]
    found = (pd.to_datetime(text, format="%Y%m%d", errors="coerce") - pd.Timestamp(0)) / pd.Timedelta(days=1)
    return dates.map(dict(zip(distinct, found, strict=True))).astype(float)


def as_xrv_days(dates: pd.Series) -> pd.Series:
    """Return the same as torchxrayvision does: its number of days relies on pandas counting in nanoseconds.

    Since pandas 3 dates that were read from text are counted in microseconds, and it comes out 1000 times too
    small.
    """
    return pd.to_datetime(dates.astype(str), format="%Y%m%d").astype("int64") // 10**9 // 86400


def grouped(
    images: Iterable[str], pairs: Iterable[tuple[str, Region]], *, last_only: bool = False
) -> NDArray[np.object_]:
    """Give each image its regions.

    Parameters
    ----------
    images
        Their keys, in the order of the table.
    pairs
        Key and region; keys are compared as `finder.key` has them. Those that are no image are passed over.
    last_only
        Keep the last region of each name only, as torchxrayvision's masks of NIH and SIIM-ACR do.

    Returns
    -------
    ndarray
        ``[n]`` of tuples of `Region`.
    """
    by_image: dict[str, tuple[Region, ...]] = {}
    for key, region in ((finder.key(str(one)), region) for one, region in pairs):
        others = by_image.get(key, ())
        if last_only:
            others = tuple(other for other in others if other.name != region.name)
        by_image[key] = (*others, region)
    keys = [finder.key(str(image)) for image in images]
    regions = np.empty(len(keys), dtype=object)
    regions[:] = [by_image.get(key, ()) for key in keys]
    return regions


def _ages(folder: Folder, frame: pd.DataFrame, as_is: bool) -> pd.Series:
    """The column of ages, without those that nobody has."""
    ages = frame.get("age_years", pd.Series(np.nan, index=frame.index)).astype(float)
    nobodys = (ages < 0) | (ages > OLDEST)
    if as_is or not nobodys.any():
        return ages
    folder.notes.append(
        f"the ages of {int(nobodys.sum())} images are below 0 or above {OLDEST} years, and unknown"
    )
    return ages.mask(nobodys)


def built(
    folder: Folder,
    options: Options,
    frame: pd.DataFrame,
    labels: NDArray[np.float32],
    *,
    pathologies: Sequence[str] = (),
    regions: NDArray[np.object_] | None = None,
) -> LabelTable:
    """Make the table: complete and type the common columns, put them first.

    Parameters
    ----------
    folder, options
        As the reader got them.
    frame
        Index from 0, with ``image`` and ``view`` and whichever common columns the owner publishes.
    labels
        ``[len(frame), labels]``.
    pathologies
        Their names, where they come from the owner's file; else the entry's.
    regions
        From `grouped`; None: the dataset has none.

    Raises
    ------
    DatasetError
        An image's path leads out of the folder, or is none; rows contradict each other about a file.
    """
    if regions is None:
        regions = grouped(frame["image"], ())
    if not options.xrv_compatible:
        frame, labels, regions = _each_file_once(folder, frame, labels, regions)
    image = frame["image"].astype(str)
    if image.str.contains(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\]|^[A-Za-z]:|\0", regex=True).any():
        raise DatasetError(f"{folder.entry.title}: a label file names an image outside {folder.path}")
    count = len(frame)
    common: dict[str, object] = {
        "image": image,
        "patientid": _text(frame, "patientid"),
        "view": frame["view"].astype(str),
        "offset_day_int": frame.get("offset_day_int", pd.Series(np.nan, index=frame.index)).astype(float),
        "age_years": _ages(folder, frame, options.xrv_compatible),
        "sex": _text(frame, "sex").map(_SEX).fillna(""),
        "has_masks": np.fromiter((bool(some) for some in regions), dtype=bool, count=count),
    }
    owners = frame.drop(columns=[name for name in COLUMNS if name in frame.columns])
    csv = pd.concat([pd.DataFrame(common, index=frame.index), owners], axis="columns")
    return LabelTable(
        name=folder.entry.name,
        root=folder.path,
        pathologies=tuple(pathologies) or folder.entry.pathologies,
        labels=np.ascontiguousarray(labels, dtype=np.float32),
        csv=csv,
        regions=regions,
        views=views.kept(options, csv["view"]),
        xrv_compatible=options.xrv_compatible,
        notes=tuple(dict.fromkeys(folder.notes)),
    )


def _each_file_once(
    folder: Folder, frame: pd.DataFrame, labels: NDArray[np.float32], regions: NDArray[np.object_]
) -> tuple[pd.DataFrame, NDArray[np.float32], NDArray[np.object_]]:
    """Keep one row of an image that is written in several ways: ``a.png`` and ``A.PNG`` are one file."""
    again = np.flatnonzero(frame["image"].duplicated())
    if not len(again):
        return frame, labels, regions
    first = frame["image"].drop_duplicates()
    rows = pd.Series(first.index, index=first)[frame["image"].iloc[again]].to_numpy()
    differ = ~((labels[again] == labels[rows]) | np.isnan(labels[again]) & np.isnan(labels[rows])).all(axis=1)
    if differ.any():
        name = visible(str(frame["image"].iloc[again[differ][0]])[:120])
        raise DatasetError(
            f"{folder.entry.title}: several rows of a label file are of {name} and have other labels; keep "
            "the row that is right"
        )
    folder.notes.append(f"{len(again)} rows are of an image that another row has, and are passed over")
    kept = np.setdiff1d(np.arange(len(frame)), again)
    return frame.iloc[kept].reset_index(drop=True), labels[kept], regions[kept]


def _text(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column as text, empty where it is missing; a number that pandas made a float loses its ``.0``."""
    if name not in frame.columns:
        return pd.Series("", index=frame.index, dtype=object)
    column = frame[name]
    if pd.api.types.is_float_dtype(column):
        column = column.astype("Int64")
    return column.astype(object).where(column.notna(), "").astype(str)

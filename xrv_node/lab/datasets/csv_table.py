"""Reading an owner's table as he published it, or as spreadsheets and programs have written it again."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets import columns as cells
from xrv_node.lab.datasets import csv_layout
from xrv_node.lab.datasets.columns import Column, Number, Refused, Rule
from xrv_node.lab.datasets.csv_layout import Layout
from xrv_node.lab.datasets.owner_file import DAMAGE, encodings

_EXACT = 2.0**53
"""From here on a float is not every whole number: longer ones are names, and stay text."""


def read_table(
    path: Path,
    columns: Sequence[Column],
    rules: Sequence[Rule] = (),
    *,
    key: str | tuple[str, ...] = "",
    others: bool = True,
    as_is: bool = False,
    notes: list[str] | None = None,
) -> pd.DataFrame:
    """Read a table, packed or not, and hold every cell to what the reader declares.

    Separators (comma, semicolon, tab), encodings (UTF-8, UTF-16, Windows'), a decimal comma beside another
    separator, lines above the headings, and headings that differ in letters' case or blanks are found out.

    Parameters
    ----------
    path
        The file.
    columns, rules
        What it must have and may hold.
    key
        The column that names an image: a second row of the same values is passed over, one of other values is
        an error; of several headings the one that the table has. Empty: rows may repeat it.
    others
        Whether columns that are not declared are read too, as pandas reads them.
    as_is
        Read declared columns like the others, and check nothing: torchxrayvision's way.
    notes
        Gets a sentence for rows that were passed over and for cells whose blank is unknown.

    Returns
    -------
    DataFrame
        Index from 0. Text, or numbers as the column says; NaN where a cell is blank.

    Raises
    ------
    DatasetError
        It is damaged, no table, lacks a heading, or has a cell that is none of the owner's.
    """
    said: list[str] = [] if notes is None else notes
    try:
        for encoding in encodings(path):
            try:
                layout = csv_layout.found(Layout(path, encoding), columns)
                frame = _cells(layout, None if others else {column.heading for column in columns})
                break
            except UnicodeDecodeError:
                continue
        else:
            raise DatasetError(f"{path} cannot be read as a table: it is no text")
    except (*DAMAGE, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read as a table; get it again{_why(error)}") from error
    frame, rows = _without_blank_rows(frame, path, said)
    declared = () if as_is else columns
    frame = frame.assign(
        **{
            column.heading: _stripped(frame[column.heading], column, layout.separator)
            for column in declared
            if column.heading in frame.columns
        }
    )
    names = {column.heading for column in declared}
    frame, refused = cells.read(frame, declared, rules if not as_is else ())
    one = next((name for name in ((key,) if isinstance(key, str) else key) if name in frame.columns), "")
    if refused is None and one and not as_is:
        frame, rows, refused = _once(frame, rows, one, names, path, said)
    if refused is not None:
        raise csv_layout.error(layout, refused, int(rows[refused.row]))
    _note_blanks(frame, declared, path, said)
    return frame.assign(**{name: _inferred(frame[name]) for name in frame.columns if name not in names})


def _cells(layout: Layout, only: set[str] | None) -> pd.DataFrame:
    """Every row below the headings as text, blank ones too: pandas' row n is record n of the file."""
    count = len(layout.headings)
    width = max(count, layout.width)
    while True:
        names = [*layout.headings, *(f"beyond: {n}" for n in range(width - count))]
        with layout.lines() as text:
            for _ in range(layout.lines_above):
                text.readline()
            try:
                frame = pd.read_csv(
                    text,
                    sep=layout.separator,
                    header=None,
                    names=names,
                    usecols=None if only is None else [name for name in names if name in only],
                    index_col=False,
                    dtype=str,
                    na_filter=False,
                    skip_blank_lines=False,
                )
            except pd.errors.EmptyDataError:
                frame = pd.DataFrame(columns=names, dtype=str)
            except pd.errors.ParserError as error:
                longer = re.search(r"saw (\d+)", str(error))
                if longer is None or int(longer[1]) <= width:
                    raise
                width = int(longer[1])
                continue
        if csv_layout.ends_within_a_line(layout):
            raise DatasetError(f"{layout.path} ends within a line: it was cut short; get it again")
        frame = frame.fillna("")
        for name in names[count:]:
            if name in frame.columns:
                beyond = frame[name].str.strip() != ""
                if beyond.any():
                    row = int(beyond.to_numpy().argmax())
                    raise DatasetError(
                        f"{layout.path}, line {csv_layout.line_of(layout, row)}: there are more cells than "
                        "headings; a text with a separator in it must be between quotation marks"
                    )
        return frame[[name for name in names[:count] if name in frame.columns]]


def _without_blank_rows(
    frame: pd.DataFrame, path: Path, notes: list[str]
) -> tuple[pd.DataFrame, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Leave rows without any cell out, and columns without heading and cells; and tell the rows' records."""
    left = np.arange(len(frame))
    for name in frame.columns:
        left = left[frame[name].iloc[left].str.strip().to_numpy() == ""]
        if not len(left):
            break
    blank = np.zeros(len(frame), dtype=np.bool_)
    blank[left] = len(frame.columns) > 0
    if blank.any():
        notes.append(f"{path.name}: {int(blank.sum())} blank rows are passed over")
    rows = np.flatnonzero(~blank)
    frame = frame.iloc[rows].reset_index(drop=True) if blank.any() else frame
    empty = [
        name
        for name in frame.columns
        if str(name).startswith("Unnamed: ") and (frame[name].str.strip() == "").all()
    ]
    return frame.drop(columns=empty), rows


def _once(
    frame: pd.DataFrame,
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
    key: str,
    names: set[str],
    path: Path,
    notes: list[str],
) -> tuple[pd.DataFrame, np.ndarray[tuple[int], np.dtype[np.int64]], Refused | None]:
    """Keep the first of rows that say the same of an image."""
    again = frame[key].duplicated().to_numpy(dtype=bool)
    if not again.any():
        return frame, rows, None
    same = frame[[name for name in frame.columns if name in names]].duplicated().to_numpy(dtype=bool)
    differing = again & ~same
    if differing.any():
        row = int(differing.argmax())
        why = "is there in another row with other values; keep the row that is right"
        return frame, rows, Refused(row, key, why, int(differing.sum()) - 1)
    notes.append(
        f"{path.name}: {int(again.sum())} rows repeat what another says of an image, and are passed over"
    )
    return frame[~again].reset_index(drop=True), rows[~again], None


def _stripped(column: pd.Series, declared: Column, separator: str) -> pd.Series:
    """The cells without blanks around them. Most repeat: each different one is looked at once."""
    codes, distinct = pd.factorize(column)
    text = pd.Series(distinct, dtype=column.dtype).str.strip()
    if separator != "," and (isinstance(declared, Number) or getattr(declared, "pattern", "") == cells.AGE):
        text = text.str.replace(r"^([-+]?\d+),(\d+)$", r"\1.\2", regex=True)
    return text.take(codes).set_axis(column.index)


def _inferred(column: pd.Series) -> pd.Series:
    """A column that is not declared, as pandas reads it: numbers if all are, blanks NaN."""
    text = column.where(~column.isin(cells.BLANKS))
    try:
        numbers = pd.to_numeric(text)
    except (ValueError, TypeError):
        return text
    return text if numbers.abs().max() >= _EXACT else numbers


def _note_blanks(frame: pd.DataFrame, columns: Sequence[Column], path: Path, notes: list[str]) -> None:
    for column in columns:
        if column.blank != cells.UNKNOWN or column.heading not in frame.columns:
            continue
        if count := int(frame[column.heading].isna().sum()):
            notes.append(
                f"{path.name}: {column.heading} is blank in {count} of {len(frame)} rows, and unknown"
            )


def _why(error: BaseException) -> str:
    if "EOF inside string" in str(error):
        return " (a quotation mark is opened and never closed)"
    if "encrypted" in str(error):
        return " (it needs a password: unpack it)"
    return ""

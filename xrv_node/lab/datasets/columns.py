"""What the columns of an owner's table may hold, as data: a reader declares it, every cell is held to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

UNKNOWN = "unknown, counted"
"""What a blank means where the owner leaves none: nothing is known, and `LabelTable.notes` says how often."""

BLANKS = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>")
"""A cell without a value: as it is, and as R, pandas and data bases write it. ``#N/A`` is none of them: a
spreadsheet's formula that failed."""

_FAILED = r"#(?:N/A|NV|[^\s]*[!?])"
"""What a spreadsheet shows of a formula that failed, ``#REF!``, ``#NAME?``, in any language."""

_SHORTENED = r"-?\d(?:[.,]\d+)?E\+?\d+"
"""What a spreadsheet makes of a number of twelve digits and more."""

_IMAGE = r"(?i)\.(?:png|jpe?g|dcm|dicom|gz)$"
"""How the names of images end; CT of the COVID-19 collection in ``.nii.gz``."""

AGE = r"-?\d+(?:\.\d+)?(?: ?[YMWDymwd]|\+| or more)?"
"""An age: years, or with DICOM's unit (PS3.5 6.2); ``85 or more`` is BRAX's."""

Cells = pd.Series
"""Text without blanks around it; "" is a blank."""
Wrong = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of any text.

    Attributes
    ----------
    heading
        As the owner writes it. Letters' case, blanks and underscores may differ.
    blank
        What a cell without a value means; empty: it is refused.
    needed
        Whether the table must have the column.
    """

    heading: str
    blank: str = ""
    needed: bool = True

    def allowed(self) -> str:
        """Say what a cell may be."""
        return "any text"

    def read(self, cells: Cells) -> tuple[pd.Series, Wrong]:
        """Turn cells, none of them blank, into values; and tell which are none of the owner's."""
        return cells, np.zeros(len(cells), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Name(Column):
    """What tells images or patients apart: any text, or whole numbers where all are."""

    def allowed(self) -> str:
        """See `Column`."""
        return "any name"

    def read(self, cells: Cells) -> tuple[pd.Series, Wrong]:
        """See `Column`. A spreadsheet's ``13.0`` is 13; what it shortened is lost, and is refused."""
        short = cells.str.fullmatch(_SHORTENED).to_numpy(dtype=bool)
        whole = cells.str.replace(r"^(\d+)\.0+$", r"\1", regex=True)
        if len(whole) and whole.str.fullmatch(r"-?(?:0|[1-9]\d{0,17})").all():
            return pd.to_numeric(whole), short
        return whole, short


@dataclass(frozen=True, slots=True)
class Place(Column):
    """The path of an image. Windows' backslashes are read as slashes. A text with blanks that ends like no
    image is what a program has written below a table."""

    def allowed(self) -> str:
        """See `Column`."""
        return "a file's name or path"

    def read(self, cells: Cells) -> tuple[pd.Series, Wrong]:
        """See `Column`."""
        paths = cells.str.replace("\\", "/", regex=False)
        sentence = cells.str.contains(r"\s") & ~cells.str.contains(_IMAGE)
        return paths, (cells.str.fullmatch(_SHORTENED) | sentence).to_numpy(dtype=bool)


@dataclass(frozen=True, slots=True)
class Matching(Column):
    """Text of a form."""

    pattern: str = ""
    form: str = ""
    """The pattern in words."""

    def allowed(self) -> str:
        """See `Column`."""
        return self.form

    def read(self, cells: Cells) -> tuple[pd.Series, Wrong]:
        """See `Column`."""
        return cells, ~cells.str.fullmatch(self.pattern).to_numpy(dtype=bool)


@dataclass(frozen=True, slots=True)
class Words(Column):
    """Words of the owner's. Letters' case, blanks, hyphens and underscores within them may differ.

    Attributes
    ----------
    words
        In the owner's spelling, which is what is read.
    between
        What separates several in one cell; empty: there is one.
    alone
        Words that contradict any other beside them.
    """

    words: tuple[str, ...] = ()
    between: str = ""
    alone: tuple[str, ...] = ()

    def allowed(self) -> str:
        """See `Column`."""
        several = f", several with {self.between} between" if self.between else ""
        return f"{', '.join(self.words)}{several}"

    def read(self, cells: Cells) -> tuple[pd.Series, Wrong]:
        """See `Column`."""
        known = {spelling(word): word for word in self.words}
        found: dict[str, str] = {}
        for cell in cells:
            parts = str(cell).split(self.between) if self.between else [str(cell)]
            words = [known.get(spelling(part), "") for part in parts]
            if all(words) and (len(set(words)) == 1 or not set(words) & set(self.alone)):
                found[cell] = self.between.join(words)
        values = cells.map(found)
        return values, values.isna().to_numpy(dtype=bool)


@dataclass(frozen=True, slots=True)
class Number(Column):
    """Numbers.

    Attributes
    ----------
    low, high
        Both may be reached.
    among
        The only ones; empty: all between.
    whole
        Whether they have no fraction.
    """

    low: float = -np.inf
    high: float = np.inf
    among: tuple[float, ...] = ()
    whole: bool = False

    def allowed(self) -> str:
        """See `Column`."""
        if self.among:
            return ", ".join(f"{one:g}" for one in self.among)
        what = "a whole number" if self.whole else "a number"
        if np.isinf(self.high):
            return what if np.isinf(self.low) else f"{what} from {self.low:.10g} on"
        return f"{what} from {self.low:.10g} to {self.high:.10g}"

    def read(self, cells: Cells) -> tuple[pd.Series, Wrong]:
        """See `Column`."""
        values = pd.to_numeric(
            cells.where(cells.str.fullmatch(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?"), ""), errors="coerce"
        )
        wrong = ~((values >= self.low) & (values <= self.high))
        if self.among:
            wrong |= ~values.isin(self.among)
        if self.whole:
            wrong |= (values % 1 != 0) | cells.str.fullmatch(_SHORTENED)
            values = values if wrong.any() else values.astype("int64")
        return values, wrong.to_numpy(dtype=bool)


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold within a row, or between rows."""

    heading: str
    """The column that an error names."""
    why: str
    """What is wrong, after the value: ``is 1 in a row without a box``."""
    wrong: Callable[[pd.DataFrame], pd.Series]
    """True where it does not hold."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A cell that is none of the owner's."""

    row: int
    """Position in the frame."""
    heading: str
    why: str
    """What is wrong, after the value."""
    others: int = 0
    """How many more rows have the same trouble."""


def ages(heading: str, *, blank: str = UNKNOWN, needed: bool = True) -> Matching:
    """Return a column of ages; `rows.built` leaves out those that nobody has."""
    return Matching(heading, blank, needed, AGE, "an age in years, or with Y, M, W or D")


def spelling(word: str) -> str:
    """Return a word without what people write differently: case, blanks, hyphens, underscores."""
    return re.sub(r"[\s_-]+", "", word).casefold()


def read(
    frame: pd.DataFrame, columns: Sequence[Column], rules: Sequence[Rule]
) -> tuple[pd.DataFrame, Refused | None]:
    """Turn cells into values.

    Parameters
    ----------
    frame
        The declared columns that the table has, as `Cells`. Other columns stay as they are.
    columns, rules
        The declarations.

    Returns
    -------
    DataFrame
        NaN where a cell is blank.
    Refused or None
        The first thing that is wrong.
    """
    read_ones: dict[str, pd.Series] = {}
    for column in columns:
        if column.heading not in frame.columns:
            continue
        cells = frame[column.heading]
        blank = cells.isin(BLANKS).to_numpy(dtype=bool)
        if blank.any() and not column.blank:
            return frame, _refused(blank, column.heading, "is no value")
        values, wrong = _each_once(column, cells[~blank])
        if wrong.any():
            everywhere = np.zeros(len(cells), dtype=np.bool_)
            everywhere[~blank] = wrong
            first = str(cells.iloc[int(everywhere.argmax())])
            return frame, _refused(everywhere, column.heading, _why(first, column))
        read_ones[column.heading] = values.reindex(frame.index) if blank.any() else values
    frame = frame.assign(**read_ones)
    for rule in rules:
        wrong = rule.wrong(frame).to_numpy(dtype=bool)
        if wrong.any():
            return frame, _refused(wrong, rule.heading, rule.why)
    return frame, None


def _each_once(column: Column, cells: Cells) -> tuple[pd.Series, Wrong]:
    """What `Column.read` says of cells. Most repeat: each different one is looked at once."""
    codes, distinct = pd.factorize(cells)
    different = pd.Series(distinct, dtype=cells.dtype)
    values, wrong = column.read(different)
    wrong = wrong | different.str.fullmatch(_FAILED).to_numpy(dtype=bool)
    return values.take(codes).set_axis(cells.index), wrong[codes]


def _refused(wrong: Wrong, heading: str, why: str) -> Refused:
    return Refused(int(wrong.argmax()), heading, why, int(wrong.sum()) - 1)


def _why(cell: str, column: Column) -> str:
    if re.fullmatch(_FAILED, cell):
        return f"is a formula of a spreadsheet that failed; the owner has {column.allowed()}"
    if re.fullmatch(_SHORTENED, cell) and (not isinstance(column, Number) or column.whole):
        return (
            "is a long number that a spreadsheet has shortened, and cannot be restored; take the owner's file"
        )
    return f"is none of the owner's: {column.allowed()}"

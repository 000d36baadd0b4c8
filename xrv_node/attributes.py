"""Reading attributes of a header that may hold anything: never an exception, whatever the bytes are."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.multival import MultiValue

UNITS_IN_A_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}
"""Of an Age String (PS3.5 6.2, AS)."""


def text(header: Dataset, keyword: str) -> str:
    """An attribute as text.

    Parameters
    ----------
    header
        Any dataset, however malformed: values are parsed when they are asked for, and a damaged one raises
        anything then.
    keyword
        DICOM keyword.

    Returns
    -------
    str
        Stripped; several values with backslashes between them, as DICOM has it; empty where the attribute is
        missing, empty or cannot be read.
    """
    try:
        value = header.get(keyword)
        if isinstance(value, MultiValue):
            return "\\".join(str(v).strip() for v in value)
        return "" if value is None else str(value).strip()
    except Exception:  # the parser has no error class of its own
        return ""


def integer(header: Dataset, keyword: str) -> int:
    """An attribute as a whole number, 0 where it is none."""
    try:
        return int(text(header, keyword))
    except ValueError:
        return 0

"""The header fields of a sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.attributes import UNITS_IN_A_YEAR, text
from xrv_node.monitor.sample import HEADER_FIELDS

NUMBERS = frozenset(("BitsStored", "KVP", "Exposure", "Rows", "Columns", "PatientAge"))
"""Those of `HEADER_FIELDS` that are quantities."""


def columns(headers: Sequence[Dataset]) -> tuple[dict[str, NDArray[np.float32]], dict[str, tuple[str, ...]]]:
    """Read `HEADER_FIELDS`: those that are quantities, NaN where absent, and those that are words."""
    numbers = {
        keyword: np.array([number(header, keyword) for header in headers], np.float32)
        for keyword in HEADER_FIELDS
        if keyword in NUMBERS
    }
    words = {
        keyword: tuple(text(header, keyword)[:64] for header in headers)
        for keyword in HEADER_FIELDS
        if keyword not in NUMBERS
    }
    return numbers, words


def number(header: Dataset, keyword: str) -> float:
    """Read a quantity; an age in years; NaN for what is absent or no number."""
    value = text(header, keyword)
    per_year = 1.0
    if keyword == "PatientAge":
        per_year = UNITS_IN_A_YEAR.get(value[-1:], 1.0)
        value = value.rstrip("YMWD")
    try:
        found = float(value)
    except ValueError:
        return float("nan")
    return found / per_year if np.isfinite(found) else float("nan")

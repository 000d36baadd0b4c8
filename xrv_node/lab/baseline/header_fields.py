"""The header fields of a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.attributes import number, text
from xrv_node.frontal.gates import age_years
from xrv_node.lab.baseline.sample import HEADER_FIELDS

NUMBERS = frozenset(("BitsStored", "KVP", "Exposure", "Rows", "Columns", "PatientAge"))
"""Those of `HEADER_FIELDS` that are quantities."""

Facts = Mapping[str, float | str]
"""Of one image, what is there of `HEADER_FIELDS`: quantities and words, no dates. It is what JSON takes."""


def facts(header: Dataset) -> Facts:
    """Read `HEADER_FIELDS`, whatever a header holds; the age is the one that the frontal filter goes by."""
    found: dict[str, float | str] = {}
    for keyword in HEADER_FIELDS:
        if keyword not in NUMBERS:
            found[keyword] = text(header, keyword)[:64]
        elif (value := _quantity(header, keyword)) is not None:
            found[keyword] = value
    return found


def columns(images: Sequence[Facts]) -> tuple[dict[str, NDArray[np.float32]], dict[str, tuple[str, ...]]]:
    """Put images together: fields that are quantities, NaN where absent, and those that are words."""
    numbers, words = {}, {}
    for keyword in HEADER_FIELDS:
        if keyword in NUMBERS:
            numbers[keyword] = np.array([image.get(keyword, np.nan) for image in images], np.float32)
        else:
            words[keyword] = tuple(str(image.get(keyword, "")) for image in images)
    return numbers, words


def _quantity(header: Dataset, keyword: str) -> float | None:
    return age_years(header) if keyword == "PatientAge" else number(header, keyword)

"""Generated headers for the tests of the frontal filter."""

from typing import Any

import shapes
from pydicom import Dataset

from xrv_node import frontal
from xrv_node.values import Verdict


def code(value: str, scheme: str = "SCT", meaning: str = "") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def header(**attributes: Any) -> Dataset:
    """A CR chest without any view; attributes set to None are taken out."""
    ds = shapes.header("PA", modality="CR")
    for keyword in ("ViewPosition", "PatientOrientation", "SeriesDescription"):
        delattr(ds, keyword)
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def verdict(**attributes: Any) -> Verdict:
    return frontal.decide(header(**attributes)).verdict

"""Figures that others published, beside which a validation is read: ``dicom_config/published.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Published:
    """Areas under the ROC curve of one network on one dataset."""

    auc: MappingProxyType[str, float]
    """By finding."""
    source: str
    note: str
    """What a comparison has to mind."""


def published(dataset: str, classifier: str) -> Published | None:
    """Give the published areas of a network on a dataset, by their names here; None if there are none."""
    table = _table()
    for row in table["dataset"]:
        if row["dataset"] == dataset and classifier in row["auc"]:
            return Published(MappingProxyType(row["auc"][classifier]), table["source"], table["note"])
    return None


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("dicom_config").joinpath("published.toml").read_text(encoding="utf-8"))

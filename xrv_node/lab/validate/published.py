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


@dataclass(frozen=True, slots=True)
class PublishedStructure:
    """How well a segmenter outlined one structure."""

    structure: str
    on: str
    """Whose figure it is, and of which images, in words."""
    iou: float
    dice: float | None = None


def published(dataset: str, classifier: str) -> Published | None:
    """Give the published areas of a network on a dataset, by their names here; None if there are none."""
    table = _table()
    for row in table["dataset"]:
        if row["dataset"] == dataset and classifier in row["auc"]:
            return Published(MappingProxyType(row["auc"][classifier]), table["source"], table["note"])
    return None


def published_structures(segmenter: str) -> tuple[PublishedStructure, ...]:
    """Give the published figures of a segmenter by its name here, on whatever images they are."""
    rows = (row for row in _table()["structure"] if row["segmenter"] == segmenter)
    return tuple(PublishedStructure(row["structure"], row["on"], row["iou"], row.get("dice")) for row in rows)


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("dicom_config").joinpath("published.toml").read_text(encoding="utf-8"))

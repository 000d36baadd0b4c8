"""The table of an export: a row an image, for pandas and spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from pydicom import Dataset, dcmread

from xrv_node.attributes import text
from xrv_node.export.selection import Image
from xrv_node.values import OPERATING_POINT
from xrv_node.visible import cells

_HEADER = (
    "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality", "StudyDate",
    "PatientSex", "PatientAge",
)  # fmt: skip
"""As the exported object has them."""
_SAID = ("verdict", "view")
_BY = (
    "reconstruction_error",
    "classifier",
    "segmenter",
    "autoencoder",
    "model_set",
    "phantom",
    "present",
    "results",
)


@dataclass(frozen=True, slots=True)
class Row:
    """An image that is in the folder."""

    file: str
    """Where, relative to the folder."""
    path: Path
    image: Image
    results: tuple[str, ...]
    """Files of the results that are about it."""


def written(rows: Sequence[Row], labels: Sequence[str]) -> bytes:
    """Return the table as CSV in UTF-8.

    Parameters
    ----------
    labels
        The findings in the order of their columns; scores are in [0, 1], a blank where there is none.
    """
    out = StringIO(newline="")
    writer = csv.writer(out)
    there = [label for label in labels if any(label in row.image.scores for row in rows)]
    writer.writerow(["file", *_HEADER, *_SAID, *there, *_BY])
    for row in rows:
        writer.writerow(cells(_cells(row, dcmread(row.path, stop_before_pixels=True), there)))
    return out.getvalue().encode()


def _cells(row: Row, header: Dataset, labels: Sequence[str]) -> list[object]:
    image = row.image
    scores = [f"{image.scores[label]:.6f}" if label in image.scores else "" for label in labels]
    present = [label for label in labels if image.scores.get(label, 0.0) >= OPERATING_POINT]
    error = "" if image.reconstruction_error is None else f"{image.reconstruction_error:.6g}"
    return [
        row.file,
        *(text(header, keyword) for keyword in _HEADER),
        image.verdict,
        image.view,
        *scores,
        error,
        *(image.models.get(role, "") for role in ("classifier", "segmenter", "autoencoder")),
        image.model_set,
        ("yes" if image.phantom else "no") if image.analysed else "",
        ";".join(present),
        ";".join(row.results),
    ]

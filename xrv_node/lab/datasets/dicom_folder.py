"""A table's images as a folder of DICOM objects, and their labels in a table beside them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from pydicom import Dataset

from xrv_node import reasons
from xrv_node.errors import DatasetError, ImageError
from xrv_node.lab.datasets.images import WORKERS, for_each
from xrv_node.lab.datasets.table import COLUMNS, LabelTable
from xrv_node.lab.datasets.to_dicom import converted
from xrv_node.lab.images.files import Unread

LABELS = "labels.csv"
"""The table beside the objects."""


def export(
    table: LabelTable,
    folder: Path,
    *,
    workers: int = WORKERS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[int, list[Unread]]:
    """Write each image as ``<SOP Instance UID>.dcm``, and ``labels.csv``.

    Parameters
    ----------
    table
        Any.
    folder
        Is made if need be; objects that are there already are written again, with the same bytes.
    workers
        Threads that decode.
    progress
        Called with the images done and their number.

    Returns
    -------
    int
        Objects written. ``labels.csv`` has a row for each: ``file``, ``sop_instance_uid``,
        ``study_instance_uid``, the table's common columns and its labels, 1, 0 or empty.
    list of Unread
        Images that could not be read.

    Raises
    ------
    DatasetError
        The folder cannot be written.
    """

    def convert(index: int) -> Dataset | Unread:
        try:
            return converted(table, index)
        except ImageError as error:
            return Unread(table[index].image, reasons.of(error))

    unread: list[Unread] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LABELS).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "sop_instance_uid", "study_instance_uid", *COLUMNS, *table.pathologies])
            for index, made in enumerate(for_each(convert, len(table), workers)):
                if isinstance(made, Unread):
                    unread.append(made)
                else:
                    name = f"{made.SOPInstanceUID}.dcm"
                    made.save_as(folder / name, enforce_file_format=True)
                    writer.writerow([name, made.SOPInstanceUID, made.StudyInstanceUID, *_row(table, index)])
                progress(index + 1, len(table))
    except OSError as error:
        raise DatasetError(f"{folder} cannot be written ({error.strerror}); name another folder") from error
    return len(table) - len(unread), unread


def _row(table: LabelTable, index: int) -> list[object]:
    """The common columns and the labels; what is unknown is empty."""
    values = [*table.csv.iloc[index][list(COLUMNS)], *table.labels[index].tolist()]
    return ["" if pd.isna(value) else value for value in values]

"""Reading a dataset by its name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.catalog import Options, find
from xrv_node.lab.datasets.folder import Folder

if TYPE_CHECKING:
    from xrv_node.lab.datasets.table import LabelTable


_ODD = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)
"""What pandas and numpy raise on a cell of another kind than its column is of."""


def load(
    name: str,
    folder: Path | str,
    *,
    part: str | None = None,
    views: Sequence[str] | None = None,
    unique_patients: bool | None = None,
    xrv_compatible: bool = False,
) -> LabelTable:
    """Read a dataset's labels from the files of its owner. No image is opened.

    Parameters
    ----------
    name
        As in the catalogue.
    folder
        Holds the owner's files: the label files, packed or not, there or up to two folders deeper, the images
        wherever they were unpacked.
    part
        Which of its label files; None: the first of the entry's ``parts``.
    views
        Keep images of these views only; ``("*",)`` keeps all. None: torchxrayvision's choice.
    unique_patients
        Keep the first image of each patient only. None: torchxrayvision's choice.
    xrv_compatible
        Repeat the errors of torchxrayvision 1.5.7 that change rows, labels or masks
        (``docs/datasets.md``), to compare with numbers that were made with it.

    Raises
    ------
    DatasetError
        No such dataset or part, a file that is missing or damaged, or no image of these views.
    """
    entry, folder = find(name), Path(folder)
    part = entry.parts[0] if part is None else part
    if part not in entry.parts:
        raise DatasetError(f"{entry.title} has no part {part!r}; it has {', '.join(entry.parts)}")
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; it should hold {', '.join(entry.files)}")
    options = Options(
        part,
        entry.views if views is None else tuple(views),
        entry.unique_patients if unique_patients is None else unique_patients,
        xrv_compatible,
        views_asked=views is not None,
    )
    reader = import_module(f"xrv_node.lab.datasets.readers.{entry.name.replace('-', '_')}")
    try:
        table: LabelTable = reader.read(Folder(folder, entry), options)
    except _ODD as error:
        raise DatasetError(
            f"{entry.title}: a label file in {folder} has other values than its owner publishes "
            f"({type(error).__name__}); get it again from {entry.home}"
        ) from error
    return table

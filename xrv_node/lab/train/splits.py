"""Who is trained on, who stops the training, and who is measured: no patient is in two parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import DatasetError

if TYPE_CHECKING:
    from xrv_node.lab.datasets.table import LabelTable


PARTS = ("train", "valid", "test")
"""The fields of a `Split`."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Row numbers of each part, ascending. Together they are all rows, none twice."""

    train: NDArray[np.intp]
    valid: NDArray[np.intp]
    test: NDArray[np.intp]


def split(table: LabelTable, valid_share: float, test_share: float, seed: int) -> Split:
    """Divide a table by patients, so that each part has about its share of the images and of each finding.

    Patients are dealt out one by one, those with the rarest findings first, each to the part that lacks most
    of the images that it should have by then. An image whose patient is not published counts as a patient.

    Parameters
    ----------
    table
        Any.
    valid_share, test_share
        Of the images, in (0, 1), together below 1; the rest is trained on.
    seed
        Of the order of patients who have the same rarest finding.

    Raises
    ------
    DatasetError
        There are fewer than three patients.
    """
    patients = _patients(table)
    number = int(patients.max(initial=-1)) + 1
    if number < 3:
        raise DatasetError(
            f"{table.name} has too few patients ({number}): training, validation and test need one each at "
            "least"
        )
    images = np.bincount(patients, minlength=number)
    order = np.random.default_rng(seed).permutation(number)
    order = order[np.argsort(_rarest(table, patients, number)[order], kind="stable")]
    shares = np.array([1 - valid_share - test_share, valid_share, test_share])
    has = np.zeros(3)
    part_of = np.empty(number, dtype=np.intp)
    for patient in order:
        part = int(np.argmax(shares * (has.sum() + images[patient]) - has))
        part_of[patient] = part
        has[part] += images[patient]
    for part in np.flatnonzero(has == 0).tolist():  # so few patients that a small share came to nobody
        giver = int(np.argmax(np.bincount(part_of, minlength=3)))
        part_of[np.flatnonzero(part_of == giver)[0]] = part
    of_row = part_of[patients]
    return Split(*(np.flatnonzero(of_row == part) for part in range(3)))


def presence(table: LabelTable, parts: Split) -> list[dict[str, str]]:
    """Return for each finding how many images of each part have it, of how many where it is known.

    Returns
    -------
    list
        Rows with the keys ``finding``, ``train``, ``valid`` and ``test``; ``3 of 40``.
    """
    found = []
    for i, label in enumerate(table.pathologies):
        row = {"finding": label}
        for part in PARTS:
            labels = table.labels[getattr(parts, part), i]
            row[part] = f"{int((labels == 1).sum())} of {int((~np.isnan(labels)).sum())}"
        found.append(row)
    return found


def doubt(titles: Sequence[str]) -> str:
    """Return what to mind of parts and figures where patients are not published, a sentence; empty without
    such datasets.

    Parameters
    ----------
    titles
        Of datasets whose owners publish no patients (``catalog.without_patients``).
    """
    if not titles:
        return ""
    return (
        f"Of {' and '.join(titles)} no patients are published: images of one patient may be in two parts, "
        "the figures too good and the intervals too narrow."
    )


def _patients(table: LabelTable) -> NDArray[np.intp]:
    """``[n]``: a number for each patient, counted from 0."""
    names = table.csv["patientid"].to_numpy(dtype=str)
    unnamed = names == ""
    # the blank keeps an invented name apart from any published one
    names = np.where(unnamed, np.char.add(" ", np.arange(len(names)).astype(str)), np.char.strip(names))
    return np.unique(names, return_inverse=True)[1].astype(np.intp)


def _rarest(table: LabelTable, patients: NDArray[np.intp], number: int) -> NDArray[np.intp]:
    """``[number]``: rank of the rarest finding in each patient's images, the rarest first, none last."""
    present = table.labels == 1
    rarest = np.full(number, len(table.pathologies), dtype=np.intp)
    common_first = np.argsort(-present.sum(axis=0), kind="stable")
    for rank, column in zip(range(len(common_first) - 1, -1, -1), common_first, strict=True):
        rarest[patients[present[:, column]]] = rank
    return rarest

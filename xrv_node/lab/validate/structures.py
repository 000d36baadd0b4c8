"""How well the segmenter outlines the anatomical structures that a dataset has masks of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.statistics.intervals import Bootstrap, Estimate, rounds_for
from xrv_node.lab.statistics.overlap import Mask, dice, iou
from xrv_node.lab.statistics.weighted_auc import Floats
from xrv_node.report import masks as report_masks
from xrv_node.values import Frame

WHOLES: Mapping[str, tuple[str, str]] = {
    "Lungs": ("Left Lung", "Right Lung"),
    "Clavicles": ("Left Clavicle", "Right Clavicle"),
}
"""What a dataset (``Lungs``: the COVID-19 collection) or a publication draws as one, a segmenter as two."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The segmenter's mask of one structure of one image beside the dataset's."""

    structure: str
    dice: float
    iou: float


@dataclass(frozen=True, slots=True)
class StructureFigures:
    """One structure over all images that have a mask of it; intervals are the bootstrap's over patients."""

    structure: str
    number: int
    """Images."""
    mean_dice: Estimate
    median_dice: Estimate
    mean_iou: Estimate
    median_iou: Estimate


def whole(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of structures, and those of `WHOLES` both of whose halves are among them."""
    given = tuple(names)
    return (*given, *(n for n, halves in WHOLES.items() if n not in given and set(halves) <= set(given)))


def joined(masks: Mapping[str, Mask]) -> dict[str, Mask]:
    """Return masks by structure, and those of the wholes that they make up (`whole`)."""
    found = dict(masks)
    for name in whole(masks)[len(masks) :]:
        left, right = (masks[half] for half in WHOLES[name])
        found[name] = left | right
    return found


def placed(masks: Mapping[str, Mask], frame: Frame, wanted: Iterable[str] | None = None) -> dict[str, Mask]:
    """Bring a segmenter's masks to the image's own pixels, as the node does for what it sends.

    Parameters
    ----------
    masks
        By structure: ``[n, n]`` over the square of `frame`.
    frame
        Where that lies in the image.
    wanted
        The structures of a dataset, of which alone the masks or those of their halves are wanted; None: all.

    Returns
    -------
    dict
        By structure: ``[rows, columns]``.
    """
    names = tuple(masks)
    if wanted is not None:
        parts = {part for name in wanted for part in (name, *WHOLES.get(name, ()))}
        names = tuple(name for name in names if name in parts)
    if not names:
        return {}
    return dict(zip(names, report_masks.placed(np.stack([masks[n] for n in names]), frame), strict=True))


def common(table: LabelTable, targets: Iterable[str]) -> tuple[str, ...]:
    """Return the structures that a dataset has masks of and a segmenter outlines, in its order.

    Parameters
    ----------
    table
        The dataset.
    targets
        What the segmenter outlines.

    Raises
    ------
    DatasetError
        There is none.
    """
    drawn = set(whole(outlined(table)))
    found = tuple(name for name in whole(targets) if name in drawn)
    if not found:
        raise DatasetError(
            f"{table.name} has no masks of structures that the segmenter outlines: leave --segment out"
        )
    return found


def outlined(table: LabelTable) -> tuple[str, ...]:
    """Return the structures that a dataset has masks of."""
    names = (region.name for regions in table.regions for region in regions if region.semantic)
    return tuple(dict.fromkeys(names))


def compare(found: Mapping[str, Mask], truth: Mapping[str, Mask]) -> tuple[Agreement, ...]:
    """Compare the masks of one image, all of the same shape.

    Parameters
    ----------
    found, truth
        By structure: the segmenter's and the dataset's. Halves are joined on either side; what only one side
        has, and what is empty on both, is left out.
    """
    theirs, agreements = joined(truth), []
    for name, mask in joined(found).items():
        if name not in theirs:
            continue
        overlap, jaccard = dice(mask, theirs[name]), iou(mask, theirs[name])
        if overlap is not None and jaccard is not None:
            agreements.append(Agreement(name, overlap, jaccard))
    return tuple(agreements)


def figures(structure: str, agreements: NDArray[np.float64], patients: NDArray[np.intp]) -> StructureFigures:
    """Sum one structure up.

    Parameters
    ----------
    structure
        Its name.
    agreements
        ``[n, 2]``: Dice and IoU of each image.
    patients
        ``[n]``: the patient of each image, numbers from 0 without gaps.
    """
    bootstrap = Bootstrap(patients, rounds_for(len(patients)))

    def interval(column: int, summary: Callable[[Floats], np.floating]) -> Estimate:
        def of(weights: Floats | None) -> float:
            drawn = 1 if weights is None else weights.astype(np.intp)
            return float(summary(np.repeat(agreements[:, column], drawn)))

        return bootstrap.interval(of)

    return StructureFigures(
        structure,
        len(agreements),
        interval(0, np.mean),
        interval(0, np.median),
        interval(1, np.mean),
        interval(1, np.median),
    )

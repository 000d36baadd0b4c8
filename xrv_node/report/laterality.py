"""Whether the network's left and right are the patient's, and over which lung a region lies.

The anatomy network names sides as on a radiograph shown in the usual way, the patient's left on the viewer's
right. On a mirrored image that is wrong. Two things can contradict it: what the header says of the image's
orientation, and the heart, which lies to the left of the middle between the lungs. A contradiction may have
another cause (a heart on the right, or pushed there), which only a person can tell: no side is named then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.attributes import text
from xrv_node.reasons import Reason
from xrv_node.values import Analysis, Point

_HEART_OFFSET = 0.05
"""Of the distance between the lungs' centres: nearer to the middle, the heart tells no side. Chosen so that a
heart in the middle says nothing; not from measurements."""

_APART = 0.05
"""Of the square's side: lungs whose centres are nearer than that lie in no order."""

_OVER_LUNG = 0.25
"""Part of a region that lies over the lungs, below which it is of no side: it is about something else."""

_ON_ONE_SIDE = 0.9
"""Part of what lies over the lungs that lies over one of them, from which the region is of that side. Not all
of it: class activation maps are coarse, a cell of theirs is a seventh of the square. This and the one before
were chosen, not fitted."""


def doubt(header: Dataset, analysis: Analysis) -> Reason | None:
    """Say why the sides of the masks must not be taken for the patient's.

    Parameters
    ----------
    header
        The image's; Patient Orientation (0020,0020) where it has one.
    analysis
        Masks in the image's own orientation.

    Returns
    -------
    Reason or None
        None where nothing contradicts the network, or where it does not show both lungs.
    """
    return contradiction(header, analysis.structures, analysis.masks)


def contradiction(header: Dataset, structures: Sequence[str], masks: NDArray[np.bool_]) -> Reason | None:
    """Say what contradicts the sides of masks ``[k, n, n]``; see `doubt`."""
    left, right, heart = (_column(structures, masks, name) for name in ("Left Lung", "Right Lung", "Heart"))
    if left is None or right is None or abs(left - right) < _APART * masks.shape[2]:
        return None
    network = left > right
    told = _told(header)
    if told is not None and told != network:
        return Reason("sides-contradict-header")
    if heart is None or abs(heart - (left + right) / 2) < _HEART_OFFSET * abs(left - right):
        return None
    if (heart > (left + right) / 2) != network:
        return Reason("sides-contradict-heart")
    return None


def side(analysis: Analysis, region: tuple[Point, ...]) -> Literal["Left", "Right"] | None:
    """Say over which lung a region lies, by the anatomy network's masks.

    Ask `doubt` before: the side is the network's.

    Parameters
    ----------
    analysis
        Masks ``[k, n, n]`` over the square of its frame.
    region
        A polygon in source pixels.

    Returns
    -------
    str or None
        None where the region is on both sides, outside the lungs, or a lung was not found.
    """
    left, right = (_mask(analysis.structures, analysis.masks, name) for name in ("Left Lung", "Right Lung"))
    if left is None or right is None:
        return None
    filled = inside(analysis, region)
    over_left, over_right = int((filled & left).sum()), int((filled & right).sum())
    if min(left.sum(), right.sum()) == 0 or over_left + over_right < _OVER_LUNG * filled.sum():
        return None
    if max(over_left, over_right) < _ON_ONE_SIDE * (over_left + over_right):
        return None
    return "Left" if over_left > over_right else "Right"


def inside(analysis: Analysis, region: tuple[Point, ...]) -> NDArray[np.bool_]:
    """Return the pixels of the networks' square, ``[n, n]`` as its masks', that lie in a region."""
    import cv2

    frame, n = analysis.frame, analysis.masks.shape[-1]
    # OpenCV has the centre of the first pixel at 0, DICOM at 0.5
    corners = (np.array(region) - (frame.left, frame.top)) * n / frame.extent[::-1] - 0.5
    filled = np.zeros((n, n), np.uint8)
    cv2.fillPoly(filled, [corners.round().astype(np.int32)], (1,))
    return filled.astype(np.bool_)


def upright(header: Dataset) -> bool:
    """Whether nothing says that the image lies or is seen from the side: the rows run from left to right."""
    return text(header, "PatientOrientation").split("\\")[0][:1].upper() not in ("A", "P", "H", "F")


def _mask(structures: Sequence[str], masks: NDArray[np.bool_], structure: str) -> NDArray[np.bool_] | None:
    if structure not in structures:
        return None
    mask: NDArray[np.bool_] = masks[structures.index(structure)]
    return mask


def _column(structures: Sequence[str], masks: NDArray[np.bool_], structure: str) -> float | None:
    """Mean column of a mask; None where it is missing or empty."""
    mask = _mask(structures, masks, structure)
    if mask is None:
        return None
    columns = mask.sum(axis=0)
    total = float(columns.sum())
    return float((columns * np.arange(len(columns))).sum()) / total if total else None


def _told(header: Dataset) -> bool | None:
    """Whether the patient's left is on the image's right by its header; None where it does not tell.

    Patient Orientation's first value is the direction of the rows (PS3.3 C.7.6.1.1.1); its first letter is
    the dominant one.
    """
    return {"L": True, "R": False}.get(text(header, "PatientOrientation").split("\\")[0][:1].upper())

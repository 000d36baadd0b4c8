"""What header and masks tell of an image that its findings must be read with: age, position, completeness.

Each rule is one that a radiographer would use, in its plainest form; where a bound is needed it is wide and
was chosen, not fitted. A flag refuses nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.attributes import text
from xrv_node.frontal.gates import ADULT_YEARS, age_years
from xrv_node.reasons import Reason
from xrv_node.values import Analysis, ImageOutcome

_TILT = 30.0
"""Degrees from the level of the line between the lungs' centres. A lung that has lost half of its height
shifts its centre by a quarter of it, which tilts the line by less."""
_ASYMMETRY = 0.5
"""Half the gap between the clavicles' medial ends: one of them is three times as far from the spine's middle
as the other."""
_EDGE = 0.02
"""Of the square's side: what the two medial ends must lie apart, or a lung touch of the edge, to count."""

_Mask = NDArray[np.bool_]


def flags(image: ImageOutcome) -> tuple[Reason, ...]:
    """Say what is unusual about an image by its header and masks.

    Parameters
    ----------
    image
        With an analysis.

    Returns
    -------
    tuple of Reason
        No age or one below 18 years; an image that lies or
        stands on its head (Patient Orientation, PS3.3 C.7.6.1.1.1; the lungs' level); a patient who is
        rotated, which shows in a spine that is not midway between the medial ends of the clavicles (European
        Guidelines on Quality Criteria for Diagnostic Radiographic Images, EUR 16260, chest, image criteria);
        a lung that is not whole.
    """
    analysis = image.analysis
    if analysis is None:
        return ()
    said = [_age(image.header), _orientation(image.header)]
    said += [_tilt(analysis), _rotation(analysis), _cut_off(analysis)]
    return tuple(reason for reason in said if reason)


def _age(header: Dataset) -> Reason | None:
    age = age_years(header)
    if age is None:
        return Reason("quality-no-age")
    if age < ADULT_YEARS:
        return Reason("quality-minor")
    return None


def _orientation(header: Dataset) -> Reason | None:
    """Upright is L or R along the rows and F down the columns; which of L and R is for `laterality`."""
    letters = [word[:1].upper() for word in text(header, "PatientOrientation").split("\\")]
    if len(letters) != 2 or not set(letters) <= set("LRFH") or (letters[0] in "LR" and letters[1] == "F"):
        return None
    return Reason("quality-lying")


def _tilt(analysis: Analysis) -> Reason | None:
    left, right = (_mask(analysis, name) for name in ("Left Lung", "Right Lung"))
    if left is None or right is None:
        return None
    (row, column), (other_row, other_column) = (np.argwhere(mask).mean(axis=0) for mask in (left, right))
    angle = math.degrees(math.atan2(abs(row - other_row), abs(column - other_column)))
    if angle <= _TILT:
        return None
    return Reason("quality-tilted", angle=round(angle))


def _rotation(analysis: Analysis) -> Reason | None:
    """Compare the distances of the clavicles' medial ends from the middle of the spine beside them."""
    names = ("Left Clavicle", "Right Clavicle", "Spine")
    one, other, spine = (_mask(analysis, name) for name in names)
    if one is None or other is None or spine is None:
        return None
    beside = spine & (one | other).any(axis=1, keepdims=True)
    if not beside.any():
        return None
    middle = np.nonzero(beside)[1].mean()
    first, second = sorted((np.nonzero(mask)[1] for mask in (one, other)), key=np.mean)
    before, after = float(middle - first.max()), float(second.min() - middle)
    if before + after < _EDGE * len(spine) or abs(before - after) <= _ASYMMETRY * (before + after):
        return None
    return Reason("quality-rotated")


def _cut_off(analysis: Analysis) -> Reason | None:
    """The networks see the central square: a lung may go on in the image, or have been cut off with it."""
    for mask in (_mask(analysis, name) for name in ("Left Lung", "Right Lung")):
        if mask is not None:
            edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
            if max(int(edge.sum()) for edge in edges) >= _EDGE * len(mask):
                return Reason("quality-lung-cut-off")
    return None


def _mask(analysis: Analysis, structure: str) -> _Mask | None:
    """The structure's mask; None where the network does not know it or did not find it."""
    if structure not in analysis.structures:
        return None
    mask: _Mask = analysis.masks[analysis.structures.index(structure)]
    return mask if mask.any() else None

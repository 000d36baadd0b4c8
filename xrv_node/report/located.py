"""Where a finding lies: the region that may be drawn, its side and zone, or why there is none.

A class activation map answers for any image, also beside the patient. So a region is drawn, and a site named,
only where it lies over the organ that the finding is one of, by the anatomy network's masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xrv_node.reasons import Reason
from xrv_node.report import codes
from xrv_node.report.laterality import doubt, inside, side, upright
from xrv_node.values import Analysis, Finding, ImageOutcome, Point

Zone = Literal["upper", "middle", "lower"]
Side = Literal["Left", "Right"]

NO_REGION = Reason("no-region")
BESIDE = Reason("region-beside")

_OVER = 0.1
"""Share of a region that must lie over its organ. Little, because a cell of the map is a seventh of the
square; chosen, not fitted."""
_TRIANGLE = 3
_ZONES: tuple[Zone, ...] = ("upper", "middle", "lower")
"""Thirds of the height of the lungs, in which radiologists name a place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding that is present lies."""

    region: tuple[Point, ...] = ()
    """What may be drawn; empty where nothing may."""
    site: bool = False
    """Whether the region lies over the finding's site, so that it can be named."""
    side: Side | None = None
    zone: Zone | None = None
    caution: Reason | None = None
    """Why no region is drawn."""


def place(image: ImageOutcome, finding: Finding) -> Place:
    """Say where a finding lies.

    Parameters
    ----------
    image : ImageOutcome
        With an analysis.
    finding : Finding
        One of its findings, with the region that the analysis gave it; anything but one that is present has
        no place.

    Raises
    ------
    ConfigError
        If the finding has no codes.
    """
    analysis = image.analysis
    if analysis is None or not finding.present:
        return Place()
    if len(finding.region) < _TRIANGLE:
        return Place(caution=NO_REGION)
    row, filled = codes.finding(finding.label), inside(analysis, finding.region)
    over = _is_over(analysis, row.over, filled)
    if over is False:
        return Place(caution=BESIDE)
    if over is None or not row.sided:
        return Place(finding.region, site=bool(over))
    which = side(analysis, finding.region) if doubt(image.header, analysis) is None else None
    zone = _zone(analysis, filled, which) if upright(image.header) else None
    return Place(finding.region, site=True, side=which, zone=zone)


def _is_over(analysis: Analysis, organs: tuple[str, ...], filled: NDArray[np.bool_]) -> bool | None:
    """Whether a region lies over the organs; None where none of them was found."""
    if not organs:
        return True
    masks = _found(analysis, organs)
    if not masks.any():
        return None
    return bool((filled & masks).sum() >= _OVER * max(1, int(filled.sum())))


def _found(analysis: Analysis, structures: Sequence[str]) -> NDArray[np.bool_]:
    """Return the structures' masks as one, ``[n, n]``."""
    chosen = [analysis.structures.index(name) for name in structures if name in analysis.structures]
    together: NDArray[np.bool_] = np.asarray(analysis.masks[chosen].any(axis=0))
    return together


def settled(image: ImageOutcome) -> ImageOutcome:
    """Return an image whose findings have the regions that may be drawn, and no others."""
    if image.analysis is None:
        return image
    found = tuple(replace(f, region=place(image, f).region) for f in image.analysis.findings)
    return replace(image, analysis=replace(image.analysis, findings=found))


def _zone(analysis: Analysis, filled: NDArray[np.bool_], which: Side | None) -> Zone | None:
    """The third of the height of the lung, or of both, in which the middle of the region is."""
    lungs = _found(analysis, [f"{which} Lung"] if which else ["Left Lung", "Right Lung"])
    rows, over = np.nonzero(lungs.any(axis=1))[0], np.nonzero(filled)[0]
    if not len(rows) or not len(over):
        return None
    share = (float(over.mean()) - rows[0]) / max(1, int(rows[-1] - rows[0]))
    return _ZONES[min(max(int(3 * share), 0), 2)]

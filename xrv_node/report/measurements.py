"""What the anatomy masks allow to be measured: the cardiothoracic ratio with its two lines, and lung areas.

All of it is measured on a projection, by a network's outlines, along the rows of the image. So nothing is
measured where the masks are not a chest's: without heart or lungs, with sides in doubt, turned or cut off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.attributes import spacing, text
from xrv_node.reasons import Reason
from xrv_node.report import codes
from xrv_node.report.laterality import doubt, upright
from xrv_node.report.thorax import plausible
from xrv_node.values import Analysis, Frame, ImageOutcome, Point

PROJECTION = Reason("measured-on-projection")
ANTEROPOSTERIOR = Reason("antero-posterior")
VIEW_NOT_STATED = Reason("view-not-stated")
AT_DETECTOR = Reason("mm-at-detector")
CALIBRATED = Reason("mm-calibrated")
IMPLAUSIBLE = Reason("mm-implausible")

_LEFT, _RIGHT, _HEART = "Left Lung", "Right Lung", "Heart"
_SMALLEST_HEART = 0.005
"""Share of the networks' square below which a heart counts as not found: the gate's bound for a lung, as wide
and as little fitted."""
_TOLERANCE = 1.0
"""Mask pixels by which the simplified outline of a lung may leave the exact one."""

_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Measure:
    """One measurement on one image."""

    key: str
    """Row of ``dicom_config/measurements.toml``, e.g. ``"CTR"``."""
    value: float
    unit: str
    """UCUM: ``{ratio}``, ``mm`` and ``mm2``, or ``{pixels}`` where the image does not state its spacing."""
    outlines: tuple[tuple[Point, ...], ...]
    """What was measured, in source pixels: lines of two points, or one closed polygon (first point
    repeated)."""
    caveats: tuple[Reason, ...]
    """What its reader must know."""

    @property
    def name(self) -> str:
        """For people to read, e.g. ``"Cardiothoracic ratio"``."""
        return codes.measurement(self.key).name


def measure(image: ImageOutcome) -> tuple[Measure, ...]:
    """Measure the heart and the lungs.

    The *cardiothoracic ratio* is the maximal transverse diameter of the heart over the maximal internal
    diameter of the thorax (Danzer, Am J Med Sci 1919;157:513). The first is the greatest extent of the heart
    to the right of the midline and that to the left of it, added: wherever the midline is, the distance of
    the heart's outermost columns. Its line is drawn level, half-way between the rows in which they are. The
    second is the widest row between the outer borders of the lungs' masks.

    Parameters
    ----------
    image
        With masks ``[k, n, n]`` over the square of its frame. Each structure is its largest connected part.

    Returns
    -------
    tuple of Measure
        ``CTR``, ``HEART-WIDTH`` and ``CHEST-WIDTH``; then ``LUNG-AREA-L`` and ``LUNG-AREA-R``,
        where the spacing is known and the lungs are whole. ``CTR`` alone, with a caution, where the thorax is
        not as wide as one of the patient's age and sex can be (`thorax.plausible`): the spacing is not that
        of the pixels. Empty where the image failed, its masks are not to be believed, or the heart does not
        lie within the thorax.
    """
    analysis = image.analysis
    if analysis is None or image.error is not None or _unbelievable(image.header, analysis):
        return ()
    left, right, heart = (_largest(_mask(analysis, name)) for name in (_LEFT, _RIGHT, _HEART))
    widths = _widths(image, analysis.frame, left, right, heart)
    if not widths:
        return ()
    measured = (*widths, *_areas(image, analysis.frame, left, right))
    if _possible(widths, image.header):
        return measured
    return (replace(widths[0], caveats=(*widths[0].caveats, IMPLAUSIBLE)),)


def _unbelievable(header: Dataset, analysis: Analysis) -> bool:
    """Whether the masks show no whole, upright chest with known sides."""
    from xrv_node.analyse.gate import lung_flags

    return (
        analysis.refused is not None
        or not {_LEFT, _RIGHT, _HEART} <= set(analysis.structures)
        or bool(lung_flags(analysis.masks, analysis.structures))
        or doubt(header, analysis) is not None
        or not upright(header)
    )


def _widths(
    image: ImageOutcome, frame: Frame, left: _Mask, right: _Mask, heart: _Mask
) -> tuple[Measure, ...]:
    """The two diameters and their ratio; none where the heart is missing, or thorax or heart cut off."""
    both = left.any(axis=1) & right.any(axis=1)
    if heart.mean() < _SMALLEST_HEART or not both.any():
        return ()
    n = len(heart)
    first, last = _ends(left | right)
    row = _middle(np.where(both, last - first, -1))
    heart_first, heart_last = _ends(heart)
    first_row, last_row = _middle(-heart_first), _middle(heart_last)
    thorax = int(first[row]), int(last[row])
    cardiac = int(heart_first[first_row]), int(heart_last[last_row])
    if not 0 < thorax[0] < cardiac[0] < cardiac[1] < thorax[1] < n:
        return ()
    lines = (
        _line(frame, n, cardiac, (first_row + last_row + 1) / 2),
        _line(frame, n, thorax, row + 0.5),
    )
    across, caveat = _scale(image.header)
    widths = [(line[1][0] - line[0][0]) * (across[1] if across else 1.0) for line in lines]
    unit = "mm" if across else "{pixels}"
    general = (PROJECTION, *_of_the_view(image))
    sized = (*general, caveat) if caveat else general
    return (
        Measure("CTR", widths[0] / widths[1], "{ratio}", lines, general),
        Measure("HEART-WIDTH", widths[0], unit, lines[:1], sized),
        Measure("CHEST-WIDTH", widths[1], unit, lines[1:], sized),
    )


def _possible(widths: tuple[Measure, ...], header: Dataset) -> bool:
    """Whether the lengths may be believed: those in pixels claim nothing."""
    chest = next(m for m in widths if m.key == "CHEST-WIDTH")
    return chest.unit != "mm" or plausible(chest.value, header)


def _areas(image: ImageOutcome, frame: Frame, left: _Mask, right: _Mask) -> tuple[Measure, ...]:
    """The lungs' areas; none without spacing, or where a lung reaches the edge of what the networks saw."""
    across, caveat = _scale(image.header)
    if across is None or caveat is None or any(_reaches_edge(lung) for lung in (left, right)):
        return ()
    made = []
    for key, lung in (("LUNG-AREA-L", left), ("LUNG-AREA-R", right)):
        outline = _outline(frame, lung)
        square_mm = _shoelace(outline) * across[0] * across[1]
        made.append(Measure(key, square_mm, "mm2", (outline,), (PROJECTION, caveat)))
    return tuple(made)


def _mask(analysis: Analysis, structure: str) -> _Mask:
    mask: _Mask = analysis.masks[analysis.structures.index(structure)]
    return mask


def _largest(mask: _Mask) -> _Mask:
    """The largest connected part: a speck beside it would be its outermost point."""
    import cv2

    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count == 1:
        return mask
    part: _Mask = parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return part


def _ends(mask: _Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each row the left and the right edge of what is in it, in mask pixels; in an empty row the left
    edge is the mask's width and the right edge 0."""
    n = mask.shape[1]
    some = mask.any(axis=1)
    first = np.where(some, mask.argmax(axis=1), n)
    last = np.where(some, n - mask[:, ::-1].argmax(axis=1), 0)
    return first, last


def _middle(values: NDArray[np.intp]) -> int:
    """Where the greatest value is; of several places the middle one."""
    places = np.flatnonzero(values == values.max())
    return int(places[len(places) // 2])


def _line(frame: Frame, n: int, columns: tuple[int, int], row: float) -> tuple[Point, Point]:
    down, across = (length / n for length in frame.extent)
    y = frame.top + row * down
    return ((frame.left + columns[0] * across, y), (frame.left + columns[1] * across, y))


def _reaches_edge(mask: _Mask) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _outline(frame: Frame, mask: _Mask) -> tuple[Point, ...]:
    """The closed polygon around a mask's one part, along the outer edges of its pixels, in source pixels."""
    import cv2

    n = len(mask)
    # A contour runs through pixel centres. Here every second one is an edge between two mask pixels.
    fine = np.zeros((2 * n + 1, 2 * n + 1), dtype=np.uint8)
    fine[1::2, 1::2] = mask
    contours, _ = cv2.findContours(
        cv2.dilate(fine, np.ones((3, 3), np.uint8)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    outline = cv2.approxPolyDP(max(contours, key=cv2.contourArea), 2 * _TOLERANCE, closed=True)[:, 0, :]
    down, across = (length / (2 * n) for length in frame.extent)
    points = [(frame.left + x * across, frame.top + y * down) for x, y in outline.tolist()]
    return (*points, points[0])


def _shoelace(outline: tuple[Point, ...]) -> float:
    """Area within a closed polygon, in source pixels."""
    x, y = np.array(outline, dtype=np.float64).T
    return abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))) / 2


def _of_the_view(image: ImageOutcome) -> tuple[Reason, ...]:
    return {"PA": (), "AP": (ANTEROPOSTERIOR,)}.get(image.decision.view or "", (VIEW_NOT_STATED,))


def _scale(header: Dataset) -> tuple[tuple[float, ...] | None, Reason | None]:
    """Return the spacing in mm between rows and between columns, with what must be known of it.

    Pixel Spacing is that of the detector too, unless it differs or says how it was calibrated (PS3.3
    10.7.1.3).
    """
    detector, stated = (spacing(header, keyword) for keyword in ("ImagerPixelSpacing", "PixelSpacing"))
    if stated is not None and (text(header, "PixelSpacingCalibrationType") or stated != detector):
        return stated, CALIBRATED
    return detector, AT_DETECTOR if detector else None

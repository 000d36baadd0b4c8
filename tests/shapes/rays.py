"""X-rays from a point source through ellipsoids and tubes: path lengths in millimetres, per detector pixel.

Coordinates are the patient's, as in DICOM (PS3.3 C.7.6.2.1.1): x to the left, y to the back, z to the head,
in millimetres from the middle of the chest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Interval = tuple[Plane, Plane]
"""Where each ray enters and leaves a shape, as fractions of the way to the detector. Equal: missed."""

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipsoid, tilted about the antero-posterior axis (``tilt``) and then turned about the long axis."""

    centre: Vector
    semi_axes: Vector
    tilt: float = 0.0
    """Degrees; positive brings the patient's left side down."""
    turn: float = 0.0
    """Degrees; positive brings the patient's left side to the back."""


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """A round tube along a curve."""

    points: NDArray[np.float64]
    """``[n, 3]``: the axis."""
    radii: NDArray[np.float64]
    """``[n]``: the radius along it."""
    hollow: float = 0.0
    """Radius of the core that does not count, as a fraction: a bone's cortex is denser than its marrow."""


@dataclass(frozen=True)
class Beam:
    """A source, a detector and the grid of rays between them."""

    axis: int
    """Coordinate along the beam: 0 (lateral) or 1 (frontal)."""
    source: float
    """Where the source stands on ``axis``; it is centred on the chest in the other two."""
    detector: float
    """Where the detector stands on ``axis``."""
    rows: int
    columns: int
    spacing: float
    """Of the detector's grid, in millimetres."""

    @property
    def across(self) -> int:
        """The coordinate that grows along a row of the image: x in a frontal, y in a lateral one."""
        return 1 - self.axis

    @cached_property
    def u(self) -> Plane:
        """Position of the columns, ``[1, columns]``."""
        return self._positions(self.columns)[None, :]

    @cached_property
    def v(self) -> Plane:
        """Height of the rows, ``[rows, 1]``, the first one uppermost."""
        return -self._positions(self.rows)[:, None]

    def _positions(self, n: int) -> Plane:
        return ((np.arange(n) - (n - 1) / 2) * self.spacing).astype(np.float32)

    @cached_property
    def lengths(self) -> Plane:
        """Distance from source to detector along each ray, ``[rows, columns]``."""
        squared: Plane = np.float32((self.detector - self.source) ** 2) + self.u**2 + self.v**2
        return np.sqrt(squared)

    def cross(self, shape: Ellipsoid) -> Interval:
        """Return where each ray enters and leaves an ellipsoid, ``[rows, columns]`` each."""
        matrix = _into_unit_sphere(shape)
        reach = self.detector - self.source
        depth = (shape.centre[self.axis] - self.source) / reach
        a = b = np.zeros((1, 1), np.float32)
        c = a - np.float32(1)
        for row in matrix:
            # Along the ray, in the frame where the shape is the unit sphere: start + t * step, t = 0 at the
            # depth of the shape's centre (a start at the source would cancel digits of single precision).
            wide = np.float32(row[self.across]) * self.u + np.float32(row[2]) * self.v
            step = wide + np.float32(row[self.axis] * reach)
            offset = row[self.across] * shape.centre[self.across] + row[2] * shape.centre[2]
            start = wide * np.float32(depth) - np.float32(offset)
            a, b, c = a + step * step, b + step * start, c + start * start
        root = np.sqrt(np.maximum(b * b - a * c, 0))
        return (np.float32(depth) + (-b - root) / a, np.float32(depth) + (-b + root) / a)

    def through(self, shape: Ellipsoid) -> Plane:
        """Return each ray's path through an ellipsoid in millimetres, ``[rows, columns]``."""
        enter, leave = self.cross(shape)
        return (leave - enter) * self.lengths

    def deposit(self, tubes: list[Tube]) -> Plane:
        """Return each ray's path through tubes in millimetres, ``[rows, columns]``.

        Every tube is cut into strips along its axis; each strip's volume goes to the pixels it projects to,
        and volume over the pixel's area at that depth is length.
        """
        total = np.zeros(self.rows * self.columns)
        if not tubes:
            return total.reshape(self.rows, self.columns).astype(np.float32)
        strips = [_strips(tube, self.axis, self.spacing) for tube in tubes]
        places = np.concatenate([place for place, _ in strips])
        scale = (self.detector - self.source) / (places[:, self.axis] - self.source)
        lengths = np.concatenate([volume for _, volume in strips]) * (scale / self.spacing) ** 2
        column = places[:, self.across] * scale / self.spacing + (self.columns - 1) / 2
        row = -places[:, 2] * scale / self.spacing + (self.rows - 1) / 2
        top, left = np.floor(row).astype(np.int64), np.floor(column).astype(np.int64)
        down, right = row - top, column - left
        for r, c, share in (  # among the four pixels around each place
            (top, left, (1 - down) * (1 - right)),
            (top, left + 1, (1 - down) * right),
            (top + 1, left, down * (1 - right)),
            (top + 1, left + 1, down * right),
        ):
            inside = (r >= 0) & (r < self.rows) & (c >= 0) & (c < self.columns)
            index = (r * self.columns + c)[inside]
            total += np.bincount(index, (lengths * share)[inside], minlength=total.size)
        return total.reshape(self.rows, self.columns).astype(np.float32)


def common(first: Interval, second: Interval) -> Interval:
    """Return the part of two intervals that both hold."""
    start = np.maximum(first[0], second[0])
    return start, np.maximum(start, np.minimum(first[1], second[1]))


def covered(intervals: list[Interval]) -> Plane:
    """Return how much of each ray the intervals cover together, as a fraction of the ray.

    With starts and ends sorted apart, a gap lies between the i-th end and the (i+1)-th start where the start
    is the later one.
    """
    starts = np.sort(np.stack([start for start, _ in intervals]), axis=0)
    ends = np.sort(np.stack([end for _, end in intervals]), axis=0)
    gaps = np.maximum(starts[1:] - ends[:-1], 0).sum(axis=0)
    covered_part: Plane = ends[-1] - starts[0] - gaps
    return covered_part


def left_over(shape: Interval, taken: list[Interval]) -> Plane:
    """Return how much of an interval the others leave, as a fraction of the ray."""
    whole = shape[1] - shape[0]
    if not taken:
        return whole
    clipped = []
    for start, end in taken:
        low = np.clip(start, shape[0], shape[1])
        clipped.append((low, np.clip(end, low, shape[1])))
    return whole - covered(clipped)


def _into_unit_sphere(shape: Ellipsoid) -> NDArray[np.float64]:
    """Return the matrix from offsets to the frame in which the shape is the unit sphere."""
    tilt, turn = np.radians(shape.tilt), np.radians(shape.turn)
    about_y = np.array([[np.cos(tilt), 0, -np.sin(tilt)], [0, 1, 0], [np.sin(tilt), 0, np.cos(tilt)]])
    about_z = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    matrix: NDArray[np.float64] = (about_y @ about_z) / np.array(shape.semi_axes)[:, None]
    return matrix


def _strips(tube: Tube, axis: int, spacing: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut a tube into strips along its axis: their places ``[n, 3]`` and volumes ``[n]`` (mm3)."""
    legs = np.linalg.norm(np.diff(tube.points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(legs)])
    step = spacing * 0.45
    count = max(int(along[-1] / step), 2)
    at = (np.arange(count) + 0.5) * along[-1] / count
    centre = np.stack([np.interp(at, along, tube.points[:, k]) for k in range(3)], axis=1)
    radius = np.interp(at, along, tube.radii)
    tangent = np.gradient(centre, axis=0)
    beam = np.eye(3)[axis]
    side = np.cross(tangent, beam)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    wide = max(int(2 * radius.max() / step), 3)
    w = (np.arange(wide) + 0.5) / wide * 2 - 1
    chord = np.sqrt(1 - w**2) - np.sqrt(np.maximum(tube.hollow**2 - w**2, 0))
    places = centre[:, None, :] + (radius[:, None] * w)[:, :, None] * side[:, None, :]
    volumes = 2 * (radius**2)[:, None] * chord * (2 / wide) * (along[-1] / count)
    return places.reshape(-1, 3), volumes.reshape(-1)

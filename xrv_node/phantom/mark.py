"""The mark in the pixels of every phantom: a noise that nobody sees and a matched filter finds.

The pattern is one realisation of a seeded noise, spread over the image as a sheet of ``SIDE`` x ``SIDE`` that
covers its longer side; it repeats beyond its edges. What finds it knows the pattern and nothing else: no
statistics of images, so no radiograph can come to resemble it (Cox, Kilian, Leighton, Shamoon 1997,
doi:10.1109/83.650120). Its correlation with an image that does not bear it is a sum of many independent
products, normal by the central limit theorem; ``find`` tells its highest value in standard deviations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""[rows, columns]."""

Pixels = TypeVar("Pixels", NDArray[np.uint16], NDArray[np.float32], NDArray[np.float64])

SIDE = 512
"""Pixels of the sheet along an edge; an image's longer side is taken for as long."""

BAND = (1 / 3.2, 1 / 1.6)
"""Lowest and highest frequency in cycles a pixel of the sheet, in any direction: finer than what a radiograph
shows at that size, coarser than what halving the size removes altogether."""

STRENGTH = 1 / 256
"""Root mean square of the pattern, as a share of the grey scale: one step of a screen."""

THRESHOLD = 8.0
"""A z above it is a mark. 128 real images without one reached 5.6 plain and 6.2 with the search
(``tests/bench/bench_mark.py``), about what chance makes of the 260,000 and more values of a correlation; one
above 8 is by chance one in 10^9 correlations."""

FINE = 2
"""The pattern is drawn at so many times the resolution before it is turned and scaled."""

TURNS = tuple(step / 2 for step in range(-6, 7))
"""Degrees about the middle that a search tries."""

SCALES = tuple(0.9 * 1.01**step for step in range(30))
"""Sizes of the pattern, as shares of what the image's longer side says: 0.9 to 1.2. A crop makes it look
larger, a border smaller."""

PROMISING = 5.0
"""Below this z of a piece the search ends: chance reaches it in one of a hundred searches."""

SHIFT = 64
"""Pixels of the sheet that a search tries in each direction: a crop of a tenth from one side shifts by 28."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where an image resembles the pattern most."""

    z: float
    """How much, in standard deviations of the same correlation elsewhere; 0 for an image of one value."""
    scale: float = 1.0
    """Size of the pattern there, as a share of the image's longer side."""
    turn: float = 0.0
    """Degrees, anticlockwise as one looks at the image."""

    @property
    def marked(self) -> bool:
        """Whether it is the mark."""
        return self.z > THRESHOLD


def stamp(pixels: Pixels, white: float) -> Pixels:
    """Return an image with the mark in it.

    Parameters
    ----------
    pixels
        ``[rows, columns]`` of values in [0, white].
    white
        The end of the grey scale: the pattern's root mean square is 1/256 of it.

    Returns
    -------
    numpy.ndarray
        A new array of the same shape and dtype, whole numbers rounded, values within [0, white].
    """
    rows, columns = pixels.shape
    drawn = _drawn(max(rows, columns))[:rows, :columns]
    marked = np.clip(pixels + drawn * np.float32(white * STRENGTH), 0, white)
    whole = np.issubdtype(pixels.dtype, np.integer)
    return (marked.round() if whole else marked).astype(pixels.dtype)


def find(picture: NDArray[Any], *, search: bool = True) -> Match:
    """Look for the mark in an image, whatever its grey scale, bright or dark for dense.

    Parameters
    ----------
    picture
        ``[rows, columns]`` of any finite numbers.
    search
        Whether to turn and scale where the plain correlation, over all shifts, finds nothing: about 0.5 s
        of one core instead of 0.03 s.

    Returns
    -------
    Match
        The best one; its z is that of chance where there is no mark.
    """
    if min(picture.shape) < 8:
        return Match(0.0)
    white = _whitened(picture)
    best = _best(white, [(1.0, 0.0)], SIDE)
    if best.marked or not search:
        return best
    return max(best, _searched(white), key=_by_z)


def _searched(white: Plane) -> Match:
    """Return the best match over sizes and turns.

    A small piece of the image agrees with a pattern that is turned or scaled a little wrong: its middle, of
    256 pixels for sizes and turns alone, of 128 for both together. What is best there is refined on ever
    larger pieces, in ever smaller steps.
    """
    alone = [*((1.0, turn) for turn in TURNS), *((scale, 0.0) for scale in SCALES)]
    together = [(scale, turn) for scale in SCALES[::2] for turn in TURNS[::2]]
    best = max(_best(white, alone, 256), _best(white, together, 128), key=_by_z)
    for piece, part in ((256, 0.5), (SIDE, 0.2), (SIDE, 0.07)):
        if piece == SIDE and best.z < PROMISING:
            break
        best = max(best, _best(white, _around(best, part), piece), key=_by_z)
    return best


def _by_z(match: Match) -> float:
    return match.z


def _around(match: Match, part: float) -> list[tuple[float, float]]:
    """Return sizes and turns about a match, ``part`` of a coarse step away."""
    turns = (match.turn + part * step for step in (-1.0, 0.0, 1.0))
    scales = [match.scale * 1.02 ** (part * step) for step in (-1, 0, 1)]
    return [(scale, turn) for turn in turns for scale in scales]


def _best(white: Plane, tried: Iterable[tuple[float, float]], piece: int) -> Match:
    """Correlate the middle of a whitened image with the pattern, over shifts, in each size and turn."""
    part, shifts = white, slice(None)
    if piece < SIDE:  # a larger pattern, so that a shift moves none of the piece over an edge
        part = np.zeros((piece + 2 * SHIFT, piece + 2 * SHIFT), np.float32)
        first = (SIDE - piece) // 2
        part[SHIFT:-SHIFT, SHIFT:-SHIFT] = white[first : first + piece, first : first + piece]
        shifts = slice(piece // 2, piece // 2 + 2 * SHIFT)
    spectrum = np.conj(np.fft.rfft2(part))
    found = []
    for scale, turn in tried:
        pattern = np.fft.rfft2(_placed(scale, turn, part.shape[0]))
        plane = np.fft.fftshift(np.fft.irfft2(spectrum * pattern, s=part.shape))
        found.append(Match(_deviations(plane[shifts, shifts]), scale, turn))
    return max(found, key=_by_z)


def _deviations(plane: NDArray[np.floating]) -> float:
    """Return the largest value, of either sign, in standard deviations of the others."""
    size = np.abs(plane)
    row, column = np.unravel_index(int(size.argmax()), size.shape)
    squares = plane.astype(np.float64) ** 2
    near = squares[max(row - 4, 0) : row + 5, max(column - 4, 0) : column + 5]
    rest = (squares.sum() - near.sum()) / (squares.size - near.size)
    return float(size[row, column] / math.sqrt(rest)) if rest > 0 else 0.0


def _whitened(picture: NDArray[Any]) -> Plane:
    """Return the band of an image on the sheet, equally strong in every place and at every frequency."""
    rows, columns = picture.shape
    share = SIDE / max(rows, columns)
    if picture.dtype not in (np.uint8, np.uint16, np.int16):  # what is resized as it is
        picture = picture.astype(np.float32)
    if share != 1:
        size = (max(round(columns * share), 1), max(round(rows * share), 1))
        way = cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(picture, size, interpolation=way)
    picture = np.asarray(picture, np.float32)
    span = float(picture.max() - picture.min())
    sheet = np.zeros((SIDE, SIDE), np.float32)
    if span == 0 or not math.isfinite(span):
        return sheet
    fine = (picture - np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0), np.float32)) / np.float32(span)
    strength = np.sqrt(np.maximum(cv2.blur(fine * fine, (15, 15)), 0))  # sums that run may end below 0
    fine = np.clip(fine / (strength + np.float32(1e-4)), -3, 3)
    sheet[: fine.shape[0], : fine.shape[1]] = fine
    spectrum = np.fft.rfft2(sheet)
    spectrum *= _band(min(1.0, 1 / share)) / (np.abs(spectrum) + 1e-6)
    return np.asarray(np.fft.irfft2(spectrum, s=sheet.shape), np.float32)


def _band(seen: float) -> NDArray[np.float32]:
    """Return which frequencies of the sheet belong to the pattern, up to a share ``seen`` of the highest."""
    down, across = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :]
    radius = np.hypot(down, across)
    inside = (radius >= BAND[0]) & (radius <= BAND[1])
    inside &= np.maximum(np.abs(down), across) < 0.5 * seen
    return np.asarray(inside, np.float32)


@cache
def _spectrum() -> NDArray[np.complex64]:
    """Return the pattern's spectrum on the sheet, the same on every machine."""
    noise = np.random.Generator(np.random.PCG64(0x5852)).standard_normal((SIDE, SIDE))
    return (np.fft.rfft2(noise) * _band(1.0)).astype(np.complex64)


def _drawn(side: int) -> Plane:
    """Return the pattern on ``side`` x ``side`` pixels, of unit root mean square."""
    source, kept = _spectrum(), min(side, SIDE)
    half = (kept - 1) // 2
    spectrum = np.zeros((side, side // 2 + 1), np.complex64)
    spectrum[: half + 1, : half + 1] = source[: half + 1, : half + 1]
    spectrum[-half:, : half + 1] = source[-half:, : half + 1]
    plane = np.fft.irfft2(spectrum, s=(side, side))
    return np.asarray(plane / (np.sqrt(np.mean(plane**2)) or 1), np.float32)


@cache
def _master() -> Plane:
    return _drawn(FINE * SIDE)


@cache
def _sheet() -> Plane:
    return _drawn(SIDE)


def _placed(scale: float, turn: float, side: int) -> Plane:
    """Return the middle of the sheet, ``side`` pixels wide, with the pattern scaled and turned about it."""
    if (scale, turn, side) == (1.0, 0.0, SIDE):
        return _sheet()
    matrix = cv2.getRotationMatrix2D((0.0, 0.0), turn, scale / FINE)
    middle, target = (SIDE - 1) / 2, (side - 1) / 2
    matrix[:, 2] = target - matrix[:, :2] @ np.full(2, middle * FINE)
    warped = cv2.warpAffine(
        _master(), matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP
    )
    return np.asarray(warped, np.float32)

"""The letters of lead that mark a side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LETTERS = {
    "L": ("#....", "#....", "#....", "#....", "#....", "#....", "#####"),
    "R": ("####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"),
}


def stamp(pixels: NDArray[np.uint16], letter: str, value: int) -> None:
    """Draw ``L`` or ``R`` into the upper corner of its side, in place.

    The patient's left is on the right of a frontal image; a lateral one has its letter there as well.

    ``pixels`` is ``[rows, columns]``; ``letter`` is one of ``LETTERS``; ``value`` is the grey of the letter.
    """
    rows, columns = pixels.shape
    glyph = np.array([[dot == "#" for dot in line] for line in LETTERS[letter]])
    glyph = glyph.repeat(max(rows // 200, 1), axis=0).repeat(max(rows // 200, 1), axis=1)
    height, width = glyph.shape
    top, margin = rows // 14, columns // 22
    left = columns - margin - width if letter == "L" else margin
    pixels[top : top + height, left : left + width][glyph] = value

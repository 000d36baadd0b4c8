"""Text for pictures: a panel beside a radiograph and a notice below it.

Never on it: what text covers cannot be read any more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xrv_node.report import codes
from xrv_node.report.phrases import meaning, say

Rgb = NDArray[np.uint8]
Color = tuple[int, int, int]

BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (150, 150, 150)
YELLOW, RED = (255, 220, 0), (255, 90, 90)
LINES = 38
"""Lines of text that fit the height of a picture: notice, 18 findings, 14 structures and their headings."""
PANEL = 0.45
"""Width of the text's panel as a share of the picture's height: the longest line in the font of `LINES`."""
_SMALLEST = 400
"""Height in pixels under which a picture is enlarged: text of fewer than ten pixels cannot be read."""


def enlargement(rows: int) -> int:
    """Return by which whole number a picture of `rows` rows is enlarged to at least 400."""
    return -(-_SMALLEST // rows)


def enlarge(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Repeat each pixel of ``[rows, columns]`` `factor` times in both directions."""
    return image if factor == 1 else image.repeat(factor, axis=0).repeat(factor, axis=1)


def panel(rows: int, lines: Sequence[tuple[str, Color]]) -> Rgb:
    """Return the panel beside a picture of `rows` rows: one line of text below the other."""
    made = np.zeros((rows, round(rows * PANEL), 3), dtype=np.uint8)
    height = line_height(rows, len(lines))
    for n, (words, color) in enumerate(lines, 1):
        write(made, words, (round(height / 2), round(n * height)), height, color)
    return made


def line_height(rows: int, lines: int) -> float:
    """Return the height in pixels of each of a panel's lines."""
    return rows / max(LINES, lines + 1)


def band(columns: int, rows: int, phantom: bool, language: str = "en") -> Rgb:
    """Return the band below a picture of `rows` rows: what the picture is, over its whole width.

    Of networks for phantoms it is filled with red: it must be seen in a thumbnail too, where nothing is
    read.
    """
    height = rows / LINES * 1.5
    made = np.zeros((round(height * 1.4), columns, 3), dtype=np.uint8)
    if phantom:
        made[:] = RED
    notice = say("picture_notice", language)
    words = f"{meaning(codes.PHANTOM_SET, language)} - {notice}" if phantom else notice
    write(made, words, (round(height / 3), round(height)), height, BLACK if phantom else RED)
    return made


def stamp(picture: Rgb, words: str) -> None:
    """Write words along the foot of a picture, as large as its width allows."""
    rows, columns = picture.shape[:2]
    picture[round(rows - columns / 20) :] = RED
    write(picture, words, (columns // 80, round(rows - columns / 60)), columns / 8, BLACK)


def write(picture: Rgb, words: str, place: tuple[int, int], height: float, color: Color) -> None:
    """Write a line of letters that are ``height`` high with their spacing, or smaller to fit the width.

    Parameters
    ----------
    picture : ndarray of uint8
        ``[rows, columns, 3]``, RGB; it is drawn into.
    words : str
        Of OpenCV's own font, which has the letters of Latin-1 and many more.
    place : tuple of int
        Column and row of the left end of the line's base.
    height : float
        In pixels.
    color : tuple of int
        RGB, 0 to 255.
    """
    import cv2

    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = height / 36  # the font's line is about 36 pixels high at scale 1
    room = picture.shape[1] - place[0] - height / 4
    while cv2.getTextSize(words, font, scale, _stroke(scale))[0][0] > room > 0:
        scale *= 0.97  # letters have whole sizes: one step to what should fit may not be enough
    cv2.putText(picture, words, place, font, scale, color, _stroke(scale), cv2.LINE_AA)


def _stroke(scale: float) -> int:
    return max(1, round(scale * 1.6))

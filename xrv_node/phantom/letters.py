"""Letters of lead beside the patient, and what a machine prints into a corner."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

SHARE = 0.035
"""Height of a letter of lead, as a share of the image's: 12 mm of 35 cm."""


def stamp(picture: NDArray[np.float32], text: str, *, right: bool, row: float = 0.06) -> None:
    """Print white letters near a border, in place.

    Parameters
    ----------
    picture
        ``[rows, columns]`` in [0, 1].
    text
        A few letters.
    right
        At the picture's right border, where the patient's left side is.
    row
        How far below the upper border, as a share of the height.
    """
    rows, columns = picture.shape
    scale = rows * SHARE / 22  # 22 pixels is the height of a capital of this font at scale 1
    width = max(1, round(scale * 2.6))
    (long, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, width)
    margin = round(0.05 * columns)
    left = columns - margin - long if right else margin
    at = (int(left), int(row * rows + high))
    drawn = np.zeros((rows, columns), np.uint8)
    cv2.putText(drawn, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, width, cv2.LINE_AA)
    np.maximum(picture, drawn * np.float32(0.97 / 255), out=picture)


def scatter(picture: NDArray[np.float32], dice: Generator) -> None:
    """Print what a network must learn to leave alone: letters in most images, at either side."""
    if dice.random() < 0.6:
        text = str(dice.choice(["L", "R", "PA", "AP", "S", "12:04", "L MP"]))
        stamp(picture, text, right=bool(dice.random() < 0.5), row=float(dice.choice([0.04, 0.1, 0.85])))

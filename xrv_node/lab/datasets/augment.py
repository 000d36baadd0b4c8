"""The augmentation of torchxrayvision's papers: a small rotation, shift and change of size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as geometry


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far images are moved; the defaults are those that the released weights were trained with.

    torchxrayvision: ``ToPILImage()``, ``RandomAffine(45, translate=(0.15, 0.15), scale=(0.85, 1.15))``,
    ``ToTensor()`` (its ``scripts/train_model.py``; Cohen et al. 2020, arXiv:2002.02497).
    """

    degrees: float = 45.0
    """Rotated by up to so much either way."""
    translate: float = 0.15
    """Shifted by up to this share of the side, either way, along each axis."""
    scale: float = 0.15
    """Made smaller or larger by up to this share."""


@dataclass(frozen=True, slots=True)
class Move:
    """One drawn movement."""

    angle: float
    """Degrees, clockwise."""
    translate: tuple[int, int]
    """To the right and down, in pixels."""
    scale: float


def drawn(augmentation: Augmentation, seed: int, rows: int, columns: int) -> Move:
    """Draw a movement; nobody else's random numbers are touched.

    Parameters
    ----------
    augmentation
        How far.
    seed
        Of the drawing, at least 0.
    rows, columns
        Of the image.

    Returns
    -------
    Move
        That of torchvision's ``RandomAffine`` after ``torch.manual_seed(seed)``.
    """
    random = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> float:
        return float(torch.empty(1).uniform_(low, high, generator=random))

    angle = uniform(-augmentation.degrees, augmentation.degrees)
    right, down = (
        round(uniform(-augmentation.translate * side, augmentation.translate * side))
        for side in (columns, rows)
    )
    return Move(angle, (right, down), uniform(1 - augmentation.scale, 1 + augmentation.scale))


def moved(image: NDArray[np.float32], move: Move) -> NDArray[np.float32]:
    """Move an image or a mask.

    Parameters
    ----------
    image
        ``[1, rows, columns]``.
    move
        The same for an image and its masks.

    Returns
    -------
    ndarray
        Like ``image``: the nearest pixel, 0 where there was none, as with torchxrayvision.
    """
    made = geometry.affine(
        Image.fromarray(image[0]),
        move.angle,
        list(move.translate),
        move.scale,
        [0.0],
        InterpolationMode.NEAREST,
        fill=[0.0],
    )
    return np.array(made, dtype=np.float32)[np.newaxis]

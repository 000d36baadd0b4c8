"""One image while it is composed: the layers of a pose, to be changed, and where things are in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from xrv_node.phantom.projection import Layers

SIGN = {"right": -1, "left": 1}
"""Where a person's side is in the picture."""
SIDES = tuple(SIGN)

THICK_MM = 8.0
"""What a beam crosses of a structure where its outline in the picture is taken to be."""


@dataclass(slots=True, eq=False)
class Canvas:
    """Planes of ``float32 [size, size]`` that are changed in place.

    Attributes are those of `Layers`; `mass` has ``added`` besides, what findings add or take away in mm of
    water.
    """

    mass: dict[str, NDArray[np.float32]]
    depth: dict[str, NDArray[np.float32]]
    spacing: float
    view: str

    @property
    def size(self) -> int:
        """Rows and columns."""
        return len(self.mass["soft"])

    def pixels(self, mm: float) -> float:
        """A length at the detector in pixels."""
        return mm / self.spacing

    def seen(self, *names: str) -> NDArray[np.bool_]:
        """Where a beam crosses any of these structures, keys of `depth`."""
        return np.asarray(np.any([self.depth[name] > THICK_MM for name in names], axis=0))

    def lung(self, side: str) -> NDArray[np.bool_]:
        """All that is seen of a lung, also through the heart and behind the dome."""
        return self.seen(f"lung_{side}")

    def covered(self) -> NDArray[np.bool_]:
        """What hides the lungs: heart, vessels, the abdomen."""
        return self.seen("heart", "abdomen", "aorta", "great_vessels")

    def midline(self) -> float:
        """Column of the upper spine."""
        spine = self.seen("vertebrae")[: max(1, self.size // 3)]
        return float(np.nonzero(spine)[1].mean()) if spine.any() else self.size / 2

    def clear(self, side: str) -> NDArray[np.bool_]:
        """What a radiologist calls the lung field of a side."""
        return self.lung(side) & ~self.covered()


def begin(layers: Layers) -> Canvas:
    """Begin an image with copies of a pose's layers."""
    copy = layers.each(np.copy)
    added = np.zeros_like(copy.mass["soft"])
    return Canvas(copy.mass | {"added": added}, copy.depth, layers.spacing, layers.view)


def coordinates(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Row and column of each pixel, ``[size, 1]`` and ``[1, size]``."""
    line = np.arange(size, dtype=np.float32)
    return line[:, None], line[None, :]


def box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """First and last row, first and last column of a mask; zeros of an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean row and column of a mask; the middle of the image for an empty one."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return mask.shape[0] / 2, mask.shape[1] / 2
    return float(rows.mean()), float(columns.mean())


def cloud(dice: Generator, size: int, pixels: float, octaves: int = 2) -> NDArray[np.float32]:
    """Smooth noise ``[size, size]`` of mean 0 and deviation 1.

    Parameters
    ----------
    pixels
        Size of its coarsest grains.
    octaves
        How often finer grains of half the size and half the height are added.
    """
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        knots = max(4, round(size / pixels * 2**octave) + 3)
        grain = dice.standard_normal((min(knots, size), min(knots, size))).astype(np.float32)
        total += cv2.resize(grain, (size, size), interpolation=cv2.INTER_CUBIC) / 2**octave
    total -= total.mean()
    return np.asarray(total / max(float(total.std()), 1e-6), np.float32)


def blurred(plane: NDArray[np.float32], pixels: float) -> NDArray[np.float32]:
    """Gaussian blur of so many pixels' deviation; what is outside is as the border."""
    if pixels < 0.3:
        return plane
    shrink = max(1, int(pixels // 4))
    if shrink > 1:  # a wide blur has nothing that a smaller picture lacks
        small = cv2.resize(plane, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(small, (0, 0), pixels / shrink, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(soft, plane.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), pixels, borderType=cv2.BORDER_REPLICATE), np.float32)

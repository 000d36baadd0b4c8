"""How one person differs from the template, and how he stands before the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

KNOTS = 5
"""Points of the free-form grid along each axis: about 8 cm apart, the size of what differs between people."""


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """The inverse map from the picture's space to the template's; all of it is smooth, so nothing tears.

    Lengths are in mm, angles in degrees; triples are in the order z (up), y (to the back), x (to the left).
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """How much larger than the template."""
    taper: float = 0.0
    """How much wider at the top than in the middle, as a part of the width, and narrower below."""
    scoliosis: float = 0.0
    """How far the middle of the spine lies to the left."""
    yaw: float = 0.0
    """Turn about the long axis; to the left."""
    tilt: float = 0.0
    """Lean to the back."""
    roll: float = 0.0
    """Lean to a side."""
    knots: NDArray[np.float32] | None = None
    """``[3, KNOTS, KNOTS, KNOTS]``: shifts of the free-form grid."""


def draw(dice: Generator, width: float = 1.0) -> Pose:
    """Draw a person.

    Parameters
    ----------
    dice
        A seeded generator.
    width
        1: size 6 %, turn and tilt 4 degrees, free form 7 mm, each as the bounds or two standard deviations of
        what is drawn; 0: the template itself.
    """

    def normal(deviation: float) -> float:
        return float(np.clip(dice.normal(0, deviation), -2 * deviation, 2 * deviation)) * width

    return Pose(
        scale=(1 + normal(0.03), 1 + normal(0.04), 1 + normal(0.03)),
        taper=normal(0.02),
        scoliosis=normal(2.5),
        yaw=normal(2.0),
        tilt=normal(2.0),
        roll=normal(1.0),
        knots=(width * dice.normal(0, 3.5, (3, KNOTS, KNOTS, KNOTS)).clip(-7, 7)).astype(np.float32),
    )


def turn(pose: Pose) -> NDArray[np.float64]:
    """Return the rotation ``[3, 3]`` of a pose, for column vectors in the order z, y, x."""
    yaw, tilt, roll = np.deg2rad((pose.yaw, pose.tilt, pose.roll))
    about_z = _rotation(yaw, 1, 2)
    about_x = _rotation(tilt, 0, 1)
    about_y = _rotation(roll, 0, 2)
    turned: NDArray[np.float64] = about_z @ about_x @ about_y
    return turned


def _rotation(angle: float, first: int, second: int) -> NDArray[np.float64]:
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix

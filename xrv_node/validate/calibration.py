"""Whether a number means what it says: of a hundred images at 0.3, do thirty have the finding?

torchxrayvision's normalised scores are no probabilities and were never meant to be, so this is asked of the
classifier's own sigmoids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The images with an output in one tenth of all, counted by rank."""

    number: int
    mean_output: float
    share_present: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a finding's outputs agree with how often it is there."""

    brier: float
    """Mean squared difference of output and truth; 0 is perfect (Brier 1950)."""
    error: float
    """Expected calibration error over bins of equal number."""
    slope: float | None
    intercept: float | None
    """Of the logistic regression of the truth on the output's logit: 1 and 0 when calibrated (Cox 1958). None
    where it has no finite solution."""
    bins: tuple[Bin, ...]


def calibration(outputs: NDArray[np.floating], positive: NDArray[np.bool_]) -> Calibration | None:
    """Compare outputs with the truth.

    Parameters
    ----------
    outputs
        ``[n]``, in [0, 1].
    positive
        ``[n]``: the finding is present.

    Returns
    -------
    Calibration or None
        None without both classes.
    """
    if positive.all() or not positive.any():
        return None
    p, y = outputs.astype(np.float64), positive.astype(np.float64)
    parts = [part for part in np.array_split(np.argsort(p, kind="stable"), BINS) if len(part)]
    bins = tuple(Bin(len(part), float(p[part].mean()), float(y[part].mean())) for part in parts)
    error = sum(b.number * abs(b.mean_output - b.share_present) for b in bins) / len(p)
    slope, intercept = _recalibration(p, y)
    return Calibration(float(np.mean((p - y) ** 2)), error, slope, intercept, bins)


def _recalibration(p: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Fit slope and intercept by Newton's method; (None, None) where the classes are separable."""
    clipped = np.clip(p, 1e-7, 1 - 1e-7)
    x = np.column_stack((np.log(clipped / (1 - clipped)), np.ones(len(p))))
    if np.ptp(x[:, 0]) == 0:
        return None, None
    beta = np.array([1.0, 0.0])
    for _ in range(100):
        predicted = 1 / (1 + np.exp(-np.clip(x @ beta, -500, 500)))
        curvature = x.T @ (x * (predicted * (1 - predicted))[:, None])
        if np.linalg.cond(curvature) > 1e12:
            return None, None
        step = np.linalg.solve(curvature, x.T @ (y - predicted))
        # A step is held short: from far away, Newton's full one overshoots.
        beta += step / max(1.0, float(np.abs(step).max()) / 5)
        if np.abs(step).max() < 1e-9:
            return float(beta[0]), float(beta[1])
    return None, None

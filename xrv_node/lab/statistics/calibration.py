"""Whether a number means what it says: of a hundred images at 0.3, do thirty have the finding?

torchxrayvision's normalised scores are no probabilities and were never meant to be, so this is asked of the
classifier's own sigmoids, and of nothing where only scores are known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.lab.statistics.intervals import UNDEFINED, Bootstrap, Estimate, Z, share
from xrv_node.lab.statistics.weighted_auc import Floats, numbers

BINS = 10
"""At most."""

_LEAST = 10
"""Images of a bin; of fewer, its share is noise."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Images with outputs next to each other."""

    number: int
    mean_output: float
    share_present: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a finding's outputs agree with how often it is there."""

    brier: Estimate
    """Mean squared difference of output and truth; 0 is perfect (Brier 1950)."""
    skill: float
    """1 less Brier's score by that of the prevalence told for every image (Steyerberg et al. 2010): 1 is
    perfect, and below 0 it is worse than to know the prevalence only. A rare finding has a small Brier score
    with any outputs."""
    error: float
    """Expected calibration error: the mean distance of bins from the diagonal, weighted by their images
    (Naeini et al. 2015). Never negative, and larger by chance the fewer images there are."""
    error_by_chance: float
    """What outputs that are perfectly calibrated would show on average with as many images."""
    slope: Estimate
    intercept: Estimate
    """Of the logistic regression of the truth on the output's logit, both fitted: 1 and 0 when calibrated
    (Cox 1958). Undefined where it has no finite solution. The interval's variance is robust to several
    images of a patient (Liang and Zeger 1986)."""
    bins: tuple[Bin, ...]
    """By rank, of about equal number; the same outputs are never parted (Bröcker and Smith 2007)."""


def calibration(
    outputs: NDArray[np.floating],
    positive: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    rounds: Bootstrap,
) -> Calibration | None:
    """Compare outputs with the truth.

    Parameters
    ----------
    outputs, positive
        ``[m]``, outputs in [0, 1]: those of the images `chosen`.
    chosen
        ``[n]``: which of all images they are of.
    rounds
        Over all n images.

    Returns
    -------
    Calibration or None
        None without both classes, and where an output is no number.
    """
    if positive.all() or not positive.any() or not numbers(outputs):
        return None
    p, y, patients = outputs.astype(np.float64), positive.astype(np.float64), rounds.patients[chosen]
    squares, prevalence = (p - y) ** 2, y.mean()
    brier = rounds.interval(lambda w: _mean(squares, None if w is None else w[chosen]))
    parts = _parts(p)
    bins = tuple(
        Bin(len(part), float(p[part].mean()), share(positive[part], patients[part])) for part in parts
    )
    error = sum(abs(float((p[part] - y[part]).sum())) for part in parts) / len(p)
    # The mean distance of a sum from what is expected, its spread being normal.
    chance = sum(np.sqrt(2 / np.pi * (p[part] * (1 - p[part])).sum()) for part in parts) / len(p)
    skill = 1 - float(squares.mean() / (prevalence * (1 - prevalence)))
    return Calibration(brier, skill, error, float(chance), *_recalibration(p, y, patients), bins)


def _mean(values: Floats, weights: Floats | None) -> float | None:
    if weights is None:
        return float(values.mean())
    total = float(weights.sum())
    return float(values @ weights) / total if total else None


def _parts(p: Floats) -> list[NDArray[np.intp]]:
    """Places of the images of each bin, from the lowest outputs up."""
    order = np.argsort(p, kind="stable")
    ranked, count = p[order], min(BINS, max(1, len(p) // _LEAST))
    cuts = np.arange(1, count) * len(p) // count
    cuts = np.unique(np.searchsorted(ranked, ranked[cuts - 1], side="right"))
    return [part for part in np.split(order, cuts) if len(part)]


def _recalibration(p: Floats, y: Floats, patients: NDArray[np.intp]) -> tuple[Estimate, Estimate]:
    """Fit slope and intercept by Newton's method; undefined where the classes are separable."""
    clipped = np.clip(p, 1e-7, 1 - 1e-7)
    x = np.column_stack((np.log(clipped / (1 - clipped)), np.ones(len(p))))
    beta = np.array([1.0, 0.0])
    for _ in range(100):
        apart = y - 1 / (1 + np.exp(-np.clip(x @ beta, -500, 500)))
        predicted = y - apart
        curvature = x.T @ (x * (predicted * (1 - predicted))[:, None])
        if np.linalg.cond(curvature) > 1e12:
            break
        step = np.linalg.solve(curvature, x.T @ apart)
        # A step is held short: from far away, Newton's full one overshoots.
        beta += step / max(1.0, float(np.abs(step).max()) / 5)
        if np.abs(step).max() < 1e-9:
            return _with_errors(beta, x * apart[:, None], np.linalg.inv(curvature), patients)
    return UNDEFINED, UNDEFINED


def _with_errors(
    beta: Floats, pulls: Floats, bread: Floats, patients: NDArray[np.intp]
) -> tuple[Estimate, Estimate]:
    """Put the sandwich variance around the solution; `pulls` is each image's gradient."""
    each = np.unique(patients, return_inverse=True)[1]
    groups = int(each.max()) + 1
    sums = np.column_stack([np.bincount(each, weights=column) for column in pulls.T])
    half = Z * np.sqrt(np.diag(bread @ sums.T @ sums @ bread) * groups / max(groups - 1, 1))
    slope, intercept = (
        Estimate(float(b), float(b - h), float(b + h)) for b, h in zip(beta, half, strict=True)
    )
    return slope, intercept

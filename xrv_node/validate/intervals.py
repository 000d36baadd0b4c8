"""How sure a figure is: DeLong's interval of an area, Wilson's of a rate, the bootstrap of all else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.validate.ranked import Floats, Ranked

LEVEL = 0.95
"""Of every interval."""

_Z = 1.959963984540054
"""The standard normal's quantile at (1 + LEVEL) / 2."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval. ``value`` is None where the figure is not defined, the ends with it."""

    value: float | None
    low: float | None = None
    high: float | None = None


UNDEFINED = Estimate(None)


def wilson(successes: float, number: float) -> Estimate:
    """Give the share of `successes` in `number` with its score interval (Wilson 1927)."""
    if number <= 0:
        return UNDEFINED
    p, z2 = successes / number, _Z * _Z
    centre = (p + z2 / (2 * number)) / (1 + z2 / number)
    half = _Z * np.sqrt(p * (1 - p) / number + z2 / (4 * number**2)) / (1 + z2 / number)
    return Estimate(float(p), max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def delong(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> Estimate:
    """Area under the ROC curve with the interval of DeLong, DeLong and Clarke-Pearson (1988).

    The placements come from midranks (Sun and Xu 2014), in O(n log n). The interval is the normal one, cut
    to [0, 1]. It takes images as independent: where patients have several, the bootstrap is the one to quote.

    Parameters
    ----------
    scores
        ``[n]``, finite.
    positive
        ``[n]``: the finding is present.
    """
    with_, without = scores[positive].astype(np.float64), scores[~positive].astype(np.float64)
    m, n = len(with_), len(without)
    if not m or not n:
        return UNDEFINED
    ranks = _midranks(np.concatenate((with_, without)))
    # The share of the other class that each one is ordered rightly with.
    of_positives = (ranks[:m] - _midranks(with_)) / n
    of_negatives = 1 - (ranks[m:] - _midranks(without)) / m
    area = float(of_positives.mean())
    if m < 2 or n < 2:
        return Estimate(area)
    half = _Z * np.sqrt(of_positives.var(ddof=1) / m + of_negatives.var(ddof=1) / n)
    return Estimate(area, max(0.0, area - float(half)), min(1.0, area + float(half)))


def _midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def rounds_for(images: int) -> int:
    """How many rounds of the bootstrap `images` are worth: 1000, and fewer where sampling noise is small.

    With 20,000 images and more, time grows with every round and the intervals hardly change; 200 rounds is
    where the ends of a 95 % interval still rest on five draws each.
    """
    return max(200, min(1000, 20_000_000 // max(images, 1)))


class Bootstrap:
    """Rounds of patients drawn with replacement: all figures of an evaluation share them.

    Parameters
    ----------
    patients
        ``[n]``: the patient of each image, numbers from 0 without gaps.
    rounds
        How many; 0: no intervals.
    seed
        Of a generator of its own.
    """

    def __init__(self, patients: NDArray[np.intp], rounds: int = 1000, seed: int = 0) -> None:
        self.patients, self.rounds, self.seed = patients, rounds, seed

    def interval(
        self, figure: Callable[[Floats | None], float | None], value: float | None = None
    ) -> Estimate:
        """Give a figure with its percentile interval.

        Parameters
        ----------
        figure
            Called with weights ``[n]`` (how often each image was drawn), and with None for the figure itself
            where `value` is not given. A round in which it is not defined (None) is left out.
        """
        value = figure(None) if value is None else value
        if value is None:
            return UNDEFINED
        # The same draws for every figure, so that those of one run belong together.
        generator = np.random.default_rng(self.seed)
        patients = int(self.patients.max(initial=-1)) + 1
        found = []
        for _ in range(self.rounds):
            drawn = np.bincount(generator.integers(patients, size=patients), minlength=patients)
            one = figure(drawn[self.patients].astype(np.float64))
            if one is not None:
                found.append(one)
        if len(found) < max(self.rounds // 2, 1):
            return Estimate(value)
        low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Estimate(value, float(low), float(high))


def bootstrap_auc(ranked: Ranked, chosen: NDArray[np.bool_], rounds: Bootstrap) -> Estimate:
    """Area under the ROC curve of the images `chosen` (``[n]``) of all, with its interval over patients."""
    return rounds.interval(lambda w: ranked.auc(None if w is None else w[chosen]))

"""How far two samples are apart: PSI for one quantity at a time, MMD for embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from xrv_node.monitor.sample import Sample

Level = Literal["stable", "look", "moved", "too few"]

LOOK, MOVED = 0.1, 0.25
"""PSI from which a distribution is said to have shifted slightly, and significantly (Siddiqi, Credit Risk
Scorecards, 2006). Conventions, and no tests."""

FEWEST = 50
"""Images on either side below which nothing is compared."""

BINS = 10

ALPHA = 0.01
"""Share of false alarms that is accepted, of each comparison."""

MOST = 1000
"""Embeddings of each side that are compared: the kernel's matrix grows with the square."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One quantity, then and now."""

    kind: Literal["score", "reconstruction", "header"]
    name: str
    psi: float | None
    """None where either side has too few."""
    chance: float | None
    """What PSI stays under in 99 of 100 pairs of samples of these sizes from one distribution: it is about
    ``1/n + 1/m`` times chi-squared with one degree of freedom less than bins (Yurdakul 2018)."""
    level: Level
    bins: tuple[str, ...]
    before: tuple[float, ...]
    """Share of the baseline in each bin."""
    now: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Distance:
    """Maximum mean discrepancy of the embeddings (Gretton et al. 2012)."""

    mmd2: float
    """Its square, unbiased: about 0 for alike samples, and may be below."""
    p_value: float
    """Share of random divisions of all images that are as far apart."""
    level: Level


@dataclass(frozen=True, slots=True)
class Drift:
    """A comparison."""

    baseline: str
    recent: str
    images_before: int
    images_now: int
    same_models: bool
    """Whether both were made by the same networks; otherwise scores and embeddings are not compared."""
    shifts: tuple[Shift, ...]
    """Those that moved most first."""
    embedding: Distance | None


def compare(baseline: Sample, recent: Sample, *, seed: int = 0) -> Drift:
    """Compare recent images with a baseline.

    Parameters
    ----------
    seed
        Of the draws for the test on embeddings; the generator is its own.
    """
    same = baseline.model_set == recent.model_set
    shifts = sorted(_shifts(baseline, recent, same), key=lambda shift: -(shift.psi or 0))
    enough = min(len(baseline), len(recent)) >= FEWEST
    distance = mmd(baseline.embedding, recent.embedding, seed=seed) if same and enough else None
    return Drift(baseline.what, recent.what, len(baseline), len(recent), same, tuple(shifts), distance)


def _shifts(baseline: Sample, recent: Sample, same: bool) -> Iterator[Shift]:
    if same:
        for name in baseline.scores.keys() & recent.scores.keys():
            yield of_numbers("score", name, baseline.scores[name], recent.scores[name])
        yield of_numbers(
            "reconstruction", "error", baseline.reconstruction_error, recent.reconstruction_error
        )
    for name in baseline.numbers.keys() & recent.numbers.keys():
        yield of_numbers("header", name, baseline.numbers[name], recent.numbers[name])
    for name in baseline.words.keys() & recent.words.keys():
        yield of_words(name, baseline.words[name], recent.words[name])


def of_numbers(
    kind: Literal["score", "reconstruction", "header"],
    name: str,
    before: NDArray[np.floating],
    now: NDArray[np.floating],
) -> Shift:
    """Compare a quantity in bins that hold a tenth of the baseline each, and one for absent values.

    Parameters
    ----------
    before, now
        ``[n]`` each, NaN where absent.
    """
    there = before[~np.isnan(before)]
    edges = np.unique(np.quantile(there, np.linspace(0, 1, BINS + 1)[1:-1])) if len(there) else np.empty(0)
    names = [
        *(f"up to {edge:.3g}" for edge in edges),
        f"over {edges[-1]:.3g}" if len(edges) else "any",
        "absent",
    ]

    def counted(values: NDArray[np.floating]) -> NDArray[np.float64]:
        known = values[~np.isnan(values)]
        bins = np.bincount(np.searchsorted(edges, known), minlength=len(edges) + 1)
        return np.append(bins, len(values) - len(known)).astype(np.float64)

    return _shift(kind, name, names, counted(before), counted(now))


def of_words(name: str, before: Sequence[str], now: Sequence[str]) -> Shift:
    """Compare a header field of words; those beyond the baseline's nine most frequent are one bin."""
    words, counts = np.unique(np.array(before, dtype=str), return_counts=True)
    common = words[np.argsort(-counts, kind="stable")][: BINS - 1].tolist()

    def counted(values: Sequence[str]) -> NDArray[np.float64]:
        here = np.array(values, dtype=str)
        each = [float((here == word).sum()) for word in common]
        return np.array([*each, len(values) - sum(each)])

    return _shift(
        "header", name, [*(word or "absent" for word in common), "others"], counted(before), counted(now)
    )


def _shift(
    kind: Literal["score", "reconstruction", "header"],
    name: str,
    bins: list[str],
    before: NDArray[np.float64],
    now: NDArray[np.float64],
) -> Shift:
    shares = [tuple((part / max(part.sum(), 1)).tolist()) for part in (before, now)]
    if min(before.sum(), now.sum()) < FEWEST:
        return Shift(kind, name, None, None, "too few", tuple(bins), *shares)
    value, used = psi(before, now), int(((before + now) > 0).sum())
    chance = float(chi2.ppf(1 - ALPHA, max(used - 1, 1)) * (1 / before.sum() + 1 / now.sum()))
    level: Level = "stable"
    if value > chance:
        level = "moved" if value >= MOVED else "look" if value >= LOOK else "stable"
    return Shift(kind, name, value, chance, level, tuple(bins), *shares)


def psi(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """Population stability index: the symmetric Kullback-Leibler divergence of two histograms' shares.

    Half an image is added to each bin, so that one that is empty on one side counts as rare and not as
    infinitely surprising.

    Parameters
    ----------
    before, now
        Counts in the same bins; bins empty on both sides count for nothing.
    """
    used = (before + now) > 0
    p, q = before[used] + 0.5, now[used] + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def mmd(
    before: NDArray[np.floating], now: NDArray[np.floating], *, rounds: int = 200, seed: int = 0
) -> Distance:
    """Test whether two sets of embeddings are of one distribution.

    The kernel is Gaussian, as wide as the median distance; the p-value is of a permutation test.

    Parameters
    ----------
    before, now
        ``[n, d]`` and ``[m, d]``, two rows or more each.
    rounds
        Permutations; the smallest p-value is ``1 / (rounds + 1)``.
    seed
        Of a generator of its own.
    """
    generator = np.random.default_rng(seed)
    x, y = (
        part[generator.choice(len(part), MOST, replace=False)] if len(part) > MOST else part
        for part in (before, now)
    )
    both = np.concatenate((x, y)).astype(np.float64)
    squared = (both**2).sum(axis=1)
    distances = np.maximum(squared[:, None] + squared[None, :] - 2 * both @ both.T, 0)
    width = float(np.median(distances[np.triu_indices(len(both), 1)])) or 1.0
    kernel = np.exp(-distances / width)
    np.fill_diagonal(kernel, 0)

    def of(order: NDArray[np.intp]) -> float:
        first, second = order[: len(x)], order[len(x) :]
        rows = kernel[first]
        inside = rows[:, first].sum() / (len(x) * (len(x) - 1))
        other = kernel[np.ix_(second, second)].sum() / (len(y) * (len(y) - 1))
        return float(inside + other - 2 * rows[:, second].mean())

    found = of(np.arange(len(both)))
    as_far = sum(of(generator.permutation(len(both))) >= found for _ in range(rounds))
    p_value = (as_far + 1) / (rounds + 1)
    return Distance(found, p_value, "moved" if p_value <= ALPHA else "stable")

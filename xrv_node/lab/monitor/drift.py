"""How far two samples are apart: PSI for one quantity at a time, MMD for embeddings.

Both are judged by what random divisions of the same images give, which is right for samples of any size and
quantities of any kind, as long as images are independent: a sample has one of each patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xrv_node.lab.baseline.sample import Sample

Level = Literal["stable", "look", "moved", "too few"]
Kind = Literal["score", "reconstruction", "header"]

LOOK, MOVED = 0.1, 0.25
"""PSI from which a distribution is said to have shifted slightly, and significantly (Siddiqi, Credit Risk
Scorecards, 2006). Conventions, and no tests."""

FEWEST = 50
"""Images on either side below which nothing is compared."""

BINS = 10

ALPHA = 0.01
"""Share of reports on alike images that may raise any alarm: half of it goes to the embeddings, half to all
other quantities in equal parts (Bonferroni). With 1 % for each of 30 quantities, every fourth would."""

DRAWS, ROUNDS = 20_000, 999
"""Random divisions of the images that tell chance from drift, of counts and of embeddings: enough for those
parts of `ALPHA`."""

MOST = 1000
"""Embeddings of each side that are compared: the kernel's matrix grows with the square."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One quantity, then and now."""

    kind: Kind
    name: str
    psi: float | None
    """None where either side has too few."""
    chance: float | None
    """What PSI stays under by chance, at this quantity's part of `ALPHA`, where images are divided at random
    into sets of these sizes. With few images and many bins that is far above 0: the mean alone is about
    ``(bins - 1)(1/n + 1/m)`` (Yurdakul 2018)."""
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
    shared: int = 0
    """Recent images that are in the baseline too, told by their embeddings: they hide a shift."""


def compare(baseline: Sample, recent: Sample, *, seed: int = 0) -> Drift:
    """Compare recent images with a baseline.

    Parameters
    ----------
    seed
        Of all draws; the generators are its own.
    """
    same = baseline.model_set == recent.model_set
    before = {row.tobytes() for row in baseline.embedding}
    pairs = list(_pairs(baseline, recent, same))
    alpha = ALPHA / 2 / max(len(pairs), 1)
    shifts = [shift(*pair, alpha, np.random.default_rng(seed)) for pair in pairs]
    embeddings = [_finite(sample.embedding) for sample in (baseline, recent)]
    enough = min(map(len, embeddings)) >= FEWEST
    distance = mmd(*embeddings, seed=seed) if same and enough else None
    return Drift(
        baseline=baseline.what,
        recent=recent.what,
        images_before=len(baseline),
        images_now=len(recent),
        same_models=same,
        shifts=tuple(sorted(shifts, key=lambda one: -(one.psi or 0))),
        embedding=distance,
        shared=sum(row.tobytes() in before for row in recent.embedding),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """Two samples counted in the same bins, which are of both together."""

    bins: tuple[str, ...]
    before: NDArray[np.int64]
    now: NDArray[np.int64]


def _pairs(baseline: Sample, recent: Sample, same: bool) -> Iterator[tuple[Kind, str, Histograms]]:
    if same:
        for name in baseline.scores.keys() & recent.scores.keys():
            yield "score", name, of_numbers(baseline.scores[name], recent.scores[name])
        errors = of_numbers(baseline.reconstruction_error, recent.reconstruction_error)
        yield "reconstruction", "error", errors
    for name in baseline.numbers.keys() & recent.numbers.keys():
        yield "header", name, of_numbers(baseline.numbers[name], recent.numbers[name])
    for name in baseline.words.keys() & recent.words.keys():
        yield "header", name, of_words(baseline.words[name], recent.words[name])


def _finite(embeddings: NDArray[np.floating]) -> NDArray[np.floating]:
    """The rows that are numbers throughout: of one that is not, every distance would be none, and no random
    division would be as far apart."""
    kept: NDArray[np.floating] = embeddings[np.isfinite(embeddings).all(axis=1)]
    return kept


def of_numbers(before: NDArray[np.floating], now: NDArray[np.floating]) -> Histograms:
    """Count a quantity in bins that hold a tenth of all values each, and one for absent values.

    Parameters
    ----------
    before, now
        ``[n]`` and ``[m]``, NaN where absent; what is infinite counts as absent too.
    """
    both = np.concatenate((before, now))
    there = both[np.isfinite(both)]
    edges = np.unique(np.quantile(there, np.linspace(0, 1, BINS + 1)[1:-1])) if len(there) else np.empty(0)
    names = [
        *(f"up to {edge:.3g}" for edge in edges),
        f"over {edges[-1]:.3g}" if len(edges) else "any",
        "absent",
    ]

    def counted(values: NDArray[np.floating]) -> NDArray[np.int64]:
        places = np.where(np.isfinite(values), np.searchsorted(edges, values), len(edges) + 1)
        return np.bincount(places, minlength=len(edges) + 2)

    return Histograms(tuple(names), counted(before), counted(now))


def of_words(before: Sequence[str], now: Sequence[str]) -> Histograms:
    """Count a header field of words; those beyond the nine most frequent of both samples are one bin.

    A word that the baseline does not know is so among them where it counts.
    """
    words, places, counts = np.unique([*before, *now], return_inverse=True, return_counts=True)
    common = np.argsort(-counts, kind="stable")[: BINS - 1]
    bins = np.full(len(words), len(common))
    bins[common] = np.arange(len(common))
    names = [*(str(word) or "absent" for word in words[common]), "others"]
    first, second = np.split(bins[places], [len(before)])
    return Histograms(tuple(names), *(np.bincount(part, minlength=len(names)) for part in (first, second)))


def shift(kind: Kind, name: str, counts: Histograms, alpha: float, generator: np.random.Generator) -> Shift:
    """Judge one quantity.

    Parameters
    ----------
    counts
        Of both samples.
    alpha
        Share of alike samples whose PSI may be over what is said to be chance.
    generator
        Of the random divisions.
    """
    before, now = counts.before, counts.now
    shares = [tuple((part / max(part.sum(), 1)).tolist()) for part in (before, now)]
    if min(before.sum(), now.sum()) < FEWEST:
        return Shift(kind, name, None, None, "too few", counts.bins, *shares)
    value = float(psi(before, now))
    drawn = generator.multivariate_hypergeometric(before + now, int(now.sum()), DRAWS, method="marginals")
    chance = float(np.quantile(psi(before + now - drawn, drawn), 1 - alpha, method="higher"))
    level: Level = "stable"
    if value > chance:
        level = "moved" if value >= MOVED else "look" if value >= LOOK else "stable"
    return Shift(kind, name, value, chance, level, counts.bins, *shares)


def psi(before: NDArray[np.integer], now: NDArray[np.integer]) -> NDArray[np.float64]:
    """Population stability index: the symmetric Kullback-Leibler divergence of two histograms' shares.

    Half an image is added to each bin, so that one that is empty on one side counts as rare and not as
    infinitely surprising.

    Parameters
    ----------
    before, now
        ``[..., bins]``: counts in the same bins; those empty on both sides throughout count for nothing.
    """
    used = (before + now).reshape(-1, before.shape[-1]).any(axis=0)
    p, q = before[..., used] + 0.5, now[..., used] + 0.5
    p, q = p / p.sum(axis=-1, keepdims=True), q / q.sum(axis=-1, keepdims=True)
    found: NDArray[np.float64] = np.sum((q - p) * np.log(q / p), axis=-1)
    return found


def mmd(
    before: NDArray[np.floating], now: NDArray[np.floating], *, rounds: int = ROUNDS, seed: int = 0
) -> Distance:
    """Test whether two sets of embeddings are of one distribution.

    The kernel is Gaussian, as wide as the median distance between images of either set; the p-value is of a
    permutation test, which holds for any kernel and any numbers (Gretton et al. 2012).

    Parameters
    ----------
    before, now
        ``[n, d]`` and ``[m, d]``, two rows or more each, finite.
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
    # A column for each division of all images in two; the first is the one that happened.
    sides = np.zeros((len(both), rounds + 1))
    sides[: len(x)] = 1
    sides[:, 1:] = generator.permuted(sides[:, 1:], axis=0)
    to_first = kernel @ sides
    inside = (sides * to_first).sum(axis=0)
    across = to_first.sum(axis=0) - inside
    other = kernel.sum() - inside - 2 * across
    n, m = len(x), len(y)
    found = inside / (n * (n - 1)) + other / (m * (m - 1)) - 2 * across / (n * m)
    # Of equal divisions rounding would make one the greater.
    p_value = float((found >= found[0] - 1e-12).mean())
    return Distance(float(found[0]), p_value, "moved" if p_value <= ALPHA / 2 else "stable")

"""Scores in order: areas under curves from one sort, for any weights of the images.

A bootstrap asks for the same area a thousand times with other weights. Sorting once leaves two cumulative
sums for each round.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def numbers(values: NDArray[np.floating]) -> bool:
    """Whether all values are numbers, neither NaN nor infinite: of others no figure is made.

    A sort puts NaN somewhere, and an area would come of it.
    """
    return bool(np.isfinite(values).all())


class RankedScores:
    """The scores of one finding, best first, ties together.

    Parameters
    ----------
    scores
        ``[n]``. Where one is no number (`numbers`) none has a rank, and every figure is None.
    positive
        ``[n]``: the finding is present.
    """

    def __init__(self, scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> None:
        self.order = np.argsort(-scores, kind="stable") if numbers(scores) else np.empty(0, np.intp)
        ranked = scores[self.order]
        self.positive = positive[self.order].astype(np.float64)
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else self.order
        """The last place of each tie."""

    def counts(self, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """Weight of the true and of the false positives at each distinct score, taken as the threshold.

        Parameters
        ----------
        weights
            ``[n]``, in the order of the scores given; None: 1 each.
        """
        w = np.ones(len(self.order)) if weights is None else weights[self.order]
        hits = np.cumsum(w * self.positive)[self.ends]
        return hits, np.cumsum(w)[self.ends] - hits

    def auc(self, weights: Floats | None = None) -> float | None:
        """Area under the ROC curve by trapezoids, so that a tie counts half; None without both classes."""
        hits, alarms = self.counts(weights)
        if not len(hits) or hits[-1] <= 0 or alarms[-1] <= 0:
            return None
        before = np.concatenate(([0.0], hits[:-1]))
        area = np.sum(np.diff(alarms, prepend=0.0) * (hits + before)) / 2
        return float(area / (hits[-1] * alarms[-1]))

    def average_precision(self, weights: Floats | None = None) -> float | None:
        """Sum of precision times the gain of recall, as scikit-learn has it; None without both classes.

        Without a negative it would be 1 whatever the scores.
        """
        hits, alarms = self.counts(weights)
        if not len(hits) or hits[-1] <= 0 or alarms[-1] <= 0:
            return None
        taken = hits + alarms
        precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
        return float(np.sum(np.diff(hits, prepend=0.0) * precision) / hits[-1])

"""Figures at a threshold: who is found, who is missed, who is alarmed for nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.lab.statistics.intervals import UNDEFINED, Bootstrap, Estimate, share
from xrv_node.lab.statistics.weighted_auc import Floats


@dataclass(frozen=True, slots=True)
class Rates:
    """A finding counted at or over a threshold, in images. F1's interval is the bootstrap's, the others'
    Wilson's (`share`); both are over patients."""

    threshold: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    """Positive predictive value: holds for this dataset's prevalence, not for another's."""
    npv: Estimate
    f1: Estimate


def rates(
    scores: NDArray[np.floating],
    positive: NDArray[np.bool_],
    threshold: float,
    chosen: NDArray[np.bool_],
    rounds: Bootstrap,
) -> Rates:
    """Count at a threshold.

    Parameters
    ----------
    scores, positive
        ``[m]``: those of the images `chosen`.
    threshold
        A score of exactly this counts as present (``values.OPERATING_POINT``).
    chosen
        ``[n]``: which of all images `scores` are of.
    rounds
        Over all n images.
    """
    patients, called = rounds.patients[chosen], scores >= threshold
    tp, fp = int((called & positive).sum()), int((called & ~positive).sum())
    fn, tn = int((~called & positive).sum()), int((~called & ~positive).sum())

    def f1_of(w: Floats | None) -> float | None:
        return f1(called, positive, None if w is None else w[chosen])

    return Rates(
        threshold=threshold,
        true_positives=tp,
        false_positives=fp,
        true_negatives=tn,
        false_negatives=fn,
        sensitivity=share(called[positive], patients[positive]),
        specificity=share(~called[~positive], patients[~positive]),
        ppv=share(positive[called], patients[called]),
        npv=share(~positive[~called], patients[~called]),
        f1=rounds.where_enough(chosen, positive).interval(f1_of) if tp + fn else UNDEFINED,
    )


def f1(called: NDArray[np.bool_], positive: NDArray[np.bool_], weights: Floats | None = None) -> float | None:
    """Harmonic mean of precision and recall; None where nothing is called and nothing is there."""
    w = np.ones(len(called)) if weights is None else weights
    tp = float(w[called & positive].sum())
    wrong = float(w[called != positive].sum())
    return 2 * tp / (2 * tp + wrong) if tp + wrong else None

"""Whether the model does as well for some as for others: by sex, age band and view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.lab.statistics.intervals import UNDEFINED, Bootstrap, Estimate, delong, share
from xrv_node.lab.statistics.labelled_scores import LabelledScores
from xrv_node.lab.statistics.weighted_auc import Floats, RankedScores

AGE_BANDS = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 200))
"""Years, the upper end not included."""

SubgroupMasks = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Subgroup:
    """A finding in one group."""

    name: str
    number: int
    positives: int
    auc: Estimate
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True)
class SubgroupComparison:
    """A finding in all groups of one kind."""

    by: str
    """``sex``, ``age`` or ``view``."""
    finding: str
    groups: tuple[Subgroup, ...]
    auc_gap: Estimate
    """The best group less the worst, with the bootstrap's interval over patients of the difference of these
    two: where it holds 0, the gap may be chance. Among more than two groups the level is raised to that of
    all pairs (Bonferroni), since the best and the worst were picked. Nothing is raised for the number of
    findings, kinds and figures: of twenty intervals of equal groups, one misses 0."""
    sensitivity_gap: Estimate
    specificity_gap: Estimate


def groups_of(scored: LabelledScores) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Which images (``[n]``) are in which group: ``{kind: {group: mask}}``. Unknown ones are in none."""
    ages = {
        f"{low}-{high - 1}" if high < 200 else f"{low}+": (scored.age_years >= low)
        & (scored.age_years < high)
        for low, high in AGE_BANDS
    }
    found = {
        "sex": {name: scored.sex == name for name in np.unique(scored.sex).tolist() if name},
        "age": ages,
        "view": {name: scored.view == name for name in np.unique(scored.view).tolist() if name},
    }
    return {by: {name: mask for name, mask in masks.items() if mask.any()} for by, masks in found.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The images of one group that count."""

    chosen: NDArray[np.bool_]
    ranked: RankedScores
    called: NDArray[np.bool_]
    positive: NDArray[np.bool_]

    def auc(self, weights: Floats | None) -> float | None:
        return self.ranked.auc(None if weights is None else weights[self.chosen])

    def sensitivity(self, weights: Floats | None) -> float | None:
        return self._share(weights, self.called, self.positive)

    def specificity(self, weights: Floats | None) -> float | None:
        return self._share(weights, ~self.called, ~self.positive)

    def _share(self, weights: Floats | None, right: NDArray[np.bool_], of: NDArray[np.bool_]) -> float | None:
        w = np.ones(len(of)) if weights is None else weights[self.chosen]
        total = float(w[of].sum())
        return float(w[right & of].sum()) / total if total else None


def compare(
    by: str,
    masks: SubgroupMasks,
    finding: str,
    scores: NDArray[np.floating],
    labels: NDArray[np.floating],
    threshold: float | None,
    rounds: Bootstrap,
) -> SubgroupComparison | None:
    """Compare groups for one finding; None where fewer than two have enough patients with it and without.

    Parameters
    ----------
    masks
        Group by name, ``[n]``.
    scores, labels
        ``[n]``; images in which either is NaN are left out.
    threshold
        For sensitivity and specificity; None: there are none.
    """
    known = ~np.isnan(scores) & ~np.isnan(labels)
    groups, parts = [], []
    for name, mask in masks.items():
        chosen = mask & known
        positive = labels[chosen] > 0
        if not rounds.enough(chosen, positive):
            continue
        patients = rounds.patients[chosen]
        called = scores[chosen] >= (np.inf if threshold is None else threshold)
        groups.append(
            Subgroup(
                name,
                len(positive),
                int(positive.sum()),
                delong(scores[chosen], positive, patients),
                *(
                    (UNDEFINED, UNDEFINED)
                    if threshold is None
                    else (
                        share(called[positive], patients[positive]),
                        share(~called[~positive], patients[~positive]),
                    )
                ),
            )
        )
        parts.append(_Part(chosen, RankedScores(scores[chosen], positive), called, positive))
    if len(groups) < 2:
        return None
    pairs = len(groups) * (len(groups) - 1) // 2

    def gap(figure: Callable[[_Part, Floats | None], float | None]) -> Estimate:
        worst, *_, best = sorted(parts, key=lambda part: figure(part, None) or 0.0)

        def of(weights: Floats | None) -> float | None:
            high, low = figure(best, weights), figure(worst, weights)
            return None if high is None or low is None else high - low

        return rounds.interval(of, among=pairs)

    of_calls = (
        (UNDEFINED, UNDEFINED) if threshold is None else (gap(_Part.sensitivity), gap(_Part.specificity))
    )
    return SubgroupComparison(by, finding, tuple(groups), gap(_Part.auc), *of_calls)

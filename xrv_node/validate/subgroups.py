"""Whether the model does as well for some as for others: by sex, age band and view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.validate.intervals import Bootstrap, Estimate, delong, wilson
from xrv_node.validate.ranked import Floats, Ranked
from xrv_node.validate.scored import Scored

FEWEST = 10
"""Positives, and negatives, below which a group's figures are not compared: they would be noise."""

AGE_BANDS = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 200))
"""Years, the upper end not included."""

Masks = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Group:
    """A finding in one group."""

    name: str
    number: int
    positives: int
    auc: Estimate
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True)
class Split:
    """A finding in all groups of one kind."""

    by: str
    """``sex``, ``age`` or ``view``."""
    finding: str
    groups: tuple[Group, ...]
    auc_gap: Estimate
    """Between the best and the worst group. It is never negative: an interval from near 0 says nothing of
    which group does better."""
    sensitivity_gap: Estimate
    specificity_gap: Estimate


def groups_of(scored: Scored) -> dict[str, dict[str, NDArray[np.bool_]]]:
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


def split(
    by: str,
    masks: Masks,
    finding: str,
    scores: NDArray[np.floating],
    labels: NDArray[np.floating],
    threshold: float,
    rounds: Bootstrap,
) -> Split | None:
    """Compare groups for one finding; None where fewer than two have enough images.

    Parameters
    ----------
    masks
        Group by name, ``[n]``.
    scores, labels
        ``[n]``; images in which either is NaN are left out.
    threshold
        For sensitivity and specificity.
    """
    known = ~np.isnan(scores) & ~np.isnan(labels)
    groups, parts = [], []
    for name, mask in masks.items():
        chosen = mask & known
        positive = labels[chosen] > 0
        if min(positive.sum(), (~positive).sum()) < FEWEST:
            continue
        called = scores[chosen] >= threshold
        groups.append(
            Group(
                name,
                len(positive),
                int(positive.sum()),
                delong(scores[chosen], positive),
                wilson(int((called & positive).sum()), int(positive.sum())),
                wilson(int((~called & ~positive).sum()), int((~positive).sum())),
            )
        )
        parts.append((chosen, Ranked(scores[chosen], positive), called, positive))
    if len(groups) < 2:
        return None

    def gap(figure: int) -> Estimate:
        def of(weights: Floats | None) -> float | None:
            found = []
            for chosen, ranked, called, positive in parts:
                w = np.ones(len(called)) if weights is None else weights[chosen]
                share = (
                    ranked.auc(w),
                    _share(w, called, positive),
                    _share(w, ~called, ~positive),
                )[figure]
                if share is None:
                    return None
                found.append(share)
            return max(found) - min(found)

        return rounds.interval(of)

    return Split(by, finding, tuple(groups), gap(0), gap(1), gap(2))


def _share(weights: Floats, right: NDArray[np.bool_], of: NDArray[np.bool_]) -> float | None:
    total = float(weights[of].sum())
    return float(weights[right & of].sum()) / total if total else None

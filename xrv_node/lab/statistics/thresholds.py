"""Operating points for a site: thresholds on the classifier's sigmoids, chosen on the site's own images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.lab.statistics.intervals import UNDEFINED, Estimate, delong, share
from xrv_node.lab.statistics.weighted_auc import Floats, RankedScores

INSIDE = (float(np.finfo(np.float32).tiny), 1 - 2**-24)
"""The ends of what a node takes as a threshold: it refuses 0 and 1, and computes in float32, of which these
are the smallest normal number and the last below 1. A network that is very sure gives outputs beyond."""

RULES: Mapping[str, str] = {
    "youden": "the highest sum of sensitivity and specificity (Youden 1950), as the published ones",
    "sensitivity_95": "the highest threshold with a sensitivity of 95 % or more: few are missed",
    "sensitivity_90": "the highest threshold with a sensitivity of 90 % or more",
    "specificity_90": "the lowest threshold with a specificity of 90 % or more: few false alarms",
    "specificity_95": "the lowest threshold with a specificity of 95 % or more",
}

FOLDS = 10
"""Of the cross-validation."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A threshold and what it gives."""

    rule: str
    """A key of `RULES`."""
    threshold: float
    sensitivity: float
    specificity: float
    """On the images that it was chosen on: on others it will give less."""
    expected_sensitivity: Estimate = UNDEFINED
    expected_specificity: Estimate = UNDEFINED
    """On other images of the same kind (`suggest`); undefined where that cannot be told."""


def told(area: Estimate) -> bool:
    """Whether an area under the ROC curve is better than chance: its interval lies above 0.5."""
    return area.low is not None and area.low > 0.5


def suggest(
    outputs: NDArray[np.floating], positive: NDArray[np.bool_], patients: NDArray[np.intp] | None = None
) -> tuple[Suggestion, ...]:
    """Choose a threshold by each rule.

    There is none where the images do not tell the network from chance: where DeLong's interval of the area
    holds 0.5 or lies below (`intervals.delong`). Youden's index is never below 0, and of such a network its
    best point calls every image. Nor is there one by a rule that only a call of every image or of none can
    keep, where sensitivity and specificity add up to 1.

    Each lies halfway between two outputs that occurred, so that rounding moves no image over it. Of several
    that are equally good it is the highest, with the fewest false alarms.

    What a threshold gives on the images that it was chosen on is too good (Leeflang et al. 2008). What it
    will give elsewhere is estimated by cross-validation: for each tenth of the patients the rule chooses on
    the other nine, and the calls are counted together. The intervals are of that count; that other images
    would have led to another threshold is not in them, so they hold in 80 to 95 of 100 cases (simulated).

    Parameters
    ----------
    outputs
        ``[n]``, in [0, 1]; where one is no number nothing can be suggested.
    positive
        ``[n]``: the finding is present. Without both classes nothing can be suggested.
    patients
        ``[n]``: the patient of each image, numbers from 0; None: no cross-validation, and each image is of
        another for the interval.
    """
    if not told(delong(outputs, positive, patients)):
        return ()
    chosen = _choose(outputs, positive)
    expected = {} if patients is None else _expected(outputs, positive, patients)
    found = []
    for rule, threshold in chosen.items():
        called = outputs >= threshold
        apparent = float(called[positive].mean()), float((~called[~positive]).mean())
        if sum(apparent) <= 1:
            continue
        found.append(Suggestion(rule, threshold, *apparent, *expected.get(rule, (UNDEFINED, UNDEFINED))))
    return tuple(found)


def _choose(outputs: NDArray[np.floating], positive: NDArray[np.bool_]) -> dict[str, float]:
    """The threshold by each rule that can be kept; none without both classes."""
    ranked = RankedScores(outputs, positive)
    hits, alarms = ranked.counts()
    if not len(hits) or not hits[-1] or not alarms[-1]:
        return {}
    sensitivity, specificity = hits / hits[-1], (alarms[-1] - alarms) / alarms[-1]
    levels = outputs[ranked.order][ranked.ends]
    below = np.append(levels[1:], 0)
    between = (levels.astype(np.float64) + below) / 2
    # Between neighbours of float32, which the node computes in, there is nothing halfway.
    between = np.where(between.astype(np.float32) > below, between, levels)

    def at(rule: str) -> int | None:
        kind, _, percent = rule.partition("_")
        if kind == "youden":
            # whole numbers: as fractions, rounding would decide between equals
            return int(np.argmax(hits * alarms[-1] - alarms * hits[-1]))
        if kind == "sensitivity":
            return int(np.argmax(sensitivity >= int(percent) / 100))
        fit = np.flatnonzero(specificity >= int(percent) / 100)
        return int(fit[-1]) if len(fit) else None

    return {rule: float(between[i]) for rule in RULES if (i := at(rule)) is not None}


def _expected(
    outputs: NDArray[np.floating], positive: NDArray[np.bool_], patients: NDArray[np.intp]
) -> dict[str, tuple[Estimate, Estimate]]:
    """Sensitivity and specificity by rule, each tenth of the patients called by the others' threshold."""
    shuffled = np.random.default_rng(0).permutation(int(patients.max(initial=-1)) + 1)
    folds = (shuffled % FOLDS)[patients]
    thresholds: dict[str, Floats] = {rule: np.full(len(outputs), np.nan) for rule in RULES}
    for fold in np.unique(folds):
        chosen = _choose(outputs[folds != fold], positive[folds != fold])
        for rule in RULES:
            thresholds[rule][folds == fold] = chosen.get(rule, np.nan)
    found = {}
    for rule, threshold in thresholds.items():
        if not np.isnan(threshold).any():
            called = outputs >= threshold
            found[rule] = (
                share(called[positive], patients[positive]),
                share(~called[~positive], patients[~positive]),
            )
    return found


def as_toml(chosen: Mapping[str, float], classifier: str, rule: str) -> str:
    """Write thresholds as the table ``[models.thresholds]`` of the node's configuration.

    Parameters
    ----------
    chosen
        Threshold by finding, on the sigmoid's scale.
    classifier
        Name of the network that they were measured with; they mean nothing for another.
    rule
        A key of `RULES`.
    """
    lines = [f"[models.thresholds]  # of {classifier}: {RULES[rule]}"]
    # nine digits tell any two float32 apart: fewer would move images over a threshold between near outputs
    lines += [f'"{label}" = {np.clip(threshold, *INSIDE):.9g}' for label, threshold in chosen.items()]
    return "\n".join(lines) + "\n"


def measured_as_toml(chosen: Mapping[str, Suggestion]) -> str:
    """Write what thresholds give on other images as the table ``[models.measured]`` of the configuration, for
    the reports to tell; a finding of which that cannot be told is left out.

    Parameters
    ----------
    chosen
        By finding.
    """
    lines = ["[models.measured]  # at these points, by cross-validation"]
    for label, one in chosen.items():
        sensitivity, specificity = one.expected_sensitivity.value, one.expected_specificity.value
        if sensitivity is not None and specificity is not None:
            rates = f"sensitivity = {sensitivity:.3f}, specificity = {specificity:.3f}"
            lines.append(f'"{label}" = {{{rates}}}')
    return "\n".join(lines) + "\n" if len(lines) > 1 else ""

"""Operating points for a site: thresholds on the classifier's sigmoids, chosen on the site's own images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.validate.ranked import Floats, Ranked

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


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A threshold and what it gave on the images that it was chosen on: on others it will give less."""

    rule: str
    """A key of `RULES`."""
    threshold: float
    sensitivity: float
    specificity: float


def suggest(outputs: NDArray[np.floating], positive: NDArray[np.bool_]) -> tuple[Suggestion, ...]:
    """Choose a threshold by each rule.

    Each lies halfway between two outputs that occurred, so that rounding moves no image over it.

    Parameters
    ----------
    outputs
        ``[n]``, in [0, 1].
    positive
        ``[n]``: the finding is present. Without both classes nothing can be suggested.
    """
    ranked = Ranked(outputs, positive)
    hits, alarms = ranked.counts()
    if not len(hits) or not hits[-1] or not alarms[-1]:
        return ()
    sensitivity, specificity = hits / hits[-1], 1 - alarms / alarms[-1]
    levels: Floats = outputs[ranked.order][ranked.ends].astype(np.float64)
    between = (levels + np.append(levels[1:], 0.0)) / 2

    def at(rule: str) -> int | None:
        kind, _, percent = rule.partition("_")
        if kind == "youden":
            return int(np.argmax(sensitivity + specificity))
        if kind == "sensitivity":
            return int(np.argmax(sensitivity >= int(percent) / 100))
        fit = np.flatnonzero(specificity >= int(percent) / 100)
        return int(fit[-1]) if len(fit) else None

    return tuple(
        Suggestion(rule, float(between[i]), float(sensitivity[i]), float(specificity[i]))
        for rule in RULES
        if (i := at(rule)) is not None
    )


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

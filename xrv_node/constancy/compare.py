"""An answer beside the truth, and beside the one that was accepted. Pure: what is amiss comes out, as
reasons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from xrv_node.acceptance.alignment import dice, displacement
from xrv_node.acceptance.compare import NEVER
from xrv_node.acceptance.expected import COMPARED, ExpectedImage
from xrv_node.acceptance.protocol import ONE_IN
from xrv_node.acceptance.row import Decision
from xrv_node.acceptance.segmentations import FARTHEST, LEAST_DICE
from xrv_node.constancy.answer import Answer
from xrv_node.reasons import Reason

SAME_SCORE = 0.01
"""Difference of scores up to which an answer is the same. Another engine in float32 differs by less than
0.0001 (`docs/performance.md`); what a driver or a library changes by more, somebody must have looked at."""
SAME_DICE = 0.99
"""Overlap from which a mask is the same; of a mask whose every pixel at the edge flips it is about that."""


def beside_truth(answer: Answer, image: ExpectedImage) -> Iterator[Reason]:
    """Say what is wrong in the answer of the networks for phantoms.

    What is drawn, and `NEVER`, must be right; of the others one in twenty may be wrong.
    """
    decisions = [
        Decision(image.instance, label, drawn, answer.scores.get(label, math.nan))
        for label, drawn in image.findings.items()
    ]
    wrong = [d for d in decisions if not d.right]
    grave = [d.label for d in wrong if d.drawn or d.label in NEVER]
    others = [d.label for d in wrong if d.label not in grave]
    if len(others) <= max(1, len(decisions) // ONE_IN):
        others = []
    if named := [*grave, *others]:
        yield Reason("constancy-findings", findings=", ".join(named))
    pairs = [(image.masks[name], answer.masks[name]) for name in COMPARED if name in answer.masks]
    overlaps = dict.fromkeys(COMPARED, 0.0) | {
        name: dice(image.masks[name], answer.masks[name]) for name in COMPARED if name in answer.masks
    }
    for name, overlap in overlaps.items():
        if overlap < LEAST_DICE:
            yield Reason("constancy-mask", structure=name, dice=f"{overlap:.3f}", least=f"{LEAST_DICE:g}")
    apart = displacement(pairs)  # None: of masks that are not there the above has told
    if apart and max(map(abs, apart)) > max(image.rows, image.columns) * FARTHEST:
        yield Reason("constancy-place", rows=f"{apart[0]:+.0f}", columns=f"{apart[1]:+.0f}")


def beside_baseline(answer: Answer, baseline: Answer) -> Iterator[Reason]:
    """Say in what an answer is not the one that was accepted."""
    for label in sorted(answer.scores.keys() | baseline.scores.keys()):
        now, before = answer.scores.get(label), baseline.scores.get(label)
        if now is None or before is None or not abs(now - before) <= SAME_SCORE:
            yield Reason("constancy-score", finding=label, now=_number(now), before=_number(before))
    for name in sorted(answer.masks.keys() | baseline.masks.keys()):
        one, other = answer.masks.get(name), baseline.masks.get(name)
        same = 0.0 if one is None or other is None or one.shape != other.shape else dice(one, other)
        if not same > SAME_DICE:
            yield Reason("constancy-mask", structure=name, dice=f"{same:.3f}", least=f"{SAME_DICE:g}")


def changed(now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[Reason]:
    """Say what the networks run on that they did not run on, whatever they answer."""
    for name in dict.fromkeys((*before, *now)):
        if now.get(name) != before.get(name):
            yield Reason("constancy-changed", what=name, now=now.get(name, "-"), before=before.get(name, "-"))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

"""All figures of a validation, from scores and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.validate import curves, subgroups
from xrv_node.validate.calibration import Calibration, calibration
from xrv_node.validate.curves import Curve
from xrv_node.validate.intervals import (
    UNDEFINED,
    Bootstrap,
    Estimate,
    bootstrap_auc,
    delong,
    rounds_for,
    wilson,
)
from xrv_node.validate.ranked import Ranked
from xrv_node.validate.rates import Rates, f1, rates
from xrv_node.validate.scored import Scored
from xrv_node.validate.subgroups import Split
from xrv_node.validate.thresholds import Suggestion, suggest
from xrv_node.values import OPERATING_POINT

Progress = Callable[[int, int], None]
"""Called with how many findings are done, and of how many."""


@dataclass(frozen=True, slots=True)
class FindingFigures:
    """What is known of one finding. Where `why_not` is set, the figures that need both classes are None."""

    finding: str
    number: int
    """Images with a label and a score."""
    positives: int
    prevalence: Estimate
    why_not: str
    auc: Estimate
    """With DeLong's interval."""
    auc_patients: Estimate
    """The same area, with the bootstrap's interval over patients."""
    average_precision: Estimate
    calibration: Calibration | None
    at_operating_point: Rates | None
    at_chosen: Rates | None
    """At the threshold that was asked for."""
    roc: Curve | None
    precision_recall: Curve | None
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class Overall:
    """All findings together. Micro: all pairs of image and finding in one heap. Macro: the findings' mean."""

    macro_auc: Estimate
    micro_auc: Estimate
    macro_average_precision: Estimate
    micro_average_precision: Estimate
    macro_f1: Estimate
    micro_f1: Estimate
    weighted_f1: Estimate
    """Findings weighted by their positives."""
    macro_roc: Curve | None
    micro_roc: Curve | None
    micro_precision_recall: Curve | None


@dataclass(frozen=True, slots=True)
class Cooccurrence:
    """How often findings come together: rows and columns are findings, the diagonal counts each alone."""

    findings: tuple[str, ...]
    labelled: tuple[tuple[int, ...], ...]
    called: tuple[tuple[int, ...], ...]
    """At or over the operating point, on images where both are labelled one way or the other."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that the statistics say. ``dataclasses.asdict`` gives what JSON takes."""

    images: int
    patients: int
    rounds: int
    """Of the bootstrap."""
    findings: tuple[FindingFigures, ...]
    overall: Overall
    cooccurrence: Cooccurrence
    subgroups: tuple[Split, ...]
    unusual: Estimate
    """Share of images that the gate found unlike the training data."""
    unusual_by_finding: dict[str, Estimate]
    """The same among the images with the finding."""


def evaluate(
    scored: Scored,
    *,
    chosen: dict[str, float] | None = None,
    rounds: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Compute every figure.

    Parameters
    ----------
    scored
        Scores beside labels.
    chosen
        A threshold by finding, on the scale of the scores, beside the operating point.
    rounds, seed
        Of the bootstrap over patients; None: as many as `rounds_for` says.
    progress
        Told after each finding.
    """
    patients = scored.patients
    rounds = rounds_for(len(scored)) if rounds is None else rounds
    bootstrap = Bootstrap(patients, rounds, seed)
    found, splits = [], []
    groups = subgroups.groups_of(scored)
    for i, finding in enumerate(scored.pathologies):
        found.append(_finding(scored, i, (chosen or {}).get(finding), bootstrap))
        for by, masks in groups.items():
            one = subgroups.split(
                by, masks, finding, scored.scores[:, i], scored.labels[:, i], OPERATING_POINT, bootstrap
            )
            splits += [one] if one else []
        if progress:
            progress(i + 1, len(scored.pathologies))
    unusual = scored.unusual
    by_finding = {}
    if unusual is not None:
        for i, finding in enumerate(scored.pathologies):
            there = scored.labels[:, i] > 0
            by_finding[finding] = wilson(int(unusual[there].sum()), int(there.sum()))
    return Evaluation(
        images=len(scored),
        patients=int(patients.max(initial=-1)) + 1,
        rounds=rounds,
        findings=tuple(found),
        overall=_overall(scored, found, bootstrap),
        cooccurrence=_cooccurrence(scored),
        subgroups=tuple(splits),
        unusual=UNDEFINED if unusual is None else wilson(int(unusual.sum()), len(unusual)),
        unusual_by_finding=by_finding,
    )


def _finding(scored: Scored, i: int, chosen: float | None, rounds: Bootstrap) -> FindingFigures:
    known = _known(scored)[:, i]
    scores, positive = scored.scores[known, i], scored.labels[known, i] > 0
    outputs = scores if scored.sigmoids is None else scored.sigmoids[known, i]
    number, positives = len(positive), int(positive.sum())
    ranked = Ranked(scores, positive)
    both = 0 < positives < number
    why_not = (
        ""
        if both
        else "no image has both a label and a score"
        if not number
        else f"every one of the {number} images {'has' if positives else 'is without'} the finding"
    )
    return FindingFigures(
        finding=scored.pathologies[i],
        number=number,
        positives=positives,
        prevalence=wilson(positives, number),
        why_not=why_not,
        auc=delong(scores, positive),
        auc_patients=bootstrap_auc(ranked, known, rounds),
        average_precision=rounds.interval(
            lambda w: ranked.average_precision(None if w is None else w[known])
        ),
        calibration=calibration(outputs, positive),
        at_operating_point=rates(scores, positive, OPERATING_POINT, known, rounds) if number else None,
        at_chosen=rates(scores, positive, chosen, known, rounds) if number and chosen is not None else None,
        roc=curves.roc(ranked),
        precision_recall=curves.precision_recall(ranked),
        suggestions=suggest(outputs, positive),
    )


def _overall(scored: Scored, findings: list[FindingFigures], rounds: Bootstrap) -> Overall:
    known = _known(scored)
    columns = [
        (known[:, i], Ranked(scored.scores[known[:, i], i], scored.labels[known[:, i], i] > 0))
        for i in range(len(scored.pathologies))
    ]
    rows, _ = np.nonzero(known)
    pairs, truths = scored.scores[known], scored.labels[known] > 0
    heap, called = Ranked(pairs, truths), pairs >= OPERATING_POINT
    positives = np.array([f.positives for f in findings], dtype=np.float64)

    def macro(area: str) -> Estimate:
        def of(w: NDArray[np.float64] | None) -> float | None:
            found = [getattr(ranked, area)(None if w is None else w[here]) for here, ranked in columns]
            return _mean([value for value in found if value is not None])

        return rounds.interval(of)

    def mean_f1(shares: NDArray[np.float64] | None) -> Estimate:
        def of(w: NDArray[np.float64] | None) -> float | None:
            found = []
            for i, (here, _) in enumerate(columns):
                scores, labels = scored.scores[here, i], scored.labels[here, i] > 0
                one = f1(scores >= OPERATING_POINT, labels, None if w is None else w[here])
                if one is not None:
                    found.append((one, 1.0 if shares is None else float(shares[i])))
            total = sum(share for _, share in found)
            return sum(one * share for one, share in found) / total if total else None

        return rounds.interval(of)

    return Overall(
        macro_auc=macro("auc"),
        micro_auc=rounds.interval(lambda w: heap.auc(None if w is None else w[rows])),
        macro_average_precision=macro("average_precision"),
        micro_average_precision=rounds.interval(
            lambda w: heap.average_precision(None if w is None else w[rows])
        ),
        macro_f1=mean_f1(None),
        micro_f1=rounds.interval(lambda w: f1(called, truths, None if w is None else w[rows])),
        weighted_f1=mean_f1(positives),
        macro_roc=curves.mean_roc([f.roc for f in findings if f.roc]),
        micro_roc=curves.roc(heap),
        micro_precision_recall=curves.precision_recall(heap),
    )


def _cooccurrence(scored: Scored) -> Cooccurrence:
    known = _known(scored)
    labelled = (known & (scored.labels > 0)).astype(np.int64)
    called = (known & (np.nan_to_num(scored.scores) >= OPERATING_POINT)).astype(np.int64)
    return Cooccurrence(
        scored.pathologies,
        tuple(map(tuple, (labelled.T @ labelled).tolist())),
        tuple(map(tuple, (called.T @ called).tolist())),
    )


def _known(scored: Scored) -> NDArray[np.bool_]:
    """``[n, findings]``: where there is both a label and a score."""
    known: NDArray[np.bool_] = ~np.isnan(scored.labels) & ~np.isnan(scored.scores)
    return known


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None

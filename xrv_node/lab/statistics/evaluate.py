"""All figures of a validation, from scores and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrv_node.lab.statistics import curves, subgroups
from xrv_node.lab.statistics.calibration import Calibration, calibration
from xrv_node.lab.statistics.curves import Curve
from xrv_node.lab.statistics.intervals import (
    UNDEFINED,
    Bootstrap,
    Estimate,
    bootstrap_auc,
    delong,
    rounds_for,
    share,
)
from xrv_node.lab.statistics.labelled_scores import LabelledScores
from xrv_node.lab.statistics.rates import Rates, f1, rates
from xrv_node.lab.statistics.subgroups import SubgroupComparison
from xrv_node.lab.statistics.thresholds import Suggestion, suggest
from xrv_node.lab.statistics.weighted_auc import Floats, RankedScores
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
    """With DeLong's interval, over patients too."""
    auc_patients: Estimate
    """The same area, with the bootstrap's interval over patients."""
    average_precision: Estimate
    """With the bootstrap's interval, as all that has no formula; where there are too few patients for it
    (`intervals.FEWEST`) there is none."""
    calibration: Calibration | None
    """Of the sigmoids; None without them."""
    at_operating_point: Rates | None
    """None without images, and where scores call nothing (``LabelledScores.calls``)."""
    at_chosen: Rates | None
    """At the threshold that was asked for."""
    roc: Curve | None
    precision_recall: Curve | None
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class Overall:
    """All findings together. Micro: all pairs of image and finding with a label and a score in one heap, so
    that frequent findings count for more. Macro: the mean of the findings that have images of both classes,
    each counting the same; a round of the bootstrap that draws one class only of a finding is without it."""

    findings: int
    """How many the macro means are of."""
    macro_auc: Estimate
    micro_auc: Estimate
    macro_average_precision: Estimate
    micro_average_precision: Estimate
    macro_f1: Estimate
    micro_f1: Estimate
    weighted_f1: Estimate
    """The same findings weighted by their positives."""
    macro_roc: Curve | None
    micro_roc: Curve | None
    macro_precision_recall: Curve | None
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
    patients: int | None
    """None where it is not known which images are of one patient."""
    rounds: int
    """Of the bootstrap."""
    findings: tuple[FindingFigures, ...]
    overall: Overall
    cooccurrence: Cooccurrence
    subgroups: tuple[SubgroupComparison, ...]
    unusual: Estimate
    """Share of images that the gate found unlike the training data."""
    unusual_by_finding: dict[str, Estimate]
    """The same among the images with the finding."""


def evaluate(
    scored: LabelledScores,
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
            one = subgroups.compare(
                by=by,
                masks=masks,
                finding=finding,
                scores=scored.scores[:, i],
                labels=scored.labels[:, i],
                threshold=OPERATING_POINT if scored.calls else None,
                rounds=bootstrap,
            )
            splits += [one] if one else []
        if progress:
            progress(i + 1, len(scored.pathologies))
    unusual = scored.unusual
    by_finding = {}
    if unusual is not None:
        for i, finding in enumerate(scored.pathologies):
            there = scored.labels[:, i] > 0
            by_finding[finding] = share(unusual[there], patients[there])
    return Evaluation(
        images=len(scored),
        patients=int(patients.max(initial=-1)) + 1,
        rounds=rounds,
        findings=tuple(found),
        overall=_overall(scored, found, bootstrap),
        cooccurrence=_cooccurrence(scored),
        subgroups=tuple(splits),
        unusual=UNDEFINED if unusual is None else share(unusual, patients),
        unusual_by_finding=by_finding,
    )


def _finding(scored: LabelledScores, i: int, chosen: float | None, rounds: Bootstrap) -> FindingFigures:
    known = _known(scored)[:, i]
    scores, positive = scored.scores[known, i], scored.labels[known, i] > 0
    outputs = None if scored.sigmoids is None else scored.sigmoids[known, i]
    patients, resampled = rounds.patients[known], rounds.where_enough(known, positive)
    number, positives = len(positive), int(positive.sum())
    ranked = RankedScores(scores, positive)
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
        prevalence=share(positive, patients),
        why_not=why_not,
        auc=delong(scores, positive, patients),
        auc_patients=bootstrap_auc(ranked, known, resampled),
        average_precision=resampled.interval(
            lambda w: ranked.average_precision(None if w is None else w[known])
        ),
        calibration=None if outputs is None else calibration(outputs, positive, known, resampled),
        at_operating_point=rates(scores, positive, OPERATING_POINT, known, rounds)
        if number and scored.calls
        else None,
        at_chosen=rates(scores, positive, chosen, known, rounds) if number and chosen is not None else None,
        roc=curves.roc(ranked),
        precision_recall=curves.precision_recall(ranked),
        suggestions=() if outputs is None else suggest(outputs, positive, patients),
    )


def _overall(scored: LabelledScores, findings: list[FindingFigures], rounds: Bootstrap) -> Overall:
    known = _known(scored)
    columns = [
        (known[:, i], scored.scores[known[:, i], i], scored.labels[known[:, i], i] > 0)
        for i, finding in enumerate(findings)
        if not finding.why_not
    ]
    each = [(here, RankedScores(scores, positive)) for here, scores, positive in columns]
    rows, _ = np.nonzero(known)
    pairs, truths = scored.scores[known], scored.labels[known] > 0
    heap, called = RankedScores(pairs, truths), pairs >= OPERATING_POINT

    def macro(area: str) -> Estimate:
        def of(w: Floats | None) -> float | None:
            found = [getattr(ranked, area)(None if w is None else w[here]) for here, ranked in each]
            return _mean([(value, 1.0) for value in found if value is not None])

        return rounds.interval(of)

    def mean_f1(*, weighted: bool) -> Estimate:
        if not scored.calls:
            return UNDEFINED

        def of(w: Floats | None) -> float | None:
            found = []
            for here, scores, positive in columns:
                drawn = np.ones(len(positive)) if w is None else w[here]
                one = f1(scores >= OPERATING_POINT, positive, drawn)
                if one is not None:
                    found.append((one, float(drawn[positive].sum()) if weighted else 1.0))
            return _mean(found)

        return rounds.interval(of)

    return Overall(
        findings=len(columns),
        macro_auc=macro("auc"),
        micro_auc=rounds.interval(lambda w: heap.auc(None if w is None else w[rows])),
        macro_average_precision=macro("average_precision"),
        micro_average_precision=rounds.interval(
            lambda w: heap.average_precision(None if w is None else w[rows])
        ),
        macro_f1=mean_f1(weighted=False),
        micro_f1=rounds.interval(lambda w: f1(called, truths, None if w is None else w[rows]))
        if scored.calls
        else UNDEFINED,
        weighted_f1=mean_f1(weighted=True),
        macro_roc=curves.mean_roc([f.roc for f in findings if f.roc]),
        micro_roc=curves.roc(heap),
        macro_precision_recall=curves.mean_precision_recall(
            [f.precision_recall for f in findings if f.precision_recall]
        ),
        micro_precision_recall=curves.precision_recall(heap),
    )


def _cooccurrence(scored: LabelledScores) -> Cooccurrence:
    known = _known(scored)
    labelled = (known & (scored.labels > 0)).astype(np.int64)
    over = np.nan_to_num(scored.scores) >= OPERATING_POINT
    called = (known & over & scored.calls).astype(np.int64)
    return Cooccurrence(
        scored.pathologies,
        tuple(map(tuple, (labelled.T @ labelled).tolist())),
        tuple(map(tuple, (called.T @ called).tolist())),
    )


def _known(scored: LabelledScores) -> NDArray[np.bool_]:
    """``[n, findings]``: where there is both a label and a score."""
    known: NDArray[np.bool_] = ~np.isnan(scored.labels) & ~np.isnan(scored.scores)
    return known


def _mean(values: list[tuple[float, float]]) -> float | None:
    """Mean of values with their weights; None without any."""
    total = sum(weight for _, weight in values)
    return sum(value * weight for value, weight in values) / total if total else None

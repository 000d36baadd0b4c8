"""The sections of a validation's page that go finding by finding."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from xrv_node.lab.statistics.intervals import FEWEST
from xrv_node.lab.statistics.thresholds import RULES
from xrv_node.lab.validate import plots
from xrv_node.lab.validate.markup import figure, figure_of, interval, note, percent, plain, table
from xrv_node.lab.validate.verdict import beside_published, verdict

if TYPE_CHECKING:
    from xrv_node.lab.statistics.evaluate import FindingFigures
    from xrv_node.lab.statistics.rates import Rates
    from xrv_node.lab.statistics.thresholds import Suggestion
    from xrv_node.lab.validate.validation import Validation

FEW = ' <span class="look">few</span>'


def areas(validation: Validation, measured: Sequence[FindingFigures]) -> str:
    """Return each finding's area, with the published one beside it."""
    findings, found = validation.evaluation.findings, validation.published
    areas = found.auc if found else {}
    head = ["Finding", "With it", "Prevalence", "AUC (DeLong)", "(bootstrap)", "Average precision"]
    rows = [
        (
            plain(f.finding),
            f"{f.positives} of {f.number}{FEW if verdict(f) == 'few' else ''}",
            percent(f.prevalence),
            "<small>not defined</small>" if f.why_not else figure_of(f.auc),
            interval(f.auc_patients),
            figure_of(f.average_precision),
            *([_published(f, areas.get(f.finding))] if found else []),
        )
        for f in findings
    ]
    words = (
        "Areas under the ROC curve with 95 % intervals, finding by finding; the table below has the numbers"
    )
    picture = figure(plots.areas(measured, areas), words) if measured else ""
    beside = ""
    if found:
        head.append("Published AUC")
        beside = note(
            f"Published: {found.source}. {found.note} A star: outside the interval, which says first of all "
            "that the images are others."
        )
    return (
        "<h2>Findings</h2>"
        + picture
        + table(head, rows)
        + note(
            f"Few: fewer than {FEWEST} images with or without the finding, of which nothing can be said. "
            "Where all or none have it, no area is defined. "
            "Both intervals are over patients, who may have several images. With fewer than "
            f"{FEWEST} patients with or without a finding nothing is resampled, and Newcombe's interval "
            "stands in for DeLong's."
        )
        + beside
    )


def _published(finding: FindingFigures, area: float | None) -> str:
    if area is None:
        return ""
    return f"{area:.2f}{'*' if beside_published(finding, area) in ('below', 'above') else ''}"


def curves(validation: Validation) -> str:
    """Return ROC and precision-recall curves."""
    return (
        "<h2>ROC curves</h2>"
        + figure(plots.curves(validation.evaluation, "roc"), "ROC curves, a panel for each finding")
        + note("Above each: images with the finding, area and its interval. Orange: the operating point.")
        + "<h2>Precision and recall</h2>"
        + figure(plots.curves(validation.evaluation, "precision_recall"), "Precision over recall, by finding")
        + note("Above each: average precision. Dotted: the prevalence, which is the precision of a coin.")
    )


def operating_point(findings: Sequence[FindingFigures]) -> str:
    """Return counts and rates at the operating point, and below them those at the chosen score."""
    chosen = next((f.at_chosen.threshold for f in findings if f.at_chosen), None)
    return (
        "<h2>At the operating point (score 0.5)</h2>"
        + _rates(findings, [f.at_operating_point for f in findings])
        + (
            f"<h2>At a score of {chosen:g}</h2>" + _rates(findings, [f.at_chosen for f in findings])
            if chosen is not None
            else ""
        )
        + note(
            "TP, FN: images with the finding that are called, or missed; FP, TN: images without it that are "
            "called, or not. 95 % intervals over patients: Wilson's; of F1 the bootstrap's. PPV and NPV hold "
            "for this dataset's prevalence, not for a clinic's."
        )
    )


def _rates(findings: Sequence[FindingFigures], found: Sequence[Rates | None]) -> str:
    rows = [
        (
            plain(f.finding),
            *map(str, (at.true_positives, at.false_negatives, at.false_positives, at.true_negatives)),
            *map(percent, (at.sensitivity, at.specificity, at.ppv, at.npv)),
            figure_of(at.f1),
        )
        for f, at in zip(findings, found, strict=True)
        if at is not None
    ]
    head = ("Finding", "TP", "FN", "FP", "TN", "Sensitivity", "Specificity", "PPV", "NPV", "F1")
    return table(head, rows)


def calibration(validation: Validation, measured: Sequence[FindingFigures]) -> str:
    """Return how sigmoids agree with shares."""
    rows = [
        (
            plain(f.finding),
            figure_of(c.brier),
            f"{c.skill:.3f}",
            f"{c.error:.3f}",
            f"{c.error_by_chance:.3f}",
            figure_of(c.slope),
            figure_of(c.intercept),
        )
        for f in measured
        if (c := f.calibration) is not None
    ]
    return (
        "<h2>Calibration of the sigmoids</h2>"
        + figure(plots.curves(validation.evaluation, "calibration"), "Calibration, a panel for each finding")
        + table(("Finding", "Brier", "Skill", "Calibration error", "by chance", "Slope", "Intercept"), rows)
        + note(
            "Above each: the calibration error. Points: up to ten groups of about equally many images, ten "
            "or more. A calibrated output lies on the dotted line, with slope 1 and intercept 0. Skill: 1 "
            "less Brier's score by that of telling the prevalence for every image; below 0 it is worse than "
            "that. By chance: the error that perfectly calibrated outputs would show with as many images. "
            "Scores are sigmoids moved so that 0.5 is the operating point; they are no probabilities."
        )
    )


def thresholds(measured: Sequence[FindingFigures]) -> str:
    """Return the thresholds that the images suggest by each rule."""
    rows = []
    for finding in measured:
        by_rule = {s.rule: s for s in finding.suggestions}
        cells = (
            f"{s.threshold:.4g}<br>{_expected(s)} <small>({s.sensitivity:.0%} / {s.specificity:.0%})</small>"
            if s
            else ""
            for s in map(by_rule.get, RULES)
        )
        rows.append((plain(finding.finding) + (FEW if verdict(finding) == "few" else ""), *cells))
    names = {rule: rule.replace("_", " ") + (" %" if rule[-1].isdigit() else "") for rule in RULES}
    rules = "".join(f"<li><b>{names[rule]}</b>: {escape(words)}</li>" for rule, words in RULES.items())
    return (
        "<h2>Thresholds that these images suggest</h2>"
        + table(("Finding", *names.values()), rows)
        + f'<ul class="note">{rules}</ul>'
        + note(
            "On the scale of the sigmoids. Below each: the sensitivity / specificity to expect on other "
            "images of this kind, by tenfold cross-validation over patients; in brackets: on these images, "
            "which flatters. Choose thresholds on a site's own labelled images. --write-thresholds RULE "
            "writes them, except those of few images, as [models.thresholds] of the node's configuration."
        )
    )


def _expected(suggestion: Suggestion) -> str:
    sensitivity, specificity = suggestion.expected_sensitivity.value, suggestion.expected_specificity.value
    return "" if sensitivity is None or specificity is None else f"{sensitivity:.0%} / {specificity:.0%}"

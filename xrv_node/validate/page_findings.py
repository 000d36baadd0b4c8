"""The sections of a validation's page that go finding by finding."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from xrv_node.validate import plots
from xrv_node.validate.markup import figure, figure_of, interval, note, number, percent, plain, table
from xrv_node.validate.thresholds import RULES

if TYPE_CHECKING:
    from xrv_node.validate.evaluate import FindingFigures
    from xrv_node.validate.report import Validation


def areas(validation: Validation, measured: Sequence[FindingFigures]) -> str:
    """Return each finding's area, with the published one beside it."""
    findings, found = validation.evaluation.findings, validation.published
    areas = found.auc if found else {}
    head = ["Finding", "With it", "Prevalence", "AUC (DeLong)", "(bootstrap)", "Average precision"]
    rows = [
        (
            plain(f.finding),
            f"{f.positives} of {f.number}",
            percent(f.prevalence),
            f"<small>{escape(f.why_not)}</small>" if f.why_not else figure_of(f.auc),
            interval(f.auc_patients),
            figure_of(f.average_precision),
            *([_published(f, areas.get(f.finding))] if found else []),
        )
        for f in findings
    ]
    picture = figure(plots.areas(measured, areas), "Areas under the ROC curve") if measured else ""
    beside = ""
    if found:
        head.append("Published AUC")
        beside = note(f"Published: {found.source}. {found.note} A star: outside DeLong's interval.")
    return (
        "<h2>Findings</h2>"
        + picture
        + table(head, rows)
        + note(
            "DeLong's interval takes images as independent; where patients have several, the bootstrap over "
            "patients is the one to quote."
        )
        + beside
    )


def _published(finding: FindingFigures, area: float | None) -> str:
    low, high = finding.auc.low, finding.auc.high
    if area is None:
        return ""
    outside = low is not None and high is not None and not low <= area <= high
    return f"{area:.2f}{'*' if outside else ''}"


def curves(validation: Validation) -> str:
    """Return ROC and precision-recall curves."""
    return (
        "<h2>ROC curves</h2>"
        + figure(plots.curves(validation.evaluation, "roc"), "ROC curves, a panel for each finding")
        + note("Number: area. Orange: the operating point (score 0.5).")
        + "<h2>Precision and recall</h2>"
        + figure(plots.curves(validation.evaluation, "precision_recall"), "Precision over recall, by finding")
        + note("Number: average precision. Dotted: the prevalence, which is the precision of a coin.")
    )


def operating_point(findings: Sequence[FindingFigures]) -> str:
    """Return counts and rates at the operating point and at the chosen score."""
    rows = [
        (
            plain(f.finding),
            f"{at.threshold:.3g}",
            *map(str, (at.true_positives, at.false_negatives, at.false_positives, at.true_negatives)),
            *map(percent, (at.sensitivity, at.specificity, at.ppv, at.npv)),
            figure_of(at.f1),
        )
        for f in findings
        for at in (f.at_operating_point, f.at_chosen)
        if at is not None
    ]
    head = ("Finding", "Score from", "TP", "FN", "FP", "TN", "Sensitivity", "Specificity", "PPV", "NPV", "F1")
    return (
        "<h2>At the operating point</h2>"
        + table(head, rows)
        + note(
            "95 % intervals: Wilson's; of F1 the bootstrap's. PPV and NPV hold for this dataset's "
            "prevalence, not for a clinic's."
        )
    )


def calibration(validation: Validation, measured: Sequence[FindingFigures]) -> str:
    """Return how sigmoids agree with shares."""
    rows = [
        (plain(f.finding), f"{c.brier:.3f}", f"{c.error:.3f}", number(c.slope), number(c.intercept))
        for f in measured
        if (c := f.calibration) is not None
    ]
    return (
        "<h2>Calibration of the sigmoids</h2>"
        + figure(plots.curves(validation.evaluation, "calibration"), "Calibration, a panel for each finding")
        + table(("Finding", "Brier", "Calibration error", "Slope", "Intercept"), rows)
        + note(
            "Points: ten groups of equally many images. A calibrated output lies on the dotted line, with "
            "slope 1 and intercept 0. Scores are sigmoids moved so that 0.5 is the operating point; they "
            "are no probabilities."
        )
    )


def thresholds(measured: Sequence[FindingFigures]) -> str:
    """Return the thresholds that the images suggest by each rule."""
    rows = []
    for finding in measured:
        by_rule = {s.rule: s for s in finding.suggestions}
        cells = (
            f"{s.threshold:.4g} <small>{s.sensitivity:.0%} / {s.specificity:.0%}</small>" if s else ""
            for s in map(by_rule.get, RULES)
        )
        rows.append((plain(finding.finding), *cells))
    names = {rule: rule.replace("_", " ") + (" %" if rule[-1].isdigit() else "") for rule in RULES}
    rules = "".join(f"<li><b>{names[rule]}</b>: {escape(words)}</li>" for rule, words in RULES.items())
    return (
        "<h2>Thresholds that these images suggest</h2>"
        + table(("Finding", *names.values()), rows)
        + f'<ul class="note">{rules}</ul>'
        + note(
            "On the scale of the sigmoids; small: sensitivity and specificity on these images, which on "
            "others will be lower. Choose thresholds on a site's own labelled images. --thresholds RULE "
            "writes them as the table [models.thresholds] of the node's configuration."
        )
    )

"""The first part of a validation's page: what was found, in short, and what it was found on."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from xrv_node.lab.validate.markup import fields, figure_of, note, number, percent, plain, table
from xrv_node.lab.validate.verdict import ENOUGH, VERDICTS, beside_published, smaller_class, verdict

if TYPE_CHECKING:
    from xrv_node.lab.statistics.evaluate import FindingFigures
    from xrv_node.lab.validate.about import About
    from xrv_node.lab.validate.validation import Validation

_COLOURS = {"better": "good", "chance": "look", "worse": "bad", "few": "look"}


def in_short(validation: Validation) -> str:
    """Return for which findings the network works on these images, for which not, and what cannot be said."""
    findings = validation.evaluation.findings
    areas = validation.published.auc if validation.published else {}
    rows = []
    for name, words in VERDICTS.items():
        those = [f for f in findings if verdict(f) == name]
        if those:
            title, _, why = words.partition(": ")
            shown = _counted(those) if name == "few" else _with_areas(those)
            heading = f'<span class="{_COLOURS[name]}">{title[0].upper()}{title[1:]}</span>'
            rows.append((heading, f"{shown}<br><small>{escape(why)}</small>"))
    for where in ("below", "above"):
        those = [f for f in findings if beside_published(f, areas.get(f.finding)) == where]
        if those:
            shown = ", ".join(
                f"{plain(f.finding)} (AUC {number(f.auc.value)}, published {areas[f.finding]:.2f})"
                for f in those
            )
            rows.append((f"{where.capitalize()} the published figure", shown))
    unsure = [f for f in findings if verdict(f) != "few" and smaller_class(f) < ENOUGH]
    if unsure:
        words = f"fewer than {ENOUGH} images with the finding, or without: the figures may move much"
        rows.append(('<span class="look">Unsure</span>', f"{_counted(unsure)}<br><small>{words}</small>"))
    if validation.through_node:
        rows.append(("Through the node", escape(validation.through_node.difference.words)))
    about, evaluation = validation.about, validation.evaluation
    return (
        f"<h2>In short</h2><p>{escape(about.networks[0].rpartition(' ')[0])} on {evaluation.images} images "
        f"of {evaluation.patients} patients: {escape(about.choice)}.</p>" + fields(rows)
    )


def _with_areas(findings: Iterable[FindingFigures]) -> str:
    ordered = sorted(findings, key=lambda f: -(f.auc.value or 0))
    return ", ".join(f"{plain(f.finding)} (AUC {number(f.auc.value)})" for f in ordered)


def _counted(findings: Iterable[FindingFigures]) -> str:
    return ", ".join(f"{plain(f.finding)} ({f.positives} of {f.number})" for f in findings)


def what(about: About) -> str:
    """Return what was validated on what."""
    networks = (name.rpartition(" ") for name in about.networks)
    left_out = "; ".join(f"{count}: {reason}" for reason, count in about.left_out.items())
    home = f'<a href="{escape(about.home)}">{escape(about.home)}</a>'
    return "<h2>What was validated</h2>" + fields(
        [
            ("Dataset", f"{escape(about.title)}, {home if '://' in about.home else escape(about.home)}"),
            ("Rows", escape(about.choice)),
            ("Images", f"{about.used} of {about.rows} scored"),
            ("Left out", escape(left_out or "none")),
            ("Labels that are not scored", plain(", ".join(about.labels_left_out) or "none")),
            (
                "Networks, SHA-256 of their weights",
                "<br>".join(f"{escape(name)} <code>{digest}</code>" for name, _, digest in networks),
            ),
            ("Operating points", escape(about.operating_points)),
            ("Known of the classifier", escape(" ".join(about.cautions) or "nothing in particular")),
            ("Resampling", escape(about.resampler)),
        ]
    )


def overall(validation: Validation) -> str:
    """Return the figures of all findings together, and how many images the gate would refuse."""
    evaluation, means = validation.evaluation, validation.evaluation.overall
    rows = [
        ("Area under the ROC curve", means.macro_auc, means.micro_auc),
        ("Average precision", means.macro_average_precision, means.micro_average_precision),
        ("F1 at the operating point", means.macro_f1, means.micro_f1),
        ("F1, findings weighted by their positives", means.weighted_f1, None),
    ]
    return (
        "<h2>All findings</h2>"
        + table(
            ("", "Macro (mean of findings)", "Micro (all pairs)"),
            [(name, figure_of(macro), figure_of(micro)) for name, macro, micro in rows],
        )
        + note(
            f"{evaluation.images} images of {evaluation.patients} patients. Macro: of the {means.findings} "
            "findings that have images with and without. In brackets: 95 % intervals of a bootstrap over "
            f"patients, {evaluation.rounds} rounds."
        )
    )


def unusual(validation: Validation) -> str:
    """Return the share of images that the gate would refuse as unlike those that it was fitted on."""
    evaluation = validation.evaluation
    if evaluation.unusual.value is None:
        return "<h2>Images out of distribution</h2>" + note(
            "Not told: no gate is fitted for these networks (xrv-node models fit-gate)."
        )
    rows = [
        (plain(name), percent(share)) for name, share in evaluation.unusual_by_finding.items() if share.value
    ]
    return (
        f"<h2>Images out of distribution</h2><p>The gate would refuse {percent(evaluation.unusual)} of the "
        "images as unlike those that it was fitted on.</p>"
        + (table(("Of the images with", "it would refuse"), rows) if rows else "")
        + note("A node gives no findings of such images. They are counted in all figures here.")
    )

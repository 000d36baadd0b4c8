"""A validation as one HTML page: without scripts, nothing loaded from elsewhere, readable in print."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from xrv_node.report.summary import COMMISSIONING
from xrv_node.validate import page_findings, plots
from xrv_node.validate.markup import document, fields, figure, figure_of, note, number, percent, plain, table

if TYPE_CHECKING:
    from xrv_node.validate.published import PublishedStructure
    from xrv_node.validate.report import About, Validation

NOTICE = "Research software, not a medical device."


def html(validation: Validation) -> str:
    """Return the page."""
    about, findings = validation.about, validation.evaluation.findings
    measured = [finding for finding in findings if not finding.why_not]
    warning = f'<p class="warning">{COMMISSIONING}: the networks are untrained.</p>'
    return document(
        f"Validation: {about.title}",
        [
            f"<h1>Validation on {escape(about.title)}</h1>",
            warning if about.commissioning else "",
            f"<p>{NOTICE} The figures hold for these images and labels. They do not say how the networks do "
            "on others.</p>",
            _what(about),
            _summary(validation) if findings else "",
            page_findings.areas(validation, measured) if findings else "",
            page_findings.curves(validation) if measured else "",
            page_findings.operating_point(findings) if findings else "",
            page_findings.calibration(validation, measured) if measured else "",
            page_findings.thresholds(measured) if measured else "",
            _groups(validation) if findings else "",
            _together(validation),
            _localisation(validation),
            _structures(validation),
            _through_node(validation),
            note(f"xrv-node {about.version}, {about.date}. {NOTICE}"),
        ],
    )


def _what(about: About) -> str:
    networks = (name.rpartition(" ") for name in about.networks)
    left_out = "; ".join(f"{count}: {reason}" for reason, count in about.left_out.items())
    return fields(
        [
            ("Dataset", f"{escape(about.title)}, {escape(about.home)}"),
            ("Rows", escape(about.choice)),
            ("Images", f"{about.used} of {about.rows} scored"),
            ("Left out", escape(left_out or "none")),
            ("Labels that are not scored", plain(", ".join(about.labels_left_out) or "none")),
            (
                "Networks, SHA-256 of their weights",
                "<br>".join(f"{escape(name)} <code>{digest}</code>" for name, _, digest in networks),
            ),
            ("Operating points", escape(about.operating_points)),
            ("Known of the classifier", escape(" ".join(about.cautions))),
            ("Resampling", escape(about.resampler)),
        ]
    )


def _summary(validation: Validation) -> str:
    evaluation, overall = validation.evaluation, validation.evaluation.overall
    rows = [
        ("Area under the ROC curve", overall.macro_auc, overall.micro_auc),
        ("Average precision", overall.macro_average_precision, overall.micro_average_precision),
        ("F1 at the operating point", overall.macro_f1, overall.micro_f1),
        ("F1, findings weighted by their positives", overall.weighted_f1, None),
    ]
    unusual = ""
    if evaluation.unusual.value is not None:
        unusual = (
            f"<p>The gate would have refused {percent(evaluation.unusual)} of the images as unlike those "
            "that it was fitted on.</p>"
        )
    return (
        "<h2>All findings</h2>"
        + table(
            ("", "Macro (mean of findings)", "Micro (all pairs)"),
            [(name, figure_of(macro), figure_of(micro)) for name, macro, micro in rows],
        )
        + note(
            f"{evaluation.images} images of {evaluation.patients} patients. In brackets: 95 % intervals of a "
            f"bootstrap over patients, {evaluation.rounds} rounds."
        )
        + unusual
    )


def _groups(validation: Validation) -> str:
    parts = []
    for by, words in (("sex", "sex"), ("age", "age in years"), ("view", "view")):
        splits = [split for split in validation.evaluation.subgroups if split.by == by]
        if splits:
            rows = [
                (
                    plain(s.finding),
                    ", ".join(f"{escape(g.name)}: {g.positives} of {g.number}" for g in s.groups),
                    *map(figure_of, (s.auc_gap, s.sensitivity_gap, s.specificity_gap)),
                )
                for s in splits
            ]
            head = ("Finding", "With it", "Gap of AUC", "of sensitivity", "of specificity")
            picture = figure(plots.groups(splits), f"Areas under the ROC curve by {words}")
            parts.append(f"<h3>By {words}</h3>" + picture + table(head, rows))
    if not parts:
        return "<h2>Subgroups</h2>" + note(
            "None can be compared: it takes two groups, each with ten images with a finding and ten without."
        )
    return (
        "<h2>Subgroups</h2>"
        + "".join(parts)
        + note(
            "Gap: best less worst group, with its interval over patients; it is never negative, so one from "
            "near 0 says nothing. Groups with fewer than ten images with or without the finding are left "
            "out. Groups differ in more than their name."
        )
    )


def _together(validation: Validation) -> str:
    if len(validation.evaluation.findings) < 2:
        return ""
    return (
        "<h2>Findings that come together</h2>"
        + figure(plots.together(validation.evaluation.cooccurrence), "Co-occurrence of findings")
        + note(
            "Images with the row's and the column's finding; the shade is the share of the row's. Left by "
            "the labels, right at the operating point."
        )
    )


def _localisation(validation: Validation) -> str:
    if not validation.localisation:
        return ""
    rows = [
        (
            plain(f.finding),
            str(f.number),
            percent(f.hits),
            f"{f.by_chance:.1%}",
            f"{f.iou:.3f}",
            f"{f.energy:.3f}",
        )
        for f in validation.localisation
    ]
    return (
        "<h2>Where the heat maps point</h2>"
        + table(("Finding", "Marked images", "Hits", "By chance", "IoU", "Energy"), rows)
        + note(
            "Grad-CAM beside what annotators marked, in the square that the network sees. Hits: the map's "
            "highest value lies inside (pointing game). By chance: the share of the square that the regions "
            "cover. IoU: of region and the map over half of its highest value. Energy: the share of the map "
            "inside."
        )
    )


def _structures(validation: Validation) -> str:
    if not validation.structures:
        return ""
    published = {one.structure: one for one in validation.published_structures}
    rows = [
        (
            plain(f.structure),
            str(f.number),
            *map(figure_of, (f.mean_dice, f.median_dice, f.mean_iou, f.median_iou)),
            *(_beside(published.get(f.structure)) if published else ()),
        )
        for f in validation.structures
    ]
    head = ["Structure", "Images", "Dice, mean", "median", "IoU, mean", "median"]
    others = ""
    if published:
        head += ["Published Dice", "IoU"]
        others = note(
            "Published: "
            + "; ".join(
                f"{one.structure}{'' if one.dice is None else f', Dice {one.dice:.3f}'}, IoU {one.iou:.3f} "
                f"({one.on})"
                for one in published.values()
            )
            + ". They are of few images, and how they were averaged is not said."
        )
    return (
        "<h2>Masks of anatomical structures</h2>"
        + table(head, rows)
        + note(
            "The segmenter's masks beside the dataset's, image by image, over the square that the network "
            "sees. In brackets: 95 % intervals of a bootstrap over patients. Lungs: left and right together. "
            "Where each side is near 0 and both together are not, the two name the sides the other way round."
        )
        + others
    )


def _beside(published: PublishedStructure | None) -> tuple[str, str]:
    return ("", "") if published is None else (number(published.dice, ".3f"), number(published.iou, ".3f"))


def _through_node(validation: Validation) -> str:
    through = validation.through_node
    if through is None:
        return ""
    found = through.difference
    left_out = "; ".join(f"{count}: {reason}" for reason, count in found.left_out.items())
    there = {f.finding: f for f in through.evaluation.findings} if through.evaluation else {}
    rows = [
        (plain(f.finding), figure_of(there[f.finding].auc), figure_of(there[f.finding].average_precision))
        for f in validation.evaluation.findings
        if f.finding in there and not there[f.finding].why_not
    ]
    return (
        f"<h2>Through the node</h2><p>{escape(found.words)}</p>"
        + fields(
            [
                ("Node", escape(found.node)),
                ("Images that were sent", str(found.sent)),
                ("with scores in a report", str(found.answered)),
                ("with a segmentation", str(found.segmented)),
                ("Without scores", escape(left_out or "none")),
                ("Greatest difference of a score", number(found.greatest, ".1e")),
                ("Greatest difference of an AUC", number(found.greatest_auc, ".1e")),
                ("Other calls at the operating point", str(found.other_calls)),
            ]
        )
        + table(("Finding, through the node", "AUC (DeLong)", "Average precision"), rows)
        + note(
            "The images went as DICOM; scores were read from the Structured Reports that came back. "
            "Differences are over the images that both ways have scores of."
        )
    )

"""A validation as one HTML page: without scripts, nothing loaded from elsewhere, readable in print."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from xrv_node.lab.statistics.intervals import FEWEST
from xrv_node.lab.validate import glossary, page_findings, page_masks, page_summary, plots
from xrv_node.lab.validate.markup import (
    document,
    fields,
    figure,
    figure_of,
    note,
    number,
    percent,
    plain,
    table,
)
from xrv_node.report.summary import COMMISSIONING

if TYPE_CHECKING:
    from xrv_node.lab.validate.published import PublishedStructure
    from xrv_node.lab.validate.validation import Validation

NOTICE = "Research software, not a medical device."


def html(validation: Validation) -> str:
    """Return the page: what was found first, then on what, then figure by figure, and what each means."""
    about, findings = validation.about, validation.evaluation.findings
    measured = [finding for finding in findings if not finding.why_not]
    warning = f"{COMMISSIONING}: the networks are untrained, and every figure on this page is chance."
    return document(
        f"Validation: {about.title}",
        f"Validation on {about.title}",
        warning if about.commissioning else "",
        [
            f"<p>{NOTICE} The figures hold for these images and labels. They do not say how the networks do "
            'on others. What each means: <a href="#glossary">at the end</a>.</p>',
            page_summary.in_short(validation) if findings else "",
            page_findings.areas(validation, measured) if findings else "",
            page_summary.overall(validation) if findings else "",
            page_summary.what(about),
            page_findings.curves(validation) if measured else "",
            page_findings.operating_point(findings) if findings else "",
            page_findings.calibration(validation, measured) if measured else "",
            page_findings.thresholds(measured) if measured else "",
            _groups(validation) if findings else "",
            _together(validation),
            page_summary.unusual(validation) if findings else "",
            _localisation(validation),
            _structures(validation),
            _through_node(validation),
            glossary.html(),
            note(f"xrv-node {about.version}, {about.date}. {NOTICE}"),
        ],
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
            "None can be compared: it takes two groups, each with ten patients with a finding and ten "
            "without."
        )
    return (
        "<h2>Subgroups</h2>"
        + "".join(parts)
        + note(
            "Gap: best less worst group, with the interval of their difference over patients, widened "
            "where they were picked from more than two; where it holds 0, the gap may be chance. Of many "
            "gaps some miss 0 by chance too: one in twenty. Groups with fewer than ten patients with or "
            "without the finding are left out. Groups differ in more than their name."
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
            f"{f.number}{page_findings.FEW if f.number < FEWEST else ''}",
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
            "The segmenter's masks beside the dataset's, image by image in the image's own pixels, over the "
            "square that the network sees. In brackets: 95 % intervals of a bootstrap over patients. Lungs: "
            "left and right together. Where each side is near 0 and both together are not, the two name the "
            "sides the other way round."
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
        + (table(("Finding, through the node", "AUC (DeLong)", "Average precision"), rows) if rows else "")
        + note(
            "The images went as DICOM; scores were read from the Structured Reports that came back. "
            "Differences are over the images that both ways have scores of."
        )
        + (page_masks.returned(through.masks) if through.masks else "")
    )

"""Plots of a validation as SVG, dark on light, readable in grey print."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from xrv_node.validate.evaluate import Cooccurrence, Evaluation, FindingFigures
from xrv_node.validate.subgroups import Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, GREY, BLUE, ORANGE = "#1b1f24", "#8c959f", "#0550ae", "#bc4c00"
"""Blue and orange differ in brightness too, and for the colour-blind."""
COLUMNS = 5
"""Panels in a row of small multiples."""
_LOOK: dict[Any, Any] = {
    "font.size": 8,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "xrv-node",  # the same figures make the same file
}


def areas(findings: Sequence[FindingFigures], published: Mapping[str, float]) -> bytes:
    """Draw the area under the ROC curve of findings that have one, with its interval, and the published."""
    shown = sorted(findings, key=lambda f: f.auc.value or 0)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for y, finding in enumerate(shown):
            low, value, high = finding.auc.low, finding.auc.value or 0, finding.auc.high
            if low is not None and high is not None:
                axes.plot((low, high), (y, y), color=BLUE, linewidth=2, solid_capstyle="butt")
            axes.plot(value, y, "o", color=BLUE, markersize=5, label="here" if y == 0 else "")
            if finding.finding in published:
                first = not any(f.finding in published for f in shown[:y])
                axes.plot(
                    *(published[finding.finding], y), "D", color=ORANGE, markerfacecolor="none", markersize=6,
                    label="published" if first else "",
                )  # fmt: skip
        axes.set_yticks(range(len(shown)), [f"{f.finding} ({f.positives})" for f in shown])
        axes.axvline(0.5, color=GREY, linewidth=1, linestyle=":")
        axes.set_xlim(min(0.45, *(f.auc.low or f.auc.value or 0 for f in shown)) - 0.02, 1.01)
        axes.set_xlabel(
            "Area under the ROC curve; 95 % interval (DeLong); in brackets: images with the finding"
        )
        axes.grid(axis="x", color="#d8dee4", linewidth=0.6)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)

    return _svg((8, 0.9 + 0.27 * len(shown)), draw)


def curves(evaluation: Evaluation, kind: str) -> bytes:
    """Draw a panel for each finding: ``roc``, ``precision_recall`` or ``calibration``."""
    panels: list[tuple[str, Callable[[Axes], None]]] = []
    if kind == "roc" and evaluation.overall.micro_roc is not None:
        panels.append(("All findings", partial(_means, evaluation=evaluation)))
    painter = {"roc": _roc, "precision_recall": _precision_recall, "calibration": _calibration}[kind]
    panels += [
        (finding.finding, partial(painter, finding=finding))
        for finding in evaluation.findings
        if not finding.why_not
    ]
    names = {
        "roc": ("1 - specificity", "Sensitivity"),
        "precision_recall": ("Recall (sensitivity)", "Precision (PPV)"),
        "calibration": ("Mean sigmoid", "Share with finding"),
    }[kind]
    rows = -(-len(panels) // COLUMNS)

    def draw(figure: Figure) -> None:
        for number, (title, paint) in enumerate(panels):
            axes = figure.add_subplot(rows, COLUMNS, number + 1)
            paint(axes)
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
            axes.set_xticks((0, 0.5, 1))
            axes.set_yticks((0, 0.5, 1))
            axes.set_title(title.replace("_", " "), fontsize=8, fontweight="bold")
            if number % COLUMNS == 0:
                axes.set_ylabel(names[1])
            if number >= len(panels) - COLUMNS:
                axes.set_xlabel(names[0])

    return _svg((10, 2.15 * max(rows, 1)), draw)


def together(pairs: Cooccurrence) -> bytes:
    """Draw how often findings come together: by the labels, and by the network's calls."""
    names = [name.replace("_", " ") for name in pairs.findings]

    def draw(figure: Figure) -> None:
        for axes, counts, title in zip(
            figure.subplots(1, 2), (pairs.labelled, pairs.called), ("Labelled", "Called"), strict=True
        ):
            table = np.array(counts, dtype=float)
            alone = np.diag(table)
            share = np.divide(table, alone[:, None], out=np.zeros_like(table), where=alone[:, None] > 0)
            axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
            for row, column in np.ndindex(table.shape):
                dark = share[row, column] > 0.6
                axes.text(
                    *(column, row, f"{int(table[row, column])}"), ha="center", va="center", fontsize=5.5,
                    color="white" if dark else INK,
                )  # fmt: skip
            axes.set_xticks(range(len(names)), names, rotation=90)
            axes.set_yticks(range(len(names)), names if title == "Labelled" else [""] * len(names))
            axes.set_title(title, fontweight="bold")

    side = max(2.6, 0.33 * len(names) + 1)
    return _svg((2 * side, side), draw)


def groups(splits: Sequence[Split]) -> bytes:
    """Draw the areas of one kind of subgroup, finding by finding."""
    names = list(dict.fromkeys(group.name for split in splits for group in split.groups))
    marks = "os^Dv"

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for y, split in enumerate(reversed(splits)):
            for group in split.groups:
                number = names.index(group.name)
                at = y + 0.14 * ((len(names) - 1) / 2 - number)
                colour = (BLUE, ORANGE, INK, GREY, "#2da44e")[number % len(marks)]
                if group.auc.low is not None and group.auc.high is not None:
                    axes.plot((group.auc.low, group.auc.high), (at, at), color=colour, linewidth=1.2)
                axes.plot(group.auc.value or 0, at, marks[number % len(marks)], color=colour, markersize=4)
        for number, name in enumerate(names):
            colour = (BLUE, ORANGE, INK, GREY, "#2da44e")[number % len(marks)]
            axes.plot([], [], marks[number % len(marks)], color=colour, label=name)
        axes.set_yticks(range(len(splits)), [s.finding.replace("_", " ") for s in reversed(splits)])
        axes.set_xlabel("Area under the ROC curve; 95 % interval (DeLong)")
        axes.grid(axis="x", color="#d8dee4", linewidth=0.6)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(names), frameon=False)

    return _svg((8, 1 + (0.16 * len(names) + 0.14) * len(splits)), draw)


def _roc(axes: Axes, finding: FindingFigures) -> None:
    _line(axes, finding.roc)
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, linestyle=":")
    at = finding.at_operating_point
    if at is not None and at.sensitivity.value is not None and at.specificity.value is not None:
        axes.plot(1 - at.specificity.value, at.sensitivity.value, "o", color=ORANGE, markersize=4)
    axes.text(0.98, 0.05, f"{finding.auc.value:.3f}", ha="right")


def _means(axes: Axes, evaluation: Evaluation) -> None:
    overall = evaluation.overall
    for curve, area, colour, name, y in (
        (overall.micro_roc, overall.micro_auc, INK, "micro", 0.17),
        (overall.macro_roc, overall.macro_auc, BLUE, "macro", 0.05),
    ):
        if curve is not None and area.value is not None:
            axes.plot(curve.x, curve.y, color=colour, linewidth=1.4)
            axes.text(0.98, y, f"{name} {area.value:.3f}", ha="right", color=colour)
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, linestyle=":")


def _precision_recall(axes: Axes, finding: FindingFigures) -> None:
    _line(axes, finding.precision_recall)
    axes.axhline(finding.prevalence.value or 0, color=GREY, linewidth=0.8, linestyle=":")
    axes.text(0.98, 0.9, f"{finding.average_precision.value:.3f}", ha="right")


def _calibration(axes: Axes, finding: FindingFigures) -> None:
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, linestyle=":")
    if finding.calibration is not None:
        bins = finding.calibration.bins
        axes.plot(
            [b.mean_output for b in bins], [b.share_present for b in bins], "o-", color=BLUE, markersize=3,
            linewidth=1,
        )  # fmt: skip
        axes.text(0.02, 0.9, f"ECE {finding.calibration.error:.3f}")


def _line(axes: Axes, curve: Any) -> None:
    if curve is not None:
        axes.plot(curve.x, curve.y, color=BLUE, linewidth=1.4)


def _svg(inches: tuple[float, float], draw: Callable[[Figure], None]) -> bytes:
    with mpl.rc_context(_LOOK):
        # no pyplot: it keeps figures and a backend for the whole process
        figure = Figure(figsize=inches, layout="constrained")
        draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()

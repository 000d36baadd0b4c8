"""Plots of a validation as SVG, dark on light, readable in grey print."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from xrv_node.lab.statistics.curves import Curve
from xrv_node.lab.statistics.evaluate import Cooccurrence, Evaluation, FindingFigures, Overall
from xrv_node.lab.statistics.intervals import Estimate
from xrv_node.lab.statistics.subgroups import SubgroupComparison
from xrv_node.lab.validate.verdict import verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, GREY, BLUE, ORANGE = "#1b1f24", "#8c959f", "#0550ae", "#bc4c00"
"""Blue and orange differ in brightness too, and for the colour-blind."""
KINDS = ("roc", "precision_recall", "calibration")
"""Of `curves`."""
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
    "text.parse_math": False,  # a dollar sign in a name is one
}


def areas(findings: Sequence[FindingFigures], published: Mapping[str, float]) -> bytes:
    """Draw the area under the ROC curve of findings that have one, with its interval, and the published.

    Findings with too few images are grey and hollow.
    """
    shown = sorted(findings, key=lambda f: f.auc.value or 0)
    mark: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 5}
    beside: dict[str, Any] = {"marker": "D", "linestyle": "", "color": ORANGE, "markersize": 6}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for y, finding in enumerate(shown):
            low, high = finding.auc.low, finding.auc.high
            few = verdict(finding) == "few"
            colour = GREY if few else BLUE
            if low is not None and high is not None:
                axes.plot((low, high), (y, y), color=colour, linewidth=1.2 if few else 2)
            axes.plot(
                finding.auc.value or 0, y, color=colour, markerfacecolor="white" if few else colour, **mark
            )
            if finding.finding in published:
                axes.plot(published[finding.finding], y, markerfacecolor="none", **beside)
        axes.plot([], [], color=BLUE, label="here", **mark)
        if any(verdict(f) == "few" for f in shown):
            axes.plot([], [], color=GREY, markerfacecolor="white", label="here, too few to say", **mark)
        if published:
            axes.plot([], [], markerfacecolor="none", label="published", **beside)
        axes.set_yticks(range(len(shown)), [f"{_name(f)} ({f.positives} of {f.number})" for f in shown])
        axes.axvline(0.5, color=GREY, linewidth=1, linestyle=":")
        ends = [end for f in shown for end in (f.auc.value, f.auc.low) if end is not None]
        axes.set_xlim(min(0.45, *ends) - 0.02, 1.01)
        axes.set_xlabel(
            "Area under the ROC curve, 95 % interval (DeLong); dotted: chance; in brackets: images with it"
        )
        axes.grid(axis="x", color="#d8dee4", linewidth=0.6)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)

    return _svg((8, 0.9 + 0.27 * len(shown)), draw)


def curves(evaluation: Evaluation, kind: str) -> bytes:
    """Draw a panel for each finding; `kind` is one of `KINDS`."""
    panels: list[tuple[str, Callable[[Axes], str]]] = []
    if kind != "calibration" and evaluation.overall.micro_roc is not None:
        panels.append(("All findings", partial(_means, overall=evaluation.overall, kind=kind)))
    painter = {"roc": _roc, "precision_recall": _precision_recall, "calibration": _calibration}[kind]
    panels += [
        (_name(finding), partial(painter, finding=finding))
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
            words = paint(axes)
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
            axes.set_xticks((0, 0.5, 1))
            axes.set_yticks((0, 0.5, 1))
            axes.set_title(title, fontsize=8, fontweight="bold", pad=12)
            # not inside, where the curve runs
            axes.text(0.5, 1.03, words, ha="center", fontsize=6.5, transform=axes.transAxes)
            if number % COLUMNS == 0:
                axes.set_ylabel(names[1])
            if number >= len(panels) - COLUMNS:
                axes.set_xlabel(names[0])

    return _svg((10, 2.3 * max(rows, 1)), draw)


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


def groups(splits: Sequence[SubgroupComparison]) -> bytes:
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
        axes.set_yticks(range(len(splits)), [_name(s) for s in reversed(splits)])
        axes.set_xlabel("Area under the ROC curve; 95 % interval (DeLong)")
        axes.grid(axis="x", color="#d8dee4", linewidth=0.6)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(names), frameon=False)

    return _svg((8, 1 + (0.16 * len(names) + 0.14) * len(splits)), draw)


def data_uri(svg: bytes) -> str:
    """Return a picture as an address that carries its bytes."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _roc(axes: Axes, finding: FindingFigures) -> str:
    _line(axes, finding.roc)
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, linestyle=":")
    at = finding.at_operating_point
    if at is not None and at.sensitivity.value is not None and at.specificity.value is not None:
        axes.plot(1 - at.specificity.value, at.sensitivity.value, "o", color=ORANGE, markersize=4)
    return _caption(finding, finding.auc)


def _means(axes: Axes, overall: Overall, kind: str) -> str:
    area, words = "auc" if kind == "roc" else "average_precision", []
    for name, colour, style, drawn in (("micro", INK, "--", "dashed"), ("macro", BLUE, "-", "solid")):
        curve, value = getattr(overall, f"{name}_{kind}"), getattr(overall, f"{name}_{area}").value
        if curve is not None and value is not None:
            axes.plot(curve.x, curve.y, color=colour, linewidth=1.4, linestyle=style)
            words.append(f"{drawn}: {name} {value:.3f}")
    if kind == "roc":
        axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, linestyle=":")
    return ", ".join(words)


def _precision_recall(axes: Axes, finding: FindingFigures) -> str:
    _line(axes, finding.precision_recall)
    axes.axhline(finding.prevalence.value or 0, color=GREY, linewidth=0.8, linestyle=":")
    return _caption(finding, finding.average_precision)


def _calibration(axes: Axes, finding: FindingFigures) -> str:
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, linestyle=":")
    if finding.calibration is None:
        return ""
    bins = finding.calibration.bins
    outputs, shares = [b.mean_output for b in bins], [b.share_present for b in bins]
    axes.plot(outputs, [s.value or 0 for s in shares], "o-", color=BLUE, markersize=3, linewidth=1)
    axes.vlines(outputs, [s.low or 0 for s in shares], [s.high or 0 for s in shares], BLUE, linewidth=0.8)
    return f"{finding.positives} of {finding.number}; error {finding.calibration.error:.3f}"


def _name(finding: FindingFigures | SubgroupComparison) -> str:
    return finding.finding.replace("_", " ")


def _caption(finding: FindingFigures, figure: Estimate) -> str:
    words = f"{finding.positives} of {finding.number}; {figure.value:.3f}"
    return words if figure.low is None else f"{words} ({figure.low:.2f} to {figure.high:.2f})"


def _line(axes: Axes, curve: Curve | None) -> None:
    if curve is not None:
        axes.plot(curve.x, curve.y, color=BLUE, linewidth=1.4)


def _svg(inches: tuple[float, float], draw: Callable[[Figure], None]) -> bytes:
    with mpl.rc_context(_LOOK):
        # no pyplot: it keeps figures and a backend for the whole process
        figure = Figure(figsize=inches, layout="constrained")
        draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    return file.getvalue()

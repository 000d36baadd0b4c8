"""The model card: what a trained network is, what it was made from, and how good it was there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xrv_node.lab.datasets.catalog import entries
from xrv_node.lab.statistics.intervals import Estimate
from xrv_node.lab.train.splits import PARTS, presence
from xrv_node.models.weights import Installed
from xrv_node.product import NOTICE, VERSION

if TYPE_CHECKING:
    from xrv_node.lab.datasets.table import LabelTable
    from xrv_node.lab.statistics.evaluate import Evaluation, FindingFigures
    from xrv_node.lab.train.network import Start
    from xrv_node.lab.train.recipe import Recipe
    from xrv_node.lab.train.splits import Split


def text(
    weights: Installed,
    recipe: Recipe,
    start: Start,
    tables: Sequence[LabelTable],
    table: LabelTable,
    parts: Split,
    points: Sequence[float | None],
    figures: Evaluation,
    history: Sequence[dict[str, Any]],
    unread: int,
) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    weights
        The file that was written.
    recipe, start
        How it was trained, and what it began as.
    tables
        As they were given; `table` is all of them with the labels that were trained.
    parts
        Rows of `table`.
    points
        Operating point of each label.
    figures
        On the test part.
    history
        Of the epochs.
    unread
        Images that could not be read.
    """
    best = next(row for row in reversed(history) if row["best"])
    before = f", trained on {', '.join(start.training_data)}" if start.training_data else ""
    return "\n".join(
        [
            f"# {weights.name}",
            "",
            f"{NOTICE} Not for diagnosis.",
            "",
            f"A {start.architecture} for {start.size} x {start.size} pixels with "
            f"{len(table.pathologies)} outputs, trained with xrv-node {VERSION}. It began with "
            f"{start.words}{before}. SHA-256 of its tensors: {weights.tensors_sha256}.",
            "",
            "## Intended use",
            "",
            "Research on frontal chest radiographs of patients like those below. Its scores are no "
            "probabilities: 0.5 is the operating point. On images of another site, another machine or other "
            "patients they mean less; measure it there first (`xrv-node validate`).",
            "",
            "## Data",
            "",
            *_table(("dataset", "images", "views", "terms"), map(_dataset, tables)),
            "",
            "Divided by patients: none is in two parts.",
            "",
            *_table(("part", "images", "patients", "used for"), _parts(table, parts)),
            "",
            "Images that have a finding, of those where it is known:",
            "",
            *_table(("finding", *PARTS), (row.values() for row in presence(table, parts))),
            *([f"\n{unread} images could not be read and were left out."] if unread else []),
            *([f"\n{start.caution}"] if start.caution else []),
            "",
            "## Findings",
            "",
            "Measured on the test part; operating points (sigmoid) are those of the highest sum of "
            "sensitivity and specificity on the validation part. Intervals of 95 %: DeLong's of the area, "
            "Wilson's of sensitivity and specificity.",
            "",
            *_table(
                ("finding", "images", "present", "AUC", "operating point", "sensitivity", "specificity"),
                _findings(table.pathologies, points, figures),
            ),
            "",
            f"Mean AUC over the findings: {_estimate(figures.overall.macro_auc)}, interval by "
            f"{figures.rounds} rounds of the bootstrap over patients.",
            "",
            "## Training",
            "",
            f"{len(history) - 1} epochs; the weights are those of stage {best['stage']!r}, epoch "
            f"{best['epoch']}, with a mean validation AUC of {best['auc']:.3f} "
            f"({history[0]['auc']:.3f} before training). The recipe:",
            "",
            *(f"    {key} = {_toml(value)}" for key, value in recipe.model_dump().items()),
            "",
            "## Licence",
            "",
            f"The weights that it began with: {start.licence}. The terms of the datasets above hold too. "
            "Whoever gives this network away has to see that both allow it.",
            "",
        ]
    )


def _table(heading: Sequence[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    lines = [heading, ["---"] * len(heading), *rows]
    return [f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines]


def _dataset(table: LabelTable) -> tuple[str, ...]:
    known = next((entry for entry in entries() if entry.name == table.name), None)
    title, terms = (known.title, known.terms) if known else (table.name, "as its owner says")
    return title, str(len(table)), ", ".join(table.views), terms


def _parts(table: LabelTable, parts: Split) -> list[tuple[str, int, int, str]]:
    uses = ("the weights", "when to stop, operating points", "the figures below")
    found = []
    for part, use in zip(PARTS, uses, strict=True):
        patients = table.csv["patientid"].iloc[getattr(parts, part)]
        number = patients[patients != ""].nunique() + int((patients == "").sum())
        found.append((part, len(patients), number, use))
    return found


def _findings(
    labels: Sequence[str], points: Sequence[float | None], figures: Evaluation
) -> list[tuple[str, ...]]:
    by_finding = {one.finding: one for one in figures.findings}
    return [
        _finding(label, point, by_finding[label])
        if point is not None
        else (label, "", "", "", "none: not both present and absent in validation; not in results", "", "")
        for label, point in zip(labels, points, strict=True)
    ]


def _finding(label: str, point: float, one: FindingFigures) -> tuple[str, ...]:
    rates = one.at_operating_point
    return (
        label,
        str(one.number),
        str(one.positives),
        _estimate(one.auc) if not one.why_not else one.why_not,
        f"{np.float32(point):.4g}",
        _estimate(rates.sensitivity) if rates else "",
        _estimate(rates.specificity) if rates else "",
    )


def _estimate(estimate: Estimate) -> str:
    if estimate.value is None:
        return "not defined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)

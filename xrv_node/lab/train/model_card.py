"""The model card: what a trained network is, what it was made from, and how good it was there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xrv_node.lab.datasets.catalog import entries, without_patients
from xrv_node.lab.statistics.intervals import Estimate
from xrv_node.lab.train.splits import PARTS, doubt, presence
from xrv_node.models.weights import Installed
from xrv_node.product import NOTICE, VERSION

if TYPE_CHECKING:
    from xrv_node.lab.datasets.table import LabelTable
    from xrv_node.lab.statistics.evaluate import Evaluation, FindingFigures
    from xrv_node.lab.train.network import Start
    from xrv_node.lab.train.recipe import Recipe
    from xrv_node.lab.train.splits import Split

IN_NO_RESULT = "it is in no result"
NOTHING_CALLED = "as no finding is told, scores are plain sigmoids and nothing is called"


def text(
    weights: Installed,
    recipe: Recipe,
    start: Start,
    tables: Sequence[LabelTable],
    table: LabelTable,
    parts: Split,
    points: Sequence[float | None],
    without_point: Mapping[str, str],
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
        Operating point of each label; `without_point` says of those that have none why.
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
            *markdown(("dataset", "images", "views", "terms"), map(_dataset, tables)),
            "",
            _divided(tables),
            "",
            *markdown(("part", "images", "patients", "used for"), _parts(tables, table, parts)),
            "",
            "Images that have a finding, of those where it is known:",
            "",
            *markdown(("finding", *PARTS), (row.values() for row in presence(table, parts))),
            *([f"\n{unread} images could not be read and were left out."] if unread else []),
            *([f"\n{start.caution}"] if start.caution else []),
            "",
            "## Findings",
            "",
            "Measured on the test part; operating points (sigmoid) are those of the highest sum of "
            "sensitivity and specificity on the validation part; where that does not tell a finding from "
            f"chance there is none, and {IN_NO_RESULT if any(points) else NOTHING_CALLED}. Intervals of 95 "
            "%: "
            "DeLong's of the area, Wilson's of sensitivity and specificity.",
            "",
            *markdown(
                ("finding", "images", "present", "AUC", "operating point", "sensitivity", "specificity"),
                _findings(table.pathologies, points, without_point, figures),
            ),
            "",
            f"Mean AUC over the findings: {_estimate(figures.overall.macro_auc)}, interval by "
            f"{figures.rounds} rounds of the bootstrap over "
            f"{'patients' if published(tables).any() else 'images'}.",
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


def markdown(heading: Sequence[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    lines = [heading, ["---"] * len(heading), *rows]
    return [f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines]


def _dataset(table: LabelTable) -> tuple[str, ...]:
    known = next((entry for entry in entries() if entry.name == table.name), None)
    title, terms = (known.title, known.terms) if known else (table.name, "as its owner says")
    return title, str(len(table)), ", ".join(table.views), terms


def published(tables: Sequence[LabelTable]) -> NDArray[np.bool_]:
    """``[len(tables)]``: whether the owner of each tells which images are of one patient."""
    return np.array([not without_patients([one.name]) for one in tables])


def _divided(tables: Sequence[LabelTable]) -> str:
    """How the parts were made, and what is not known of them."""
    known, titles = published(tables), without_patients(one.name for one in tables)
    by = "Divided by patients: none is in two parts." if known.all() else ""
    if not known.all():
        by = "Divided by patients where they are published." if known.any() else "Divided by images."
    return " ".join(filter(None, (by, doubt(titles))))


def _parts(tables: Sequence[LabelTable], table: LabelTable, parts: Split) -> list[tuple[str, int, str, str]]:
    uses = ("the weights", "when to stop, operating points", "the figures below")
    known = published(tables)
    which = table.csv["which_dataset"].to_numpy(dtype=int) if len(tables) > 1 else np.zeros(len(table), int)
    found = []
    for part, use in zip(PARTS, uses, strict=True):
        rows = getattr(parts, part)
        patients = table.csv["patientid"].iloc[rows[known[which[rows]]]]
        number = patients[patients != ""].nunique() + int((patients == "").sum())
        others = len(rows) - len(patients)
        words = f"{number}, and those of {others} images" if others else str(number)
        found.append((part, len(rows), words if len(patients) or not others else "not published", use))
    return found


def _findings(
    labels: Sequence[str],
    points: Sequence[float | None],
    without_point: Mapping[str, str],
    figures: Evaluation,
) -> list[tuple[str, ...]]:
    measured = {one.finding: _measured(one) for one in figures.findings}
    nothing = ("", "", "", "", "")
    found = []
    for label, point in zip(labels, points, strict=True):
        number, positives, area, *rates = measured.get(label, nothing)
        said = f"none: {without_point[label]}" if point is None else f"{np.float32(point):.4g}"
        found.append((label, number, positives, area, said, *rates))
    return found


def _measured(one: FindingFigures) -> tuple[str, str, str, str, str]:
    """Images, how many with it, area, sensitivity, specificity."""
    rates = one.at_operating_point
    return (
        str(one.number),
        str(one.positives),
        _estimate(one.auc) if not one.why_not else one.why_not,
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

"""The tables of a validation as CSV: findings, subgroups, and image by image."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from xrv_node.lab.statistics.intervals import Estimate
from xrv_node.lab.statistics.thresholds import RULES
from xrv_node.lab.validate.verdict import verdict
from xrv_node.visible import cells

if TYPE_CHECKING:
    from xrv_node.lab.statistics.evaluate import Evaluation
    from xrv_node.lab.validate.run_store import RunStore
    from xrv_node.lab.validate.score_dataset import ScoredDataset
    from xrv_node.lab.validate.validation import Validation


_FACTS = ("patientid", "view", "sex", "age_years")
"""Of the dataset's table, beside each image's scores."""


def _with_ends(*names: str) -> Iterator[str]:
    for name in names:
        yield from (name, f"{name}_low", f"{name}_high")


_COUNTS = ("true_positives", "false_negatives", "false_positives", "true_negatives")
_RATES = ("sensitivity", "specificity", "ppv", "npv", "f1")
_CALIBRATION = ("brier", "slope", "intercept")
_GAPS = ("auc_gap", "sensitivity_gap", "specificity_gap")

FINDING_COLUMNS = (
    *("finding", "verdict", "number", "positives"),
    *_with_ends("prevalence", "auc"),
    *("auc_patients_low", "auc_patients_high", "auc_published"),
    *_with_ends("average_precision"),
    *(*_COUNTS, *_with_ends(*_RATES)),
    *(f"chosen_{name}" for name in ("score", *_COUNTS, *_with_ends(*_RATES))),
    *_with_ends(*_CALIBRATION),
    *("brier_skill", "calibration_error", "calibration_error_by_chance"),
    *(f"threshold_{rule}" for rule in RULES),
    "why_not",
)
LOCALISATION_COLUMNS = (
    *("finding", "number"),
    *_with_ends("hits"),
    *("by_chance", "iou", "energy", "empty", "outside", "not_scored"),
)
OVERALL_COLUMNS = ("figure", "value", "low", "high")
SUBGROUP_COLUMNS = (
    *("by", "finding", "group", "number", "positives"),
    *_with_ends("auc", "sensitivity", "specificity", *_GAPS),
)


def finding_rows(validation: Validation) -> Iterator[dict[str, Any]]:
    """A row a finding, of `FINDING_COLUMNS`."""
    areas = validation.published.auc if validation.published else {}
    for f in validation.evaluation.findings:
        row = {
            "finding": f.finding,
            "verdict": verdict(f),
            "number": f.number,
            "positives": f.positives,
            **_ends("prevalence", f.prevalence),
            **_ends("auc", f.auc),
            "auc_patients_low": f.auc_patients.low,
            "auc_patients_high": f.auc_patients.high,
            "auc_published": areas.get(f.finding),
            **_ends("average_precision", f.average_precision),
            **{f"threshold_{s.rule}": s.threshold for s in f.suggestions},
            "why_not": f.why_not,
        }
        for before, at in (("", f.at_operating_point), ("chosen_", f.at_chosen)):
            if at is not None:
                row |= {f"{before}{name}": getattr(at, name) for name in _COUNTS}
                for name in _RATES:
                    row |= _ends(f"{before}{name}", getattr(at, name))
        if f.at_chosen is not None:
            row["chosen_score"] = f.at_chosen.threshold
        if f.calibration is not None:
            for name in _CALIBRATION:
                row |= _ends(name, getattr(f.calibration, name))
            row |= {
                "brier_skill": f.calibration.skill,
                "calibration_error": f.calibration.error,
                "calibration_error_by_chance": f.calibration.error_by_chance,
            }
        yield row


def localisation_rows(validation: Validation) -> Iterator[dict[str, Any]]:
    """A row a finding that is marked, of `LOCALISATION_COLUMNS`."""
    for one in validation.localisation:
        row = {name: getattr(one, name) for name in LOCALISATION_COLUMNS if not name.startswith("hits")}
        yield row | _ends("hits", one.hits)


def overall_rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """A row a figure of all findings together, of `OVERALL_COLUMNS`."""
    for name in ("images", "patients"):
        yield {"figure": name, "value": getattr(evaluation, name)}
    figures = {field.name: getattr(evaluation.overall, field.name) for field in fields(evaluation.overall)}
    for name, figure in {**figures, "out_of_distribution": evaluation.unusual}.items():
        if isinstance(figure, Estimate):
            yield {"figure": name, "value": figure.value, "low": figure.low, "high": figure.high}


def subgroup_rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """A row a finding and group, of `SUBGROUP_COLUMNS`; gaps are those of all groups of a kind."""
    for split in evaluation.subgroups:
        for group in split.groups:
            row = {
                "by": split.by,
                "finding": split.finding,
                "group": group.name,
                "number": group.number,
                "positives": group.positives,
            }
            for name in ("auc", "sensitivity", "specificity"):
                row |= _ends(name, getattr(group, name))
            for name in _GAPS:
                row |= _ends(name, getattr(split, name))
            yield row


def _ends(name: str, figure: Estimate) -> dict[str, float | None]:
    return {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}


def as_csv(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> bytes:
    """Return rows below the names of their columns, which are there without a row too."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(dict(zip(row, cells(row.values()), strict=True)) for row in rows)
    return text.getvalue().encode()


def score_lines(run: ScoredDataset) -> Iterator[bytes]:
    """A line an image, written as it is read: the largest datasets have hundreds of thousands."""
    kinds = ("label", "score", "sigmoid")
    names = [f"{kind} {label}" for kind in kinds for label in run.labels]
    yield _line(["image", *_FACTS, *names, "left out"])
    table, wanted = run.table, set(run.rows.tolist())
    labels = [table.labels[:, table.pathologies.index(label)] for label in run.labels]
    images = table.csv["image"].to_numpy(dtype=str)
    facts = [table.csv[name].astype("string").fillna("").to_numpy(dtype=str) for name in _FACTS]
    for result in run.store.results():
        if result.row not in wanted:  # of a larger limit before
            continue
        known = ["" if np.isnan(column[result.row]) else f"{column[result.row]:g}" for column in labels]
        numbers = [""] * (2 * len(run.labels))
        if result.scores is not None and result.sigmoids is not None:
            # nine digits tell any two float32 apart
            numbers = [f"{value:.9g}" for value in (*result.scores, *result.sigmoids)]
        about = (column[result.row] for column in facts)
        yield _line([images[result.row], *about, *known, *numbers, result.why_not])


def structure_lines(run: ScoredDataset) -> Iterator[bytes]:
    """A line an image and structure."""
    yield _line(["image", "structure", "dice", "iou"])
    images, wanted = run.table.csv["image"].to_numpy(dtype=str), set(run.rows.tolist())
    for result in run.store.results():
        for one in result.structures if result.row in wanted else ():
            yield _line([images[result.row], one.structure, f"{one.dice:.6f}", f"{one.iou:.6f}"])


def returned_lines(run: ScoredDataset, back: RunStore) -> Iterator[bytes]:
    """A line an image and structure of what came back: beside the dataset's mask, and the direct path's."""
    beside = ["dice", "iou"]
    same = ["dice_with_direct", "iou_with_direct", "differing_pixels"]
    yield _line(["image", "structure", *beside, *same, "not compared"])
    images, wanted = run.table.csv["image"].to_numpy(dtype=str), set(run.rows.tolist())
    for one in back.returned():
        if one.row not in wanted:
            continue
        if one.why_not:
            yield _line([images[one.row], "", *[""] * len(beside + same), one.why_not])
        truth = {a.structure: [f"{a.dice:.6f}", f"{a.iou:.6f}"] for a in one.structures}
        direct = {o.structure: [f"{o.dice:.6f}", f"{o.iou:.6f}", o.differing] for o in one.overlaps}
        for name in dict.fromkeys([*direct, *truth]):
            figures = [*truth.get(name, [""] * len(beside)), *direct.get(name, [""] * len(same))]
            yield _line([images[one.row], name, *figures, ""])


def _line(row: list[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells(row))
    return text.getvalue().encode()

"""The tables of a validation as CSV: findings, subgroups, and image by image."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xrv_node.validate.evaluate import Evaluation
    from xrv_node.validate.report import Validation
    from xrv_node.validate.run import Scores


def finding_rows(validation: Validation) -> Iterator[dict[str, Any]]:
    """A row a finding."""
    areas = validation.published.auc if validation.published else {}
    for f in validation.evaluation.findings:
        at, fit = f.at_operating_point, f.calibration
        yield {
            "finding": f.finding,
            "number": f.number,
            "positives": f.positives,
            "prevalence": f.prevalence.value,
            "auc": f.auc.value,
            "auc_low": f.auc.low,
            "auc_high": f.auc.high,
            "auc_patients_low": f.auc_patients.low,
            "auc_patients_high": f.auc_patients.high,
            "auc_published": areas.get(f.finding),
            "average_precision": f.average_precision.value,
            **{
                name: at and getattr(at, name).value
                for name in ("sensitivity", "specificity", "ppv", "npv", "f1")
            },
            "brier": fit and fit.brier,
            "calibration_error": fit and fit.error,
            **{f"threshold_{s.rule}": s.threshold for s in f.suggestions},
            "why_not": f.why_not,
        }


def subgroup_rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """A row a finding and group."""
    for split in evaluation.subgroups:
        for group in split.groups:
            yield {
                "by": split.by,
                "finding": split.finding,
                "group": group.name,
                "number": group.number,
                "positives": group.positives,
                "auc": group.auc.value,
                "auc_low": group.auc.low,
                "auc_high": group.auc.high,
                "sensitivity": group.sensitivity.value,
                "specificity": group.specificity.value,
            }


def as_csv(rows: Iterable[dict[str, Any]]) -> bytes:
    """Return rows below the names of their columns."""
    listed = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, dict.fromkeys(key for row in listed for key in row))
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue().encode()


def score_lines(run: Scores) -> Iterator[bytes]:
    """A line an image, written as it is read: the largest datasets have hundreds of thousands."""
    yield _line(["image", *run.labels, *(f"sigmoid {label}" for label in run.labels), "left out"])
    images, wanted = run.table.csv["image"].to_numpy(dtype=str), set(run.rows.tolist())
    for result in run.store.results():
        if result.row not in wanted:  # of a larger limit before
            continue
        if result.scores is None or result.sigmoids is None:
            yield _line([images[result.row], *[""] * (2 * len(run.labels)), result.why_not])
        else:
            numbers = (f"{value:.6f}" for value in (*result.scores, *result.sigmoids))
            yield _line([images[result.row], *numbers, ""])


def structure_lines(run: Scores) -> Iterator[bytes]:
    """A line an image and structure."""
    yield _line(["image", "structure", "dice", "iou"])
    images, wanted = run.table.csv["image"].to_numpy(dtype=str), set(run.rows.tolist())
    for result in run.store.results():
        for one in result.structures if result.row in wanted else ():
            yield _line([images[result.row], one.structure, f"{one.dice:.6f}", f"{one.iou:.6f}"])


def _line(cells: list[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()

"""What a validation leaves behind: one page for people, JSON and CSV for programs, a baseline, thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from xrv_node import durable
from xrv_node.errors import XrvNodeError
from xrv_node.lab.baseline import sample
from xrv_node.lab.statistics import thresholds
from xrv_node.lab.validate import csv_tables, metrics_json, page, store_with_labels
from xrv_node.lab.validate.verdict import verdict
from xrv_node.report.summary import COMMISSIONING

if TYPE_CHECKING:
    from xrv_node.lab.statistics.evaluate import Evaluation
    from xrv_node.lab.validate.run_store import RunStore
    from xrv_node.lab.validate.score_dataset import ScoredDataset
    from xrv_node.lab.validate.validation import Validation


def write(run: ScoredDataset, validation: Validation, out: Path) -> list[Path]:
    """Write ``report.html``, ``metrics.json``, ``findings.csv``, ``overall.csv``, ``subgroups.csv`` and
    ``scores.csv``; ``structures.csv`` where masks were compared, ``baseline.npz`` where all three networks of
    the node were there and findings were scored. Returns their paths.

    Raises
    ------
    XrvNodeError
        A file cannot be written.
    """
    what = f"{validation.about.dataset}, validated {validation.about.date[:10]}"
    files: dict[str, bytes] = {
        "report.html": page.html(validation).encode(),
        "metrics.json": metrics_json.text(validation).encode(),
        "findings.csv": csv_tables.as_csv(csv_tables.finding_rows(validation), csv_tables.FINDING_COLUMNS),
        "overall.csv": csv_tables.as_csv(
            csv_tables.overall_rows(validation.evaluation), csv_tables.OVERALL_COLUMNS
        ),
        "subgroups.csv": csv_tables.as_csv(
            csv_tables.subgroup_rows(validation.evaluation), csv_tables.SUBGROUP_COLUMNS
        ),
    }
    written = [out / name for name in files]
    with _writing(out):
        for name, content in files.items():
            durable.write(out / name, [content])
        durable.write(out / "scores.csv", csv_tables.score_lines(run))
        if run.structures:
            durable.write(out / "structures.csv", csv_tables.structure_lines(run))
            written.append(out / "structures.csv")
        baseline = store_with_labels.baseline(run, what)
        if baseline is not None:
            sample.save(baseline, out / "baseline.npz")
            written.append(out / "baseline.npz")
    return [*written, out / "scores.csv"]


def write_returned(run: ScoredDataset, back: RunStore, out: Path) -> Path:
    """Write ``structures-through-node.csv``, of the segmentations that came back; returns its path.

    Raises
    ------
    XrvNodeError
        The file cannot be written.
    """
    path = out / "structures-through-node.csv"
    with _writing(out):
        durable.write(path, csv_tables.returned_lines(run, back))
    return path


def suggested(evaluation: Evaluation, rule: str) -> dict[str, float]:
    """Return the threshold of each finding by a rule of ``thresholds.RULES``, except those of which nothing
    can be said for want of images (``verdict.verdict``)."""
    return {
        finding.finding: suggestion.threshold
        for finding in evaluation.findings
        for suggestion in finding.suggestions
        if suggestion.rule == rule and verdict(finding) != "few"
    }


def write_thresholds(validation: Validation, classifier: str, rule: str, out: Path) -> Path:
    """Write ``thresholds.toml``, the table for the node's configuration; returns its path.

    Findings without a threshold are named in a comment. The table may be empty.

    Raises
    ------
    XrvNodeError
        The file cannot be written.
    """
    evaluation, about = validation.evaluation, validation.about
    chosen = suggested(evaluation, rule)
    others = ", ".join(f.finding for f in evaluation.findings if f.finding not in chosen)
    lines = [
        "# In place of the table [models.thresholds] in node.toml; then: xrv-node config check",
        f"# Measured on {about.used} images of {about.dataset}, {about.date[:10]}.",
        *([f"# {COMMISSIONING}: measured with untrained networks."] if about.commissioning else []),
        *([f"# Too few images, they keep the published points: {others}"] if others else []),
        thresholds.as_toml(chosen, classifier, rule),
    ]
    with _writing(out):
        durable.write(out / "thresholds.toml", ["\n".join(lines).encode()])
    return out / "thresholds.toml"


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Say of a folder that cannot be written what helps."""
    try:
        yield
    except OSError as error:
        raise XrvNodeError(f"{out} cannot be written ({error.strerror}): name another --out") from error

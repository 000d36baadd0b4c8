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
from xrv_node.lab.validate.verdict import WITHOUT, verdict
from xrv_node.values import PHANTOM_WORDS

if TYPE_CHECKING:
    from xrv_node.lab.statistics.evaluate import Evaluation
    from xrv_node.lab.validate.run_store import RunStore
    from xrv_node.lab.validate.score_dataset import ScoredDataset
    from xrv_node.lab.validate.validation import Validation


def write(run: ScoredDataset, validation: Validation, out: Path) -> list[Path]:
    """Write ``report.html``, ``metrics.json``, ``findings.csv``, ``overall.csv``, ``subgroups.csv`` and
    ``scores.csv``; ``localisation.csv`` where findings are marked and maps were compared, ``structures.csv``
    where masks were compared, ``baseline.npz`` where all three networks of the node were there and findings
    were scored. Returns their paths.

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
    if validation.localisation:
        files["localisation.csv"] = csv_tables.as_csv(
            csv_tables.localisation_rows(validation), csv_tables.LOCALISATION_COLUMNS
        )
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
    """Return the threshold of each finding by a rule of ``thresholds.RULES``: of those that are told better
    than chance (``verdict.verdict``), and by a rule that tells them."""
    return {finding: suggestion.threshold for finding, suggestion in _chosen(evaluation, rule).items()}


def _chosen(evaluation: Evaluation, rule: str) -> dict[str, thresholds.Suggestion]:
    return {
        finding.finding: suggestion
        for finding in evaluation.findings
        for suggestion in finding.suggestions
        if suggestion.rule == rule and verdict(finding) == "better"
    }


def without_threshold(evaluation: Evaluation, rule: str) -> dict[str, tuple[str, ...]]:
    """Return the findings that get no threshold by a rule, by why: a key of `WITHOUT`."""
    chosen = suggested(evaluation, rule)
    others = [(verdict(f), f.finding) for f in evaluation.findings if f.finding not in chosen]
    by_why = {why: tuple(name for said, name in others if said == key) for key, why in WITHOUT.items()}
    return {why: names for why, names in by_why.items() if names}


def write_thresholds(
    validation: Validation, classifier: str, rule: str, out: Path, *, published: bool = True
) -> Path:
    """Write ``thresholds.toml``, the table for the node's configuration; returns its path.

    Findings without a threshold are named in a comment, with why. The table may be empty.

    Parameters
    ----------
    validation, classifier, rule
        What was found, with which network, and how to choose.
    out
        The folder.
    published
        Whether the network has operating points, which these can stand in place of.

    Raises
    ------
    XrvNodeError
        The file cannot be written.
    """
    evaluation, about = validation.evaluation, validation.about
    chosen = suggested(evaluation, rule)
    measured = thresholds.measured_as_toml(_chosen(evaluation, rule)) if published else ""
    keep = ", they keep the published points" if published else ""
    use = "# In place of the table [models.thresholds] in node.toml; then: xrv-node config check"
    if not published:
        use = f"# {classifier} has no points to replace: give it these with `models import --thresholds`"
    lines = [
        use,
        f"# Measured on {about.used} images of {about.dataset}, {about.date[:10]}.",
        *([f"# {PHANTOM_WORDS}"] if about.commissioning else []),
        *(f"# {why}{keep}: {', '.join(names)}" for why, names in without_threshold(evaluation, rule).items()),
        thresholds.as_toml(chosen, classifier, rule),
        *([measured] if measured else []),
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

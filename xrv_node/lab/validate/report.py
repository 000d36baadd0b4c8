"""What a validation leaves behind: one page for people, JSON and CSV for programs, a baseline, thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from xrv_node import durable
from xrv_node.errors import XrvNodeError
from xrv_node.lab.datasets import catalog
from xrv_node.lab.monitor import sample
from xrv_node.lab.validate import csv_tables, metrics_json, page, store_with_labels, thresholds
from xrv_node.lab.validate.evaluate import Evaluation
from xrv_node.lab.validate.published import Published, PublishedStructure, published, published_structures
from xrv_node.lab.validate.run import Plan, Scores
from xrv_node.lab.validate.structures import StructureFigures
from xrv_node.lab.validate.verdict import verdict
from xrv_node.product import VERSION
from xrv_node.radiograph import resample
from xrv_node.report.summary import COMMISSIONING

if TYPE_CHECKING:
    from xrv_node.lab.validate.returned import Masks
    from xrv_node.lab.validate.run_store import Store
    from xrv_node.lab.validate.through_node import Difference


@dataclass(frozen=True, slots=True)
class About:
    """What was validated on what, by what and when."""

    dataset: str
    title: str
    home: str
    choice: str
    """Which rows of the dataset were asked for, in words."""
    rows: int
    """That were to be scored."""
    used: int
    left_out: Mapping[str, int]
    """Images without scores, by the sentence that says why."""
    labels_left_out: tuple[str, ...]
    """Of the dataset, that the network does not score."""
    networks: tuple[str, ...]
    """Name and digest of each."""
    operating_points: str
    """Whose they are, in words."""
    cautions: tuple[str, ...]
    """What is known of the classifier, from the catalogue."""
    resampler: str
    commissioning: bool
    """The networks are untrained: no figure is a result."""
    version: str
    date: str
    """ISO 8601, UTC."""


@dataclass(frozen=True, slots=True, eq=False)
class ThroughNode:
    """The same over the wire."""

    difference: Difference
    evaluation: Evaluation | None
    """Of the scores that came back; None where none did."""
    masks: Masks | None = None
    """Of the segmentations; None where masks were not compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """A validation as it is reported."""

    about: About
    evaluation: Evaluation
    published: Published | None
    localisation: tuple[store_with_labels.Localisation, ...] = ()
    """Of each finding of which regions are marked."""
    through_node: ThroughNode | None = None
    structures: tuple[StructureFigures, ...] = ()
    """Of each anatomical structure of which masks were compared."""
    published_structures: tuple[PublishedStructure, ...] = ()


def about(plan: Plan, run: Scores, used: int, now: datetime) -> About:
    """Describe a finished run.

    Parameters
    ----------
    plan, run
        As given to and returned by ``run.score``.
    used
        Images whose scores count.
    now
        When it ended, UTC.
    """
    entry = catalog.find(plan.dataset)
    views = plan.views or entry.views
    unique = entry.unique_patients if plan.unique_patients is None else plan.unique_patients
    words = [
        f"part {plan.part or entry.parts[0]}" if len(entry.parts) > 1 else "",
        "all views" if "*" in views else f"views {', '.join(views)}",
        "the first image of each patient" if unique else "all images of each patient",
        f"{len(run.rows)} of {len(run.table)} rows, drawn at random"
        if len(run.rows) < len(run.table)
        else "",
        "read with torchxrayvision's errors" if plan.xrv_compatible else "",
    ]
    return About(
        entry.name,
        entry.title,
        entry.home,
        "; ".join(filter(None, words)),
        len(run.rows),
        used,
        store_with_labels.left_out(run.store, run.rows),
        run.unknown,
        run.networks.names,
        _points(plan, run),
        run.networks.classifier.entry.cautions,
        resample.find(plan.resampler).words,
        plan.commissioning,
        VERSION,
        now.isoformat(timespec="seconds"),
    )


def _points(plan: Plan, run: Scores) -> str:
    if run.networks.classifier.thresholds is None:
        return "none are published: scores are plain sigmoids, and 0.5 is no operating point"
    own = [label for label, _ in plan.thresholds]
    return f"the site's own of {', '.join(own)}, else the published ones" if own else "the published ones"


def write(run: Scores, validation: Validation, out: Path) -> list[Path]:
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
    try:
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
    except OSError as error:
        raise XrvNodeError(f"{out} cannot be written ({error.strerror}): name another --out") from error
    return [*written, out / "scores.csv"]


def write_returned(run: Scores, back: Store, out: Path) -> Path:
    """Write ``structures-through-node.csv``, of the segmentations that came back; returns its path.

    Raises
    ------
    XrvNodeError
        The file cannot be written.
    """
    path = out / "structures-through-node.csv"
    try:
        durable.write(path, csv_tables.returned_lines(run, back))
    except OSError as error:
        raise XrvNodeError(f"{out} cannot be written ({error.strerror}): name another --out") from error
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
    try:
        durable.write(out / "thresholds.toml", ["\n".join(lines).encode()])
    except OSError as error:
        raise XrvNodeError(f"{out} cannot be written ({error.strerror}): name another --out") from error
    return out / "thresholds.toml"


def compared(run: Scores, plan: Plan) -> Published | None:
    """Return the published figures of this network on this dataset; never beside an untrained one."""
    return None if plan.commissioning else published(run.table.name, run.networks.classifier.name)


def compared_structures(run: Scores, plan: Plan) -> tuple[PublishedStructure, ...]:
    """Return the published figures of the segmenter that ran; never beside an untrained one."""
    segmenter = run.networks.segmenter
    return () if plan.commissioning or segmenter is None else published_structures(segmenter.name)

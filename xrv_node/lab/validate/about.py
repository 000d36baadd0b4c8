"""What was validated on what, by what and when: the words at the head of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from xrv_node.lab.datasets import catalog
from xrv_node.lab.validate import store_with_labels
from xrv_node.lab.validate.score_dataset import Plan, ScoredDataset
from xrv_node.product import VERSION
from xrv_node.radiograph import resample

PUBLISHED = "published"
NO_PATIENTS = (
    "not published: each image counts as a patient of its own, and where several are of one patient all "
    "intervals are too narrow"
)


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
    """The networks are those for phantoms: no figure is about patients."""
    version: str
    date: str
    """ISO 8601, UTC."""
    notes: tuple[str, ...] = ()
    """What was passed over, missing or unknown in the owner's files."""
    patients: str = PUBLISHED
    """Whether the owner tells which images are of one patient, in words."""


def about(plan: Plan, run: ScoredDataset, used: int, now: datetime) -> About:
    """Describe a finished run.

    Parameters
    ----------
    plan, run
        As given to and returned by ``score_dataset.score``.
    used
        Images whose scores count.
    now
        When it ended, UTC.
    """
    entry = catalog.find(plan.dataset)
    views = run.table.views
    unique = entry.unique_patients if plan.unique_patients is None else plan.unique_patients
    words = [
        f"part {plan.part or entry.parts[0]}" if len(entry.parts) > 1 else "",
        "all views" if "*" in views else f"views {', '.join(views)}",
        ("the first image of each patient" if unique else "all images of each patient")
        if entry.patients_published
        else "all images",
        f"{len(run.rows)} of {len(run.table)} rows, drawn at random"
        if len(run.rows) < len(run.table)
        else "",
        "read with torchxrayvision's errors" if plan.xrv_compatible else "",
    ]
    return About(
        dataset=entry.name,
        title=entry.title,
        home=entry.home,
        patients=PUBLISHED if entry.patients_published else NO_PATIENTS,
        choice="; ".join(filter(None, words)),
        rows=len(run.rows),
        used=used,
        left_out=store_with_labels.left_out(run.store, run.rows),
        labels_left_out=run.unknown,
        notes=run.table.notes,
        networks=run.networks.names,
        operating_points=_points(plan, run),
        cautions=run.networks.classifier.entry.cautions,
        resampler=resample.find(plan.resampler).words,
        commissioning=plan.commissioning,
        version=VERSION,
        date=now.isoformat(timespec="seconds"),
    )


def _points(plan: Plan, run: ScoredDataset) -> str:
    if not run.networks.classifier.entry.calls:
        return "none: where it was trained no finding was told from chance, and nothing is called"
    if run.networks.classifier.thresholds is None:
        return "none are published: scores are plain sigmoids, and 0.5 is no operating point"
    own = [label for label, _ in plan.thresholds]
    return f"the site's own of {', '.join(own)}, else the published ones" if own else "the published ones"

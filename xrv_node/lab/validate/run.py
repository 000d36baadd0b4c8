"""The whole of a validation: score, through the node too if asked for, compare with the labels, report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import XrvNodeError
from xrv_node.lab.datasets.catalog import without_patients
from xrv_node.lab.statistics.evaluate import evaluate
from xrv_node.lab.statistics.thresholds import RULES
from xrv_node.lab.validate import (
    output_files,
    published,
    returned_masks,
    score_dataset,
    store_with_labels,
    through_node,
)
from xrv_node.lab.validate.about import about
from xrv_node.lab.validate.read_images import PreparedImages
from xrv_node.lab.validate.result_receiver import listen
from xrv_node.lab.validate.run_store import RunStore
from xrv_node.lab.validate.score_dataset import Plan, ScoredDataset
from xrv_node.lab.validate.validation import ThroughNode, Validation

Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Opens a progress bar with these words; what it yields is told how many are done, and of how many."""


def validate(
    plan: Plan,
    directory: Path,
    out: Path,
    bar: Bar,
    *,
    threshold: float | None = None,
    rule: str | None = None,
    way: through_node.Way | None = None,
) -> tuple[Validation, list[Path]]:
    """Carry a validation out, or what is left of it, and write its report.

    Parameters
    ----------
    plan
        What, and how.
    directory
        The model directory.
    out
        For all that is written; made when it is not there.
    bar
        For what takes long.
    threshold
        A score to give rates at beside the operating point.
    rule
        Of ``thresholds.RULES``: write ``thresholds.toml`` by it.
    way
        Through a node too, and where its results come back.

    Returns
    -------
    Validation, list of Path
        What was found, and the files that hold it.

    Raises
    ------
    XrvNodeError
        As `score_dataset.score`, `through_node.run` and `output_files.write`, or there is no such rule.
    """
    if rule is not None and rule not in RULES:
        raise XrvNodeError(f"no rule is called {rule!r}: use one of {', '.join(RULES)}")
    with bar("scoring") as progress:
        run = score_dataset.score(plan, directory, out, progress, without_masks=way is not None)
    try:
        calls = run.networks.classifier.entry.calls
        labelled = store_with_labels.labelled_scores(run.table, run.labels, run.store, run.rows, calls=calls)
        back: ThroughNode | None = None
        files: list[Path] = []
        if way is not None:
            back, files = _through_node(plan, run, out, way, bar)
        chosen = {} if threshold is None else dict.fromkeys(run.labels, threshold)
        with bar("computing") as progress:
            evaluation = evaluate(labelled, chosen=chosen, progress=progress)
        if without_patients([run.table.name]):
            evaluation = replace(evaluation, patients=None)
        validation = Validation(
            about=about(plan, run, len(labelled), datetime.now(UTC)),
            evaluation=evaluation,
            published=_published(plan, run),
            localisation=store_with_labels.localisation(run),
            through_node=back,
            structures=store_with_labels.structures(run, run.store.results()),
            published_structures=_published_structures(plan, run),
        )
        written = [*output_files.write(run, validation, out), *files]
        if rule is not None:
            used = run.networks.classifier
            known = used.thresholds is not None
            written.append(output_files.write_thresholds(validation, used.name, rule, out, published=known))
        for path in written:
            path.chmod(0o644)  # figures of a public dataset, for others to read
        return validation, written
    finally:
        run.store.close()


def _published(plan: Plan, run: ScoredDataset) -> published.Published | None:
    """The published figures of this network on this dataset; never beside one for phantoms."""
    name = run.networks.classifier.name
    return None if plan.commissioning else published.published(run.table.name, name)


def _published_structures(plan: Plan, run: ScoredDataset) -> tuple[published.PublishedStructure, ...]:
    """The published figures of the segmenter that ran; never beside one for phantoms."""
    segmenter = run.networks.segmenter
    return () if plan.commissioning or segmenter is None else published.published_structures(segmenter.name)


def _through_node(
    plan: Plan, run: ScoredDataset, out: Path, way: through_node.Way, bar: Bar
) -> tuple[ThroughNode, list[Path]]:
    """The same over the wire, and the files that hold it."""
    store = RunStore(out / "through-node.sqlite", _identity(plan, run, way))
    try:
        # what the direct way could not read has nothing to be compared with
        rows = np.intersect1d(run.rows, run.store.done(answered=True))
        compare = _compare(plan, run, rows)
        with (
            listen(through_node.CALLING_AE, way.receive_host, way.receive_port) as back,
            bar("through node") as progress,
        ):
            through_node.run(
                table=run.table,
                rows=rows,
                labels=run.labels,
                store=store,
                way=way,
                back=back,
                progress=progress,
                compare=compare,
            )
        wanted = set(rows.tolist())
        both = store.done(answered=True)
        both = both[np.isin(both, rows)]
        there = store_with_labels.labelled_scores(run.table, run.labels, store, both)
        here = store_with_labels.labelled_scores(run.table, run.labels, run.store, both)
        difference = through_node.difference(
            here,
            there,
            node=way.node,
            sent=len(rows),
            segmented=sum(one.row in wanted for one in store.returned()),
            left_out=store_with_labels.left_out(store, rows),
        )
        evaluation = evaluate(there) if len(there) else None
        if run.networks.segmenter is None:
            return ThroughNode(difference, evaluation), []
        masks = store_with_labels.masks(run, store, rows)
        return ThroughNode(difference, evaluation, masks), [output_files.write_returned(run, store, out)]
    finally:
        store.close()


def _identity(plan: Plan, run: ScoredDataset, way: through_node.Way) -> dict[str, str]:
    """What results of a node must agree on to belong together."""
    direct = score_dataset.identity(plan, run.table, run.networks)
    kept = ("dataset", score_dataset.CHOICE, "set of networks", "choice of --segment")
    return {
        **{key: direct[key] for key in kept},
        "list of findings": ", ".join(run.labels),
        "node": way.node,
    }


def _compare(plan: Plan, run: ScoredDataset, rows: NDArray[np.int64]) -> through_node.Compare:
    """What is made of a segmentation; where no masks are asked for, it is counted."""
    segmenter = run.networks.segmenter
    if segmenter is None:
        return through_node.counted
    images = PreparedImages(run.table, rows, (segmenter.size,), plan.resampler, with_structures=True)
    # masks are made again when one comes back: kept until then, they would grow with the dataset
    return lambda segmentation, row: returned_masks.compared(
        segmentation, images[int(np.searchsorted(rows, row))], segmenter
    )

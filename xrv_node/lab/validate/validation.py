"""The whole of a validation: score, through the node too if asked for, compare with the labels, report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import XrvNodeError
from xrv_node.lab.validate import report, returned, run, store_with_labels, through_node
from xrv_node.lab.validate.evaluate import evaluate
from xrv_node.lab.validate.read_images import Images
from xrv_node.lab.validate.receiver import listen
from xrv_node.lab.validate.run_store import Store
from xrv_node.lab.validate.thresholds import RULES

Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Opens a progress bar with these words; what it yields is told how many are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where the node sends its results."""

    host: str
    port: int


def validate(
    plan: run.Plan,
    directory: Path,
    out: Path,
    bar: Bar,
    *,
    threshold: float | None = None,
    rule: str | None = None,
    way: through_node.Way | None = None,
    receiver: Receiver | None = None,
) -> tuple[report.Validation, list[Path]]:
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
    way, receiver
        Through a node too, and where its results come back.

    Returns
    -------
    Validation, list of Path
        What was found, and the files that hold it.

    Raises
    ------
    XrvNodeError
        As `run.score`, `through_node.run` and `report.write`, or there is no such rule.
    """
    if rule is not None and rule not in RULES:
        raise XrvNodeError(f"no rule is called {rule!r}: use one of {', '.join(RULES)}")
    with bar("scoring") as progress:
        scores = run.score(plan, directory, out, progress, without_masks=way is not None)
    try:
        found = store_with_labels.scored(scores.table, scores.labels, scores.store, scores.rows)
        back: report.ThroughNode | None = None
        files: list[Path] = []
        if way is not None and receiver is not None:
            back, files = _through(plan, scores, out, way, receiver, bar)
        chosen = {} if threshold is None else dict.fromkeys(scores.labels, threshold)
        with bar("computing") as progress:
            evaluation = evaluate(found, chosen=chosen, progress=progress)
        told = report.Validation(
            report.about(plan, scores, len(found), datetime.now(UTC)),
            evaluation,
            report.compared(scores, plan),
            store_with_labels.localisation(scores),
            back,
            store_with_labels.structures(scores, scores.store.results()),
            report.compared_structures(scores, plan),
        )
        written = [*report.write(scores, told, out), *files]
        if rule is not None:
            name = scores.networks.classifier.name
            written.append(report.write_thresholds(told, name, rule, out))
        for path in written:
            path.chmod(0o644)  # figures of a public dataset, for others to read
        return told, written
    finally:
        scores.store.close()


def _through(
    plan: run.Plan, scores: run.Scores, out: Path, way: through_node.Way, receiver: Receiver, bar: Bar
) -> tuple[report.ThroughNode, list[Path]]:
    peer = way.peer
    node = f"{peer.ae_title}@{peer.host}:{peer.port}"
    direct = run.identity(plan, scores.table, scores.networks)
    identity = {
        **{key: direct[key] for key in ("dataset", run.CHOICE, "set of networks", "choice of --segment")},
        "list of findings": ", ".join(scores.labels),
        "node": node,
    }
    store = Store(out / "through-node.sqlite", identity)
    try:
        # what the direct way could not read has nothing to be compared with
        rows = np.intersect1d(scores.rows, scores.store.done(answered=True))
        with (
            listen(through_node.CALLING_AE, receiver.host, receiver.port) as back,
            bar("through node") as told,
        ):
            through_node.run(
                scores.table, rows, scores.labels, store, way, back, told, _compare(plan, scores, rows)
            )
        wanted = set(rows.tolist())
        both = store.done(answered=True)
        both = both[np.isin(both, rows)]
        there = store_with_labels.scored(scores.table, scores.labels, store, both)
        here = store_with_labels.scored(scores.table, scores.labels, scores.store, both)
        difference = through_node.difference(
            here,
            there,
            node,
            len(rows),
            sum(one.row in wanted for one in store.returned()),
            store_with_labels.left_out(store, rows),
        )
        evaluation = evaluate(there) if len(there) else None
        if scores.networks.segmenter is None:
            return report.ThroughNode(difference, evaluation), []
        masks = store_with_labels.masks(scores, store, rows)
        return report.ThroughNode(difference, evaluation, masks), [report.write_returned(scores, store, out)]
    finally:
        store.close()


def _compare(plan: run.Plan, scores: run.Scores, rows: NDArray[np.int64]) -> through_node.Compare:
    """What is made of a segmentation; where no masks are asked for, it is counted."""
    segmenter = scores.networks.segmenter
    if segmenter is None:
        return through_node.counted
    images = Images(scores.table, rows, (segmenter.size,), plan.resampler, with_structures=True)
    # masks are made again when one comes back: kept until then, they would grow with the dataset
    return lambda segmentation, row: returned.compared(
        segmentation, images[int(np.searchsorted(rows, row))], segmenter
    )

"""The whole of a validation: score, through the node too if asked for, compare with the labels, report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from xrv_node.errors import DatasetError, XrvNodeError
from xrv_node.validate import gather, report, run, through_node
from xrv_node.validate.evaluate import evaluate
from xrv_node.validate.receiver import listen
from xrv_node.validate.store import Store
from xrv_node.validate.thresholds import RULES

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
        As `run.score`, `through_node.run` and `report.write`; there is no such rule, or there are no scores
        that could be compared through a node.
    """
    if rule is not None and rule not in RULES:
        raise XrvNodeError(f"no rule is called {rule!r}: use one of {', '.join(RULES)}")
    with bar("scoring") as progress:
        scores = run.score(plan, directory, out, progress)
    try:
        if way is not None and not scores.labels:
            raise DatasetError(
                f"the network scores none of the labels of {scores.table.name}: leave --through-node out, "
                "which compares scores"
            )
        found = gather.scored(scores.table, scores.labels, scores.store, scores.rows)
        back = None
        if way is not None and receiver is not None:
            back = _through(plan, scores, out, way, receiver, bar)
        chosen = {} if threshold is None else dict.fromkeys(scores.labels, threshold)
        with bar("computing") as progress:
            evaluation = evaluate(found, chosen=chosen, progress=progress)
        told = report.Validation(
            report.about(plan, scores, len(found), datetime.now(UTC)),
            evaluation,
            report.compared(scores, plan),
            gather.localisation(scores.store, scores.labels, scores.rows),
            back,
            gather.structures(scores),
            report.compared_structures(scores, plan),
        )
        written = report.write(scores, told, out)
        if rule is not None:
            name = scores.networks.classifier.name
            written.append(report.write_thresholds(evaluation, name, rule, out))
        return told, written
    finally:
        scores.store.close()


def _through(
    plan: run.Plan, scores: run.Scores, out: Path, way: through_node.Way, receiver: Receiver, bar: Bar
) -> report.ThroughNode:
    peer = way.peer
    node = f"{peer.ae_title}@{peer.host}:{peer.port}"
    identity = {
        "dataset": run.identity(plan, scores.table, scores.networks)["dataset"],
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
            through_node.run(scores.table, rows, scores.labels, store, way, back, told)
        both = store.done(answered=True)
        both = both[np.isin(both, rows)]
        there = gather.scored(scores.table, scores.labels, store, both)
        here = gather.scored(scores.table, scores.labels, scores.store, both)
        difference = through_node.difference(
            here,
            there,
            node,
            len(rows),
            int(np.isin(rows, store.outlined()).sum()),
            gather.left_out(store, rows),
        )
        return report.ThroughNode(difference, evaluate(there) if len(there) else None)
    finally:
        store.close()

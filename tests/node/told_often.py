"""Whole nodes with work in hand, each told to stop several times at random moments.

``python told_often.py COUNT [SEED]`` prints what each did; what is left of its work is done after a new start.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made import radiograph
from serving import Node, wait
from sqlalchemy import select

from xrv_node.db import queries, trail
from xrv_node.db.tables import Instance
from xrv_node.deliver.scu import Sent

STUDIES = 4
WITHIN = 3.0
"""Seconds in which all signals are sent, from the first object taken on: it is analysed, others come."""
TO_END = 90.0
"""How long a node may stand still before it ends, which has a minute for what it has in hand."""


@dataclass(frozen=True)
class Told:
    """What became of one node."""

    signals: int
    code: int
    seconds: float
    """From the first signal to its end."""
    acknowledged: int
    """Objects that it had taken until then."""
    lost: tuple[str, ...]
    """SOP Instance UIDs of those that it did not know any more; is empty."""


def told(directory: Path, dice: random.Random) -> Told:
    """Start a node, send it studies, tell it to stop two to six times, start it again and let it finish."""
    node = Node(directory, small=True).start()
    sent: list[Sent] = []
    sender = Thread(target=_send, args=(node, sent))
    sender.start()
    wait(lambda: sent or not sender.is_alive(), 60, "the first object to be taken")
    signals = dice.randint(2, 6)
    moments = sorted(dice.random() * WITHIN for _ in range(signals))
    began, first = monotonic(), 0.0
    process = node.process
    assert process is not None
    for moment in moments:
        sleep(max(0.0, began + moment - monotonic()))
        first = first or monotonic()
        os.kill(
            process.pid, dice.choice((signal.SIGTERM, signal.SIGINT))
        )  # it is there until it is waited for
    wait(lambda: process.poll() is not None, TO_END, "the node to end")
    seconds = monotonic() - first
    sender.join()
    taken = {path.path.stem for path in sent if path.good}
    return Told(signals, process.returncode, seconds, len(taken), _finished(node, taken))


def _send(node: Node, sent: list[Sent]) -> None:
    """Send studies until the node takes no more: what it acknowledged is in `sent`."""
    for study in range(1, STUDIES + 1):
        try:
            sent += node.send([radiograph(1, study=study)])
        except Exception:  # it does not listen any more
            return


def _finished(node: Node, taken: set[str]) -> tuple[str, ...]:
    """Start it again and let it finish; which acknowledged objects it does not have."""
    node.start()
    store = node.store()
    with store.read() as db:
        known = set(db.scalars(select(Instance.sop_instance_uid)))
    node.wait_for_results(len(known), seconds=180)
    assert node.stop() == 0
    with store.read() as db:
        assert isinstance(trail.verify(db), int)
        assert len(list(queries.events(db, event="node.stopped"))) == 2
        assert {job["state"] for job in queries.jobs(db)} <= {"done", "cancelled"}
    store.close()
    delivered = {path.parent for path in node.delivered()}
    assert len(delivered) >= bool(known)
    return tuple(sorted(taken - known))


def main(arguments: Sequence[str]) -> int:
    """Tell so many nodes, one after the other."""
    count, seed = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 1
    dice, bad = random.Random(seed), 0
    for number in range(1, count + 1):
        with tempfile.TemporaryDirectory() as directory:
            one = told(Path(directory), dice)
        bad += bool(one.code or one.lost)
        print(
            f"{number}: {one.signals} signals, exit code {one.code} after {one.seconds:.1f} s, "
            f"{one.acknowledged} objects taken, {len(one.lost)} lost",
            flush=True,
        )
    print(f"{bad} of {count} did not end well")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

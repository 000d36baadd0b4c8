"""kill -9 at random points of every process: nothing acknowledged is lost, nothing arrives under two UIDs."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pytest
from fault_archive import Archive
from fault_sender import Sender
from invariants import Scene, broken
from made import radiograph
from ports import free_port
from serving import Node, wait
from sqlalchemy import select

from xrv_node.db.tables import AuditHead
from xrv_node.spool import Spool

STUDIES = 40
EACH = 2
"""How often each is killed."""
EVENTS = 50
"""Most that happens between two kills; a study has some twenty."""
SEED = 20260101
VICTIMS = ("receiver", "worker", "courier", "supervisor", "all")


def kill_at_random(node: Node, random_: random.Random) -> Counter[str]:
    """Kill every process several times, in random order, each after a random number of things have happened.

    Events are counted, not seconds: on a slow machine kills by the clock would all fall into the start.
    """
    killed: Counter[str] = Counter()
    for victim in random_.sample(VICTIMS * EACH, len(VICTIMS) * EACH):
        until_events(node, random_.randrange(1, EVENTS))
        if victim == "all":
            node.kill()
            node.start(seconds=120)
        elif victim == "supervisor":
            node.kill_supervisor()
            node.start(seconds=120)
        else:
            wait(partial(node.kill_one, victim), 90, f"a {victim} to kill")
        killed[victim] += 1
    return killed


def until_events(node: Node, number: int) -> None:
    """Until so many more events are on the trail; a node that says nothing for a minute is killed as it is."""
    store, end, first = node.store(), monotonic() + 60, None
    while monotonic() < end:
        with store.read() as db:
            count = db.scalar(select(AuditHead.count)) or 0
        first = count if first is None else first
        if count >= first + number:
            break
        sleep(0.02)
    store.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path: Path, archive: Archive) -> None:
    """With small networks: what is killed is the node, and it should be in many places in a short time."""
    print(f"seed {SEED}")
    port = free_port()  # written down: the PACS calls the same one after every restart
    config = f"[receive]\nport = {port}\n"
    node = Node(tmp_path / "node", config, archive.destination, small=True).start(seconds=120)
    sender = Sender(port, partial(radiograph, 1), pause=0.5)
    try:
        threads = sender.start(range(1, STUDIES + 1), seconds=600)
        killed = kill_at_random(node, random.Random(SEED))
        for thread in threads:
            thread.join()
        print(f"killed: {dict(killed)}")
        assert len(sender.acknowledged) == STUDIES
        node.wait_for_results(STUDIES, seconds=1000)
        assert node.stop() == 0
    finally:
        if node.process is not None and node.process.poll() is None:
            node.kill()
    store = node.store()
    scene = Scene(store, Spool(node.directory / "data"), sender.acknowledged, {"pacs": archive.held})
    assert broken(scene) == []
    store.close()
    assert len({held.sop_class_uid for held in archive.held}) == 4  # report, sr, seg, sc

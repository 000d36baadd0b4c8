"""kill -9 at random points: nothing acknowledged is lost, nothing arrives twice under two UIDs."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path
from time import monotonic, sleep

import pytest
from made import radiograph
from pydicom import dcmread
from serving import Node
from sqlalchemy import select

from xrv_node.audit import trail
from xrv_node.audit.tables import Instance, Job
from xrv_node.demo import peers
from xrv_node.errors import XrvNodeError

STUDIES = 40
KILLS = 14
SEED = 20260101


def send_all(node: Node, acknowledged: set[int], end: float) -> None:
    """Send every study until it is acknowledged, as a PACS does."""
    for number in range(1, STUDIES + 1):
        while number not in acknowledged and monotonic() < end:
            try:
                (sent,) = node.send([radiograph(1, study=number)])
            except XrvNodeError:
                sleep(0.3)  # nobody listens at the moment
                continue
            if sent.says == "0x0000":
                acknowledged.add(number)
        sleep(0.5)


def kill_at_random(node: Node, random_: random.Random) -> Counter[str]:
    """Kill processes, one or all, at random times."""
    killed: Counter[str] = Counter()
    while sum(killed.values()) < KILLS:
        sleep(random_.uniform(3, 9))
        victim = random_.choice(["receiver", "worker", "courier", "all"])
        if victim == "all":
            node.kill()
            node.start()
            killed[victim] += 1
        elif node.kill_one(victim):
            killed[victim] += 1
    return killed


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    with peers.archive(tmp_path / "archive") as port:
        destination = (
            f'[[destinations]]\nname="pacs"\nkind="dimse"\nae_title="{peers.ARCHIVE_AE}"\n'
            f'host="127.0.0.1"\nport={port}\n'
        )
        # A fixed port: the PACS calls the same one after every restart.
        node = Node(tmp_path / "node", "[receive]\nport = 11842\n", destination).start()
        acknowledged: set[int] = set()
        sender = threading.Thread(target=send_all, args=(node, acknowledged, monotonic() + 400))
        sender.start()
        killed = kill_at_random(node, random.Random(SEED))
        sender.join()
        assert len(acknowledged) == STUDIES
        node.wait_for_results(STUDIES, seconds=400)
        assert node.stop() == 0
    print(f"killed: {dict(killed)}")

    store = node.store()
    with store.read() as db:
        assert isinstance(trail.verify(db), int)
        kept = db.scalars(select(Instance)).all()
        assert {i.sop_instance_uid for i in kept} == {f"1.2.3.{n}.1.1" for n in acknowledged}
        assert {i.state for i in kept} == {"analysed"}
        assert set(db.scalars(select(Job.state))) <= {"done", "cancelled"}
    store.close()
    received = [dcmread(p) for p in (tmp_path / "archive").rglob("*.dcm")]
    by_study = Counter((str(d.StudyInstanceUID), str(d.SOPClassUID)) for d in received)
    assert set(by_study.values()) == {1}, "a result arrived under two UIDs"
    whole = {f"1.2.3.{n}" for n in acknowledged}
    for sop_class in {c for _, c in by_study}:
        assert {s for s, c in by_study if c == sop_class} == whole, f"results of {sop_class} are missing"
    assert len({c for _, c in by_study}) == 4  # report, sr, seg, sc

"""A running node as a process of its own, for the tests that look at it from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from time import monotonic, process_time, sleep, thread_time
from typing import Any, TypeVar

import forked
from descendants import alive, descendants, processor_time
from descendants import children as below
from pydicom import Dataset
from pynetdicom.association import Association
from sqlalchemy import select

from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Study
from xrv_node.deliver import scu

T = TypeVar("T")

HERE = Path(__file__).parent


def with_networks(environment: Mapping[str, str], kind: str = "small") -> dict[str, str]:
    """An environment in which a node's workers load untrained networks in place of the released ones: ``small``
    ones of a few layers in place of the two large ones, or ``whole`` ones."""
    places = [HERE / "faults" / "injected", HERE, environment.get("PYTHONPATH")]
    path = os.pathsep.join(str(place) for place in places if place)
    return {**environment, "PYTHONPATH": path, "XRV_TEST_NETWORKS": kind}


def wait(
    condition: Callable[[], T],
    seconds: float,
    what: str,
    *,
    advances: Callable[[], Hashable] | None = None,
    pause: float = 0.05,
) -> T:
    """Wait until `condition` holds; fail with `what` when nothing has moved for so long.

    Parameters
    ----------
    seconds
        How long what is waited for may stand still. On a busy machine it goes on slowly, and is not failed for
        that; the time limit of the test ends what goes on for ever.
    advances
        Changes when something was done; None for the processor time that other threads and the processes below
        this one have used, in steps of a twentieth of `seconds`: what idles moves nothing.
    pause
        Seconds between two looks.

    Returns
    -------
    T
        What `condition` returned in the end.
    """
    step = advances or (lambda: int(worked() / seconds * 20))
    moved, end = step(), monotonic() + seconds
    while not (found := condition()):
        if (now := step()) != moved:
            moved, end = now, monotonic() + seconds
        assert monotonic() < end, f"nothing has moved for {seconds} s: {what}"
        sleep(pause)
    return found


def worked() -> float:
    """Seconds of processor time of the other threads of this process and of the processes below it."""
    return process_time() - thread_time() + sum(map(processor_time, descendants()))


class Node:
    """``xrv-node serve`` on a data directory of its own.

    Untrained networks stand in for the released ones, and with `small`, networks of a few layers for the two large
    ones: for what is about the node. Without `stand_ins` it has what is installed.
    """

    def __init__(
        self,
        directory: Path,
        config: str = "",
        destinations: str | None = None,
        *,
        commissioning: bool = False,
        small: bool = False,
        stand_ins: bool = True,
    ) -> None:
        self.networks = ("small" if small else "whole") if stand_ins and not commissioning else ""
        self.options = ["--commissioning"] if commissioning else []
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "node.toml"
        if destinations is None:
            destinations = '[[destinations]]\nname = "out"\nkind = "folder"\npath = "out"\n'
        self.config.write_text(
            (config if "[receive]" in config else "[receive]\nport = 0\n" + config)
            + ("" if "[study]" in config else "\n[study]\nquiet_seconds = 1\n")
            + destinations
        )
        self.log = directory / "node.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = ""
        self.port = 0

    def start(self, *, seconds: float = 60) -> Node:
        """Start it and wait for its ready line."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("XRV_NODE__")}
        if self.networks:
            environment = with_networks(environment, self.networks)
        with self.log.open("ab") as log:
            self.process = forked.Popen(
                [*forked.COMMAND, "serve", *self.options, "--config", str(self.config)],
                stdout=subprocess.PIPE, stderr=log, env=environment,
            )  # fmt: skip
        lines: list[str] = []
        output = self.process.stdout
        assert output is not None
        threading.Thread(target=lambda: lines.extend(line.decode() for line in output), daemon=True).start()
        process = self.process
        wait(lambda: bool(lines) or process.poll() is not None, seconds, "the ready line")
        assert lines, self.log.read_text()[-2000:]
        self.ready = lines[0]
        match = re.search(r":(\d+), accepts", self.ready)
        assert match, self.ready
        self.port = int(match[1])
        return self

    def stop(self, *, seconds: float = 90) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        wait(lambda: self.process.poll() is not None, seconds, "the node to end")
        return self.process.returncode

    def kill(self) -> None:
        """SIGKILL to every process of the node at once; returns once all are gone, and their port free."""
        self._kill_supervisor(children=True)

    def kill_supervisor(self) -> None:
        """SIGKILL to the supervisor alone; returns once its processes have noticed and ended."""
        self._kill_supervisor(children=False)

    def _kill_supervisor(self, *, children: bool) -> None:
        assert self.process is not None
        pid = self.process.pid
        os.kill(pid, signal.SIGSTOP)  # no process of the next moment is overlooked
        orphans = below(pid)
        for each in [pid, *(orphans if children else ())]:
            _kill(each)
        self.process.wait()
        wait(lambda: not any(map(alive, orphans)), 90, "the processes without a supervisor to end")

    def kill_one(self, role: str) -> bool:
        """SIGKILL to one of its processes; False when it is just being started again."""
        pid = self.children().get(role)
        return pid is not None and _kill(pid)

    def children(self) -> dict[str, int]:
        """Process ids by role."""
        assert self.process is not None
        found = {}
        for pid in below(self.process.pid):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if "--only" in words:
                found[words[words.index("--only") + 1]] = pid
        return found

    def send(self, datasets: Sequence[Dataset]) -> list[scu.Sent]:
        """C-STORE objects over one association."""
        folder = self.directory / "sent"
        folder.mkdir(exist_ok=True)
        files = []
        for dataset in datasets:
            files.append(folder / f"{dataset.SOPInstanceUID}.dcm")
            dataset.save_as(files[-1], enforce_file_format=True)
        return list(scu.send(scu.Peer("XRVNODE", "127.0.0.1", self.port), files, calling_ae="PACS"))

    def store(self) -> Store:
        """Its database; close it after use."""
        return Store(f"sqlite:///{self.directory / 'data' / 'xrv-node.sqlite'}")

    def wait_for_results(self, studies: int, *, seconds: float) -> None:
        """Until so many studies are reported and everything is delivered."""
        store = self.store()

        def done() -> bool:
            with store.read() as db:
                states = db.scalars(select(Study.state)).all()
                deliveries = set(db.scalars(select(Delivery.state)))
            return (
                len(states) == studies
                and set(states) <= {"reported", "failed"}
                and deliveries <= {"delivered"}
            )

        try:
            wait(done, seconds, f"{studies} studies reported and delivered")
        finally:
            store.close()

    def study(self, uid: str) -> dict[str, Any]:
        """What ``xrv-node studies show`` shows."""
        store = self.store()
        try:
            with store.read() as db:
                return queries.study(db, uid)
        finally:
            store.close()

    def delivered(self) -> list[Path]:
        """The files in its folder destination."""
        return sorted((self.directory / "out").rglob("*.dcm"))


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def rejected(associate: Callable[[], Association]) -> Association:
    """An association that is refused, as its requestor sees it.

    pynetdicom takes a rejection for a connection that failed where the answer is there, and the connection closed,
    before its own thread looks: on a busy machine. Then it is asked once more.
    """
    for _ in range(20):
        peer = associate()
        assert not peer.is_established
        if peer.is_rejected:
            return peer
    raise AssertionError("no rejection was seen in 20 requests")

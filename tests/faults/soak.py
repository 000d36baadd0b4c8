"""A soak: thousands of studies at saturation through a node, and whether it grows meanwhile. Run by hand.

``python tests/faults/soak.py --studies 5000 --out table.md [--small] [--directory DIR] [--associations 3]``

It starts ``xrv-node serve`` (untrained networks of the real sizes; with ``--small`` the segmenter and
the autoencoder are a few layers, for machines without a GPU) with the default result kinds, and an archive that only counts, each as processes of their own. It sends that many synthetic chest radiographs,
each a study of a patient of its own, so that the worker always has a backlog and no room is ever idle. Every
minute it takes a sample: what was done, memory, file descriptors and threads of each process, the database. At
the end it stops the node and looks for broken invariants. It writes a table and a verdict on growth: the
least-squares line through the second half of the samples.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

sys.path.insert(0, str(Path(__file__).parents[1]))

import fault_archive
import shapes
from fault_sender import Sender
from invariants import Scene, broken
from serving import Node
from sqlalchemy import func, select

from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Delivery, Instance, Job, Study
from xrv_node.spool import Spool

ROWS = 256
"""Of an image; the networks see 224, 512 and 224 of it whatever it has."""
CHESTS = 8
"""Different phantoms; noise of its own makes each study's pixels others."""
BACKLOG = 100
"""Images that wait for the worker while more are sent."""
EVERY = 60.0
"""Seconds between samples."""
GROWTH = 0.05
"""Part of a process's memory by which it may seem to grow over the second half and is still called flat."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The node at one moment."""

    minutes: float
    received: int
    analysed: int
    reported: int
    delivered: int
    waiting: int
    """Jobs of all kinds that are queued or running."""
    memory: dict[str, float]
    """Resident MB by process."""
    files: int
    """Open descriptors of all processes."""
    threads: int
    database: float
    """MB, with the write-ahead log."""
    spool: float
    """MB."""


@cache
def _pixels(seed: int) -> NDArray[np.uint16]:
    return shapes.radiograph("PA", rows=ROWS, seed=seed)


def study(number: int) -> Dataset:
    """The image of a study; every number gives another patient, other UIDs and other pixels."""
    dataset = shapes.header("PA", rows=ROWS, patient=shapes.Patient(f"SOAK^{number}", f"SOAK-{number}"))
    noise = np.random.default_rng(number).integers(-8, 9, (ROWS, ROWS))
    pixels = np.clip(_pixels(number % CHESTS).astype(np.int32) + noise, 0, 4095)
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def sample(node: Node, store: Store, began: float) -> Sample:
    """Look at the database and at every process."""
    assert node.process is not None
    pids = {"supervisor": node.process.pid} | node.children()
    with store.read() as db:
        counts = [
            db.scalar(select(func.count()).select_from(table).where(*where)) or 0
            for table, where in (
                (Instance, ()),
                (AnalysisRow, ()),
                (Study, (Study.state == "reported",)),
                (Delivery, (Delivery.state == "delivered",)),
                (Job, (Job.state.in_(("queued", "running")),)),
            )
        ]
    data = node.directory / "data"
    return Sample(
        (monotonic() - began) / 60,
        *counts,
        memory={role: _status(pid, "VmRSS") / 1024 for role, pid in pids.items()},
        files=sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids.values()),
        threads=sum(_status(pid, "Threads") for pid in pids.values()),
        database=sum(p.stat().st_size for p in data.glob("xrv-node.sqlite*")) / 1e6,
        spool=sum(p.stat().st_size for p in (data / "spool").rglob("*.[dn]*")) / 1e6,
    )


def _status(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def table(samples: Sequence[Sample]) -> str:
    """The samples in Markdown, a row each."""
    roles = list(samples[0].memory)
    head = ["minute", "received", "analysed", "reported", "delivered", "jobs"]
    head += [f"{role} MB" for role in roles] + ["descriptors", "threads", "database MB", "spool MB"]
    rows = [
        [f"{s.minutes:.0f}", *map(str, (s.received, s.analysed, s.reported, s.delivered, s.waiting))]
        + [f"{s.memory.get(role, 0):.0f}" for role in roles]
        + [str(s.files), str(s.threads), f"{s.database:.1f}", f"{s.spool:.0f}"]
        for s in samples
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---:"] * len(head), *rows])


def growth(samples: Sequence[Sample]) -> dict[str, tuple[float, float, float]]:
    """By process: MB at the middle of the run, MB that the fitted line rises from there to the end, and that
    a thousand studies."""
    half = [s for s in samples if s.received][len(samples) // 2 :]
    if len(half) < 3:
        return {}
    done = np.array([s.analysed for s in half], float)
    found = {}
    for role in half[0].memory:
        memory = np.array([s.memory.get(role, np.nan) for s in half])
        slope, start = np.polyfit(done - done[0], memory, 1)
        found[role] = (float(start), float(slope * np.ptp(done)), float(slope * 1000))
    return found


def verdict(samples: Sequence[Sample]) -> str:
    """A line for each process, and one for what is open."""
    lines = [
        f"- {role}: {start:.0f} MB, {rise:+.1f} MB over the second half ({per:+.2f} MB a thousand studies): "
        + ("flat" if rise <= GROWTH * start else "GROWS")
        for role, (start, rise, per) in growth(samples).items()
    ]
    half = samples[len(samples) // 2 :]
    for name, of in (("descriptors", [s.files for s in half]), ("threads", [s.threads for s in half])):
        lines.append(f"- {name}: {min(of)} to {max(of)} in the second half")
    return "\n".join(lines)


def run(studies: int, directory: Path, associations: int, out: Path, *, small: bool) -> list[str]:
    """Run the soak; returns the broken invariants."""
    stored = directory / "archive.txt"
    program = [sys.executable, fault_archive.__file__, str(stored)]
    archive = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert archive.stdout is not None
    assert archive.stdin is not None
    destination = fault_archive.Archive(port=int(archive.stdout.readline())).destination
    config = '[study]\nquiet_seconds = 5\n[log]\nlevel = "warning"\n'
    node = Node(directory / "node", config, destination, small=small)
    node.start(seconds=120)
    store, began, samples, over = node.store(), monotonic(), [], Event()

    def backlog() -> bool:
        with store.read() as db:
            where = Job.kind == "analyse", Job.state.in_(("queued", "running"))
            return (db.scalar(select(func.count(Job.id)).where(*where)) or 0) < BACKLOG

    def watch() -> None:
        while not over.wait(EVERY if samples else 0):
            with suppress(OSError):  # a process that ended meanwhile, a log that was folded in
                samples.append(sample(node, store, began))
                out.write_text(table(samples) + "\n")

    sender = Sender(node.port, study, backlog)
    watcher = Thread(target=watch)
    watcher.start()
    try:
        for thread in sender.start(range(1, studies + 1), associations, seconds=24 * 3600):
            thread.join()
        while (last := sample(node, store, began)).reported < studies or last.waiting:
            sleep(5)
    finally:
        over.set()
        watcher.join()
    samples.append(last)
    code = node.stop()
    archive.stdin.close()
    archive.wait()
    found = broken(
        Scene(
            store,
            Spool(node.directory / "data"),
            sender.acknowledged,
            {"pacs": fault_archive.read(stored)},
            killed=False,
        )
    )
    store.close()
    if len(sender.acknowledged) != studies or code:
        found.append(f"{len(sender.acknowledged)} of {studies} acknowledged; exit code {code}")
    seconds = last.minutes * 60
    networks = "small segmenter and autoencoder" if small else "real"
    summary = (
        f"Networks: {networks}. {studies} studies in {seconds:.0f} s: {studies / seconds:.2f} a second; "
        f"{last.delivered} results delivered; {len(found)} broken invariants."
    )
    out.write_text("\n\n".join([table(samples), summary, verdict(samples), *found]) + "\n")
    return found


def main() -> int:
    """Run it, print the table; 1 when an invariant is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=5000)
    parser.add_argument("--out", type=Path, default=Path("soak.md"))
    parser.add_argument(
        "--directory", type=Path, help="for all that the node writes; a temporary one without"
    )
    parser.add_argument("--associations", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="small networks in two of the three places")
    options = parser.parse_args()
    directory = options.directory or Path(tempfile.mkdtemp(prefix="soak"))
    directory.mkdir(parents=True, exist_ok=True)
    found = run(options.studies, directory, options.associations, options.out, small=options.small)
    print(options.out.read_text())
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

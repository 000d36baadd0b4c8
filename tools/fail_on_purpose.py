"""Runs that must fail: a node whose worker is killed, and an archive with every mask shifted by 20 pixels.

    python tools/fail_on_purpose.py --out failing

Ends with code 0 when both protocols say that the node is not accepted, each for its own reason.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from xrv_node import models, settings
from xrv_node.acceptance import facts, output, run
from xrv_node.acceptance.archive import Archive, Came, Receiver, receiving
from xrv_node.acceptance.compare import NOTHING
from xrv_node.acceptance.protocol import Protocol
from xrv_node.acceptance.row import Row
from xrv_node.deliver import scu
from xrv_node.deliver.way import Way
from xrv_node.demo import peers
from xrv_node.result_kinds import kind_of

PIXELS = 20
_CONFIG = """\
[node]
data_dir = "data"
[receive]
port = 0
[study]
quiet_seconds = 2
[models]
dir = "{models}"
[[destinations]]
name = "acceptance"
kind = "dimse"
ae_title = "{ae_title}"
host = "127.0.0.1"
port = {port}
"""


@dataclass
class Shifting:
    """An archive whose segmentations are not where they were."""

    inner: Archive

    @property
    def name(self) -> str:
        """As a person would name it."""
        return f"{self.inner.name}, masks shifted by {PIXELS} pixels"

    def came(self, studies: Collection[str]) -> list[Came]:
        """What has come, and every mask lower and farther to the right."""
        found = self.inner.came(studies)
        for one in found:
            if kind_of(one.dataset) == "seg":
                shift(one.dataset, PIXELS)
        return found


def shift(segmentation: Dataset, pixels: int) -> None:
    """Move the masks of a binary segmentation, in place, down and to the right; what leaves comes back."""
    rows, columns = segmentation.Rows, segmentation.Columns
    frames = int(segmentation.NumberOfFrames)
    bits = np.unpackbits(np.frombuffer(segmentation.PixelData, np.uint8), bitorder="little")
    masks = bits[: frames * rows * columns].reshape(frames, rows, columns)
    packed = np.packbits(np.roll(masks, (pixels, pixels), axis=(1, 2)), bitorder="little").tobytes()
    segmentation.PixelData = packed + b"\0" * (len(packed) % 2)


def workers(config: Path) -> Iterator[int]:
    """The processes of the workers of a node, by its configuration file (Linux)."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "worker" in words and str(config) in words:
                yield int(place.name)


@contextmanager
def without_worker(config: Path) -> Iterator[None]:
    """Kill every worker that is started, until the end of the block."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.2):
            for pid in workers(config):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def failing(out: Path, name: str, wait: float) -> Protocol:
    """One run, and its protocol below `out`."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    with receiving(folder / "archive", run.CALLING_AE) as receiver:
        config = folder / "node.toml"
        place = settings.load().models_dir
        config.write_text(_CONFIG.format(ae_title=run.CALLING_AE, port=receiver.port, models=place))
        loaded = settings.load(config)
        commissioning = bool(models.missing(loaded.models.names, loaded.models_dir))
        with peers.node(config, folder / "node.log", commissioning=commissioning) as port:
            protocol = _run(name, loaded, port, receiver, folder, wait)
    output.write(protocol, folder)
    return protocol


def _run(
    name: str, loaded: settings.Settings, port: int, receiver: Receiver, folder: Path, wait: float
) -> Protocol:
    peer = scu.Peer(loaded.receive.ae_title, "127.0.0.1", port)
    plan = run.Plan(
        Way(peer),
        short=True,
        wait_seconds=wait,
        settle_seconds=5,
        tester="fail_on_purpose",
        facts=lambda: facts.of_node(loaded),
    )
    if name == "masks-shifted":
        return run.run(plan, Shifting(receiver), folder / "sent", print)
    with without_worker(folder / "node.toml"):
        return run.run(plan, receiver, folder / "sent", print)


def amiss(row: Row) -> set[str]:
    """The names of what was not as it should be."""
    return {check.name for check in row.checks if not check.good}


def nothing_came(rows: Collection[Row]) -> bool:
    """Whether it is said of every case that nothing came of it, and of none that anything is right."""
    return all(
        row.arrived == NOTHING and amiss(row) and not any(d.right for d in row.decisions) for row in rows
    )


def out_of_place(rows: Collection[Row]) -> bool:
    """Whether the masks of every case that is answered, and nothing else, are amiss."""
    return all("place" in amiss(row) and amiss(row) <= {"place", "masks"} for row in rows if row.decisions)


REASONS = {"worker-killed": nothing_came, "masks-shifted": out_of_place}
"""What is done, and what its protocol must say."""


def main() -> int:
    """Both runs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("failing"))
    parser.add_argument("--wait", type=float, default=60.0, help="seconds without anything new")
    arguments = parser.parse_args()
    told = True
    for name, reason in REASONS.items():
        protocol = failing(arguments.out.resolve(), name, arguments.wait)
        found = set().union(*map(amiss, protocol.rows))
        verdict = "ACCEPTED" if protocol.good else "not accepted"
        print(f"{name}: {verdict}; amiss: {', '.join(sorted(found))}")
        told = told and not protocol.good and reason(protocol.rows)
    return 0 if told else 1


if __name__ == "__main__":
    sys.exit(main())

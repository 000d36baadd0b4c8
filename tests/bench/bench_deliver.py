"""How long results take to a peer: this node's outbox beside ``storescu`` of dcmtk and of pynetdicom.

Interleaved rounds, medians, ratios; each sends the same files to the same peer. The others are programs that
start, send all files over one association and end. The outbox runs already, as the courier does; it takes
the objects of one study after the other, and records each object and its audit event on disk.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import benching
import numpy as np
import structlog
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from receivers import HOST, Running, find, receivers, running

from xrv_node.db import queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, ResultRow, Study
from xrv_node.deliver.senders import sender
from xrv_node.jobs import outbox
from xrv_node.result_kinds import KINDS
from xrv_node.settings.destinations import DimseDestination
from xrv_node.spool import Spool

PEERS = ("dcmtk storescp, tuned", "Orthanc, TCP_NODELAY")
OURS = "xrv-node, the outbox"
STUDY = 4
"""Results of one study, as many as the kinds that are sent unless configured otherwise."""


@dataclass(frozen=True)
class Load:
    """What is sent in one run."""

    name: str
    kind: str
    objects: int

    @property
    def sop_class(self) -> str:
        """That of the node's results of the kind."""
        return KINDS[self.kind].sop_classes[0]


LOADS = (
    Load("20 KB", "sr", 24),
    Load("15 MB", "sc", 4),
)


def written(load: Load, directory: Path) -> list[Path]:
    """New objects of that size: a report of nested items, a picture."""
    paths = []
    for number in range(load.objects):
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = load.sop_class, generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
        dataset.PatientName = dataset.PatientID = "BENCH"
        dataset.Modality = load.kind.upper() if load.kind == "sr" else "OT"
        if load.kind == "sr":
            dataset.ContentSequence = [_item(n) for n in range(130)]
        else:
            pixels = np.random.default_rng(number).integers(0, 256, (2500, 3000, 2), "uint8")
            dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 2500, 3000, 1
            dataset.BitsAllocated = dataset.BitsStored = 16
            dataset.HighBit, dataset.PixelRepresentation = 15, 0
            dataset.PhotometricInterpretation, dataset.PixelData = "MONOCHROME2", pixels.tobytes()
            dataset["PixelData"].VR = "OW"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        paths.append(directory / f"{number}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _item(number: int) -> Dataset:
    item, name = Dataset(), Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "121071", "DCM", "Finding"
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence, item.TextValue = [name], f"Finding {number:3d}, as a sentence of a report"
    return item


@contextmanager
def courier(to: Running, directory: Path) -> Iterator[Callable[[Load, list[Path]], None]]:
    """The outbox for one peer; yields what queues files and delivers them, a study at a time."""
    store, spool = Store(f"sqlite:///{directory / 'outbox.sqlite'}"), Spool(directory)
    store.migrate()
    destination = DimseDestination.model_validate(
        {"name": "peer", "ae_title": to.receiver.ae_title, "host": HOST,
         "port": to.receiver.port}
    )  # fmt: skip
    peer = sender(destination, "XRVNODE")

    def deliver(load: Load, files: list[Path]) -> None:
        for start in range(0, len(files), STUDY):
            _queue(store, spool, load, files[start : start + STUDY])
            claims = queue.claim(store, "deliver", owner="bench", limit=outbox.BATCH, destination="peer")
            outbox.deliver(store, spool, "peer", peer, claims)
        with store.read() as db:
            waiting = db.query(Delivery).filter(Delivery.state != "delivered").count()
        if waiting:
            raise RuntimeError(f"{to.receiver.name}: {waiting} objects were not delivered")

    try:
        yield deliver
    finally:
        peer.close()
        store.close()


def _queue(store: Store, spool: Spool, load: Load, files: list[Path]) -> None:
    now = datetime.now(UTC)
    with store.begin() as db:
        study = Study(study_instance_uid=generate_uid(), state="reported", revision=1, received_at=now)
        db.add(study)
        db.flush()
        for path in files:
            row = ResultRow(
                study_id=study.id, kind=load.kind, revision=1, sop_class_uid=load.sop_class,
                sop_instance_uid=generate_uid(), series_instance_uid="", model_set="",
                sha256=sha256(path.read_bytes()).hexdigest(), size=0,
                path=spool.relative(path), created_at=now,
            )  # fmt: skip
            db.add(row)
            db.flush()
            delivery = Delivery(result_id=row.id, destination="peer", updated_at=now)
            db.add(delivery)
            db.flush()
            queue.enqueue(db, "deliver", study=study.id, delivery=delivery.id)


def program(to: Running, *command: str) -> Callable[[Load, list[Path]], None]:
    """A program that sends all files."""
    where = ("-aec", to.receiver.ae_title, HOST, str(to.receiver.port))

    def deliver(_load: Load, files: list[Path]) -> None:
        environment = os.environ | {"TCP_NODELAY": "1"}
        subprocess.run([*command, *where, *map(str, files)], env=environment, check=True)

    return deliver


def timed(run: Callable[[], None]) -> tuple[float, float]:
    """Wall seconds, and processor seconds of this process and of the programs that ended meanwhile."""

    def cpu() -> float:
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    wall, used = time.perf_counter(), cpu()
    run()
    return time.perf_counter() - wall, cpu() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2 rounds")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rows = []
    print(f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="bench-deliver-") as text, ExitStack() as stack:
        directory = Path(text)
        (directory / "peers").mkdir()
        for receiver in receivers(directory / "peers"):
            if receiver.name not in PEERS:
                continue
            to = stack.enter_context(running(receiver))
            place = directory / receiver.name.replace(" ", "-")
            place.mkdir()
            senders = {OURS: stack.enter_context(courier(to, place))}
            if storescu := find("storescu"):
                senders["dcmtk storescu"] = program(to, storescu, "-R")
            theirs = (sys.executable, "-m", "pynetdicom", "storescu", "-q", "-cx")
            senders["pynetdicom storescu"] = program(to, *theirs)
            for load in LOADS:
                taken: dict[str, list[tuple[float, float]]] = {name: [] for name in senders}
                for number in range((2 if options.quick else options.rounds) + 1):
                    for name, deliver in senders.items():
                        files = written(load, place)
                        took = timed(lambda deliver=deliver, load=load, files=files: deliver(load, files))
                        if number:  # the first round warms up
                            taken[name].append(took)
                rows += [
                    [
                        load.name, receiver.name, name,
                        *(f"{1000 * value / load.objects:.1f}" for value in benching.medians(mine)),
                        f"{benching.ratio(mine, taken[OURS], 0):.2f}",
                    ]
                    for name, mine in taken.items()
                ]  # fmt: skip
    benching.table(["object", "peer", "sender", "ms/object", "CPU ms/object", "times xrv-node's time"], rows)


if __name__ == "__main__":
    main()

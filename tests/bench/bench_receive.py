"""How many objects a second receivers take from dcmtk's ``storescu``: this node beside what one would take instead.

Interleaved rounds, medians, ratios. Nothing else than the sender differs between the receivers of one table;
before each run the disk is idle. Install dcmtk and Orthanc to have them in the table; ROUTER=<program> adds
dicom-ai-router.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import benching
import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from receivers import HOST, Running, find, receivers, running

CR = "1.2.840.10008.5.1.4.1.1.1"
OURS = "xrv-node"


@dataclass(frozen=True)
class Load:
    """What is sent in one run."""

    name: str
    shape: tuple[int, int]
    bits: int
    objects: int


LOADS = (Load("15 MB", (3000, 2500), 16, 16), Load("1 MB", (1024, 1024), 8, 96))


@dataclass(frozen=True)
class Took:
    """One run."""

    seconds: float
    cpu_seconds: float


def written(load: Load, path: Path) -> Path:
    """A frontal chest radiograph of that size."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CR, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.PatientAge = "BENCH", "BENCH", "060Y"
    dataset.StudyID = dataset.AccessionNumber = dataset.SeriesNumber = dataset.InstanceNumber = "1"
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "PA"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = load.shape
    dataset.BitsAllocated = dataset.BitsStored = load.bits
    dataset.HighBit, dataset.PixelRepresentation = load.bits - 1, 0
    pixels = np.random.default_rng(1).integers(0, 1 << load.bits, load.shape)
    dataset.PixelData = pixels.astype("<u2" if load.bits == 16 else "u1").tobytes()
    dataset["PixelData"].VR = "OW" if load.bits == 16 else "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def send(to: Running, file: Path, objects: int, associations: int, environment: dict[str, str]) -> Took:
    """Send `objects` new objects over that many associations at once, and see that all are there."""
    before = len(to.objects())
    os.sync()  # what another receiver has left to be written is not this one's
    receiver = to.receiver
    command = [
        find("storescu") or "storescu", "--repeat", str(objects // associations), "--invent-instance",
        "-aec", receiver.ae_title, HOST, str(receiver.port), str(file),
    ]  # fmt: skip
    cpu, began = to.cpu_seconds(), time.perf_counter()
    senders = [subprocess.Popen(command, env=environment) for _ in range(associations)]
    codes = [sender.wait() for sender in senders]
    took = Took(time.perf_counter() - began, to.cpu_seconds() - cpu)
    stored = len(to.objects()) - before
    if any(codes) or stored != objects:
        raise RuntimeError(f"{receiver.name}: storescu ended with {codes}, {stored} of {objects} are there")
    return took


def compare(
    peers: list[Running], load: Load, file: Path, associations: int, rounds: int, environment: dict[str, str]
) -> list[list[str]]:
    """Rows of the table for one load."""
    taken: dict[str, list[Took]] = {peer.receiver.name: [] for peer in peers}
    for number in range(rounds + 1):
        for peer in peers:
            took = send(peer, file, load.objects, associations, environment)
            if number:  # the first round warms up
                taken[peer.receiver.name].append(took)
            peer.forget()
    rows = []
    for peer in peers:
        mine, ours = taken[peer.receiver.name], taken[OURS]
        cpu = 1000 * median(t.cpu_seconds for t in mine) / load.objects
        rows.append(
            [
                load.name,
                str(associations),
                peer.receiver.name,
                peer.receiver.durable,
                f"{load.objects / median(t.seconds for t in mine):.1f}",
                "" if peer.receiver.forks else f"{cpu:.1f}",
                "" if peer.receiver.forks else f"{peer.peak_mb():.0f}",
                f"{median(a.seconds / b.seconds for a, b in zip(mine, ours, strict=True)):.2f}",
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sender", choices=["nodelay", "shipped"], default="nodelay",
                        help="storescu with TCP_NODELAY=1, or as it is")  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="NAME", help="receivers whose names begin so")
    options = parser.parse_args()
    environment = {k: v for k, v in os.environ.items() if k != "TCP_NODELAY"}
    if options.sender == "nodelay":
        environment["TCP_NODELAY"] = "1"
    if find("storescu") is None:
        sys.exit("storescu is not installed (Debian: dcmtk)")
    print(f"sender: storescu, {options.sender}; {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}\n")
    rows: list[list[str]] = []
    rounds = 2 if options.quick else options.rounds
    with tempfile.TemporaryDirectory(prefix="bench-receive-") as text, ExitStack() as stack:
        directory = Path(text)
        wanted = tuple(options.only or ("",))
        peers = [
            stack.enter_context(running(receiver))
            for receiver in receivers(directory)
            if receiver.name == OURS or receiver.name.startswith(wanted)
        ]
        for load in LOADS:
            file = written(load, directory / f"{load.bits}.dcm")
            for associations in (1, 4):
                print(f"{load.name}, {associations} ...", file=sys.stderr)
                rows += compare(peers, load, file, associations, rounds, environment)
    benching.table(
        [
            "object", "associations", "receiver", "on disk at the answer", "objects/s", "CPU ms/object",
            "peak MB", "times xrv-node's time",
        ],
        rows,
    )  # fmt: skip


if __name__ == "__main__":
    main()

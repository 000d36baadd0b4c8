"""Images per second of a validation: here, and by torchxrayvision's own loop.

    python tests/bench/bench_validate.py [--quick] [--workers N] [--images N ...]

Both score the same PNG pictures of 1024 x 1024 in the layout of NIH ChestX-ray14 with the same untrained
DenseNet: ours as ``xrv-node validate`` does, theirs as its documentation shows, with ``NIH_Dataset``,
``XRayCenterCrop``, ``XRayResizer`` and torch's ``DataLoader``. Each run is a program of its own. Its clock
starts when the table is read and the networks are loaded, and counts the start of the processes that read; of
ours a part is done by then, as in ``validate``.

The first rows have processes, as both run in practice. The last have none and count processor time of one
core, which other programs on the machine do not change.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import median

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # read when numpy is imported

import benching

BATCH = 16
HEADINGS = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position")


def dataset(folder: Path, count: int) -> None:
    """Write so many different pictures, and the owner's table."""
    import cv2
    import numpy as np

    sys.path.append(str(Path(__file__).resolve().parents[1]))
    import shapes

    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(count):
        name = f"{number:08d}_000.png"
        if number < 8:  # drawing takes longer than what is measured: a turn of the grey scale makes others
            drawn = (shapes.radiograph("PA", seed=number) >> 4).astype(np.uint8)
        else:
            drawn = cv2.imread(str(folder / "images" / rows[number - 8][0]), cv2.IMREAD_GRAYSCALE)
            drawn = cv2.flip(drawn, 1) if number % 2 else np.maximum(drawn, 3)
        cv2.imwrite(str(folder / "images" / name), drawn)
        rows.append((name, "Effusion", number, 50, "F", "PA"))
    with (folder / "Data_Entry_2017_v2020.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADINGS, *rows])


def ours(folder: Path, workers: int, score: bool) -> Iterator[int]:
    """Yield None when all is loaded, then the number of images of each batch."""
    import numpy as np

    from xrv_node.lab.datasets.load import load
    from xrv_node.lab.validate import networks, read_images

    if workers:
        read_images.begin()
    import untrained

    table = load("nih", folder, views=("*",), unique_patients=False)
    run = untrained.load_set("all", "chestx_det", "101-elastic")
    images = read_images.PreparedImages(table, np.arange(len(table)), run.sizes, "skimage")
    yield 0
    for batch in read_images.batches(images, BATCH, workers):
        if score:
            networks.forward(run, batch.inputs)
        yield len(batch.good)


def theirs(folder: Path, workers: int, score: bool) -> Iterator[int]:
    """As `ours`."""
    import torch
    import torchxrayvision as xrv
    from untrained import seeded_state

    from xrv_node.models import catalog

    crop, resize = xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(224)
    images = xrv.datasets.NIH_Dataset(
        imgpath=str(folder / "images"),
        csvpath=str(folder / "Data_Entry_2017_v2020.csv"),
        views=["*"],
        unique_patients=False,
        transform=lambda x: resize(crop(x)),
    )
    model = xrv.models.DenseNet(weights=None)
    model.load_state_dict(seeded_state(catalog.find("all")), strict=False)
    model.eval()
    yield 0
    for batch in torch.utils.data.DataLoader(images, batch_size=BATCH, num_workers=workers):
        if score:
            with torch.no_grad():
                model(batch["img"])
        yield len(batch["img"])


SIDES = {"torchxrayvision": theirs, "xrv-node": ours}


def rate(side: str, folder: Path, workers: int, score: bool) -> float:
    """Images per second, with processes of wall time and without of processor time."""
    import torch

    torch.set_num_threads(1)
    clock = time.perf_counter if workers else time.process_time
    with contextlib.redirect_stdout(io.StringIO()):  # torchxrayvision prints a hint
        batches = SIDES[side](folder, workers, score)
        next(batches)
        began = clock()
        return sum(batches) / (clock() - began)


def measured(side: str, folder: Path, workers: int, score: bool) -> float:
    """`rate` in a program of its own."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder), "--workers", str(workers)]
    done = subprocess.run(
        [*command, *(["--score"] if score else [])], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1 round in place of 5")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, nargs="+", default=[100, 1600])
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--score", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    if chosen.side:
        print(rate(chosen.side, chosen.folder, chosen.workers, chosen.score))
        return
    print(benching.machine(), end="\n\n")
    least = min(chosen.images)
    kinds = [(count, chosen.workers, False) for count in chosen.images]
    kinds += [(least, chosen.workers, True), (least, 0, False), (least, 0, True)]
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for count in chosen.images:
            dataset(Path(place, str(count)), count)
        for count, workers, score in kinds:
            rounds = [  # in turns: what else runs meets both
                [measured(side, Path(place, str(count)), workers, score) for side in SIDES]
                for _ in range(1 if chosen.quick else 5)
            ]
            what = "read, prepare and score" if score else "read and prepare"
            how = f"{workers} processes" if workers else "no processes, of processor time"
            rows.append(
                [
                    f"{what}; {how}, {count} images",
                    *(f"{median(one[i] for one in rounds):.1f}" for i in range(len(SIDES))),
                    f"{median(fast / slow for slow, fast in rounds):.1f}",
                ]
            )
    benching.table(["PNG 1024 x 1024 to 224, images per second", *SIDES, "times faster"], rows)


if __name__ == "__main__":
    main()

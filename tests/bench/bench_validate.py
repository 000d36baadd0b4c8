"""Images per second of a validation: here, and by torchxrayvision's own loop.

    python tests/bench/bench_validate.py [--quick] [--workers N] [--images N]

Both score the same PNG pictures of 1024 x 1024 in the layout of NIH ChestX-ray14 with the same untrained
DenseNet: ours as ``xrv-node validate`` does, theirs as its documentation shows, with ``NIH_Dataset``,
``XRayCenterCrop``, ``XRayResizer`` and torch's ``DataLoader``. The clock starts with the first batch: what it
takes to start processes is paid once, whatever the dataset's size.

The first table has processes, as both run in practice. The second has none and counts processor time of one
core, which other programs on the machine do not change.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # read when numpy is imported

import benching
import cv2
import numpy as np
import torch
import torchxrayvision as xrv

from xrv_node import phantom
from xrv_node.datasets.load import load
from xrv_node.models import catalog
from xrv_node.models.commissioning import seeded_state
from xrv_node.validate import networks
from xrv_node.validate.reading import Images, batches

BATCH = 16
HEADINGS = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position")


def dataset(folder: Path, count: int) -> None:
    """Write so many different pictures, and the owner's table."""
    (folder / "images").mkdir()
    rows = []
    for number in range(count):
        name = f"{number:08d}_000.png"
        if number < 8:  # drawing takes longer than what is measured: a turn of the grey scale makes others
            drawn = (phantom.radiograph("PA", seed=number) >> 4).astype(np.uint8)
        else:
            drawn = cv2.imread(str(folder / "images" / rows[number - 8][0]), cv2.IMREAD_GRAYSCALE)
            drawn = cv2.flip(drawn, 1) if number % 2 else np.maximum(drawn, 3)
        cv2.imwrite(str(folder / "images" / name), drawn)
        rows.append((name, "Effusion", number, 50, "F", "PA"))
    with (folder / "Data_Entry_2017_v2020.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADINGS, *rows])


def rate(items: Iterable[int], clock: Callable[[], float]) -> float:
    """Images per second after the first batch."""
    batches_ = iter(items)
    next(batches_)
    began = clock()
    count = sum(batches_)
    return count / (clock() - began)


def ours(folder: Path, count: int, workers: int, run: networks.Networks, *, score: bool) -> Iterable[int]:
    table = load("nih", folder, views=("*",), unique_patients=False)
    for batch in batches(Images(table, np.arange(count), run.sizes, "skimage"), BATCH, workers):
        if score:
            networks.forward(run, batch.tensors)
        yield len(batch.good)


def theirs(folder: Path, workers: int, model: torch.nn.Module, *, score: bool) -> Iterable[int]:
    crop, resize = xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(224)
    images = xrv.datasets.NIH_Dataset(
        imgpath=str(folder / "images"),
        csvpath=str(folder / "Data_Entry_2017_v2020.csv"),
        views=["*"],
        unique_patients=False,
        transform=lambda x: resize(crop(x)),
    )
    loader = torch.utils.data.DataLoader(images, batch_size=BATCH, num_workers=workers)
    for batch in loader:
        if score:
            with torch.no_grad():
                model(batch["img"])
        yield len(batch["img"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1 round in place of 5")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, default=160)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(benching.machine(), end="\n\n")
    run = networks.load(("all", "chestx_det", "101-elastic"), Path(), "cpu", commissioning=True)
    model = xrv.models.DenseNet(weights=None)
    model.load_state_dict(seeded_state(catalog.find("all")), strict=False)
    model.eval()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        dataset(folder, chosen.images)
        rows = []
        for workers, clock, what in (
            (chosen.workers, time.perf_counter, f"{chosen.workers} processes, images per second"),
            (0, time.process_time, "no processes, images per second of processor time"),
        ):
            for score in (False, True):
                pairs = []
                for _ in range(1 if chosen.quick else 5):  # in turns: what else runs meets both
                    with contextlib.redirect_stdout(io.StringIO()):  # it prints a hint for each resizer
                        slow = rate(theirs(folder, workers, model, score=score), clock)
                        fast = rate(ours(folder, chosen.images, workers, run, score=score), clock)
                    pairs.append((slow, fast))
                rows.append(
                    [
                        f"{'read, prepare and score' if score else 'read and prepare'}; {what}",
                        f"{median(slow for slow, _ in pairs):.1f}",
                        f"{median(fast for _, fast in pairs):.1f}",
                        f"{median(fast / slow for slow, fast in pairs):.1f}",
                    ]
                )
    benching.table(["PNG 1024 x 1024 to 224", "torchxrayvision", "xrv-node", "times faster"], rows)


if __name__ == "__main__":
    main()

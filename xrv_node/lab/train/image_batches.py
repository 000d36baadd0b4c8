"""Images of a table, in batches: in an order of each epoch, read ahead by threads.

What happens to an image depends on seed, epoch and row alone. So a training that goes on in the middle of an
epoch sees what it would have seen, whatever was read before, and nobody's random state is touched.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrv_node.errors import ImageError
from xrv_node.lab.datasets.augment import Augmentation
from xrv_node.lab.datasets.table import LabelTable
from xrv_node.lab.datasets.torch_dataset import Example, Images
from xrv_node.lab.datasets.transforms import Fit
from xrv_node.lab.train.recipe import Recipe

READERS = max(4, os.cpu_count() or 1)
"""Threads; PNG and JPEG are decoded outside Python's lock, and a GPU trains faster than one core decodes."""

AHEAD = 2
"""Batches that are read before they are asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Images with their labels."""

    rows: NDArray[np.intp]
    """Of the table; those whose image cannot be read are left out."""
    images: Tensor
    """float32 ``[B, 1, size, size]`` in [-1024, 1024]."""
    labels: Tensor
    """float32 ``[B, findings]``, 1 present, 0 absent, NaN unknown."""


def plain(table: LabelTable, size: int) -> Images:
    """Return the images as the node's classifier gets them."""
    return Images(table, Fit(size))


def augmented(table: LabelTable, size: int, recipe: Recipe, epoch: int) -> Images:
    """Return the images as they are trained on in an epoch."""
    (seed,) = np.random.SeedSequence((recipe.seed, epoch)).generate_state(1)
    augmentation = Augmentation(recipe.rotation, recipe.translation, recipe.scaling)
    return Images(table, Fit(size), augmentation, int(seed))


def shuffled(rows: NDArray[np.intp], seed: int, epoch: int) -> NDArray[np.intp]:
    """Return the rows in the order of an epoch."""
    return np.random.default_rng((seed, epoch)).permutation(rows)


def batches(images: Images, rows: NDArray[np.intp], batch: int, unread: dict[str, str]) -> Iterator[Batch]:
    """Read rows of a table, in their order.

    Parameters
    ----------
    images
        All of one size.
    rows
        Their numbers.
    batch
        Images at a time; the last batch may have fewer.
    unread
        Gets the path in the table, and why, of each image that cannot be read.

    Yields
    ------
    Batch
        One for each `batch` rows, also where no image of them can be read.
    """

    def read(row: int) -> Example | ImageError:
        try:
            return images[row]
        except ImageError as error:
            return error

    pool = ThreadPoolExecutor(READERS)
    pending: deque[tuple[NDArray[np.intp], list[Future[Example | ImageError]]]] = deque()
    try:
        for first in range(0, len(rows), batch):
            some = rows[first : first + batch]
            pending.append((some, [pool.submit(read, int(row)) for row in some]))
            if len(pending) > AHEAD:
                yield _batch(images.table, *pending.popleft(), unread)
        while pending:
            yield _batch(images.table, *pending.popleft(), unread)
    finally:
        pool.shutdown(cancel_futures=True)


def _batch(
    table: LabelTable,
    rows: NDArray[np.intp],
    futures: list[Future[Example | ImageError]],
    unread: dict[str, str],
) -> Batch:
    pixels: list[Tensor] = []
    kept: list[int] = []
    for row, future in zip(rows.tolist(), futures, strict=True):
        found = future.result()
        if isinstance(found, ImageError):
            unread[table.csv["image"].iloc[row]] = str(found)
        else:
            pixels.append(torch.from_numpy(found["img"]))
            kept.append(row)
    numbers = np.array(kept, dtype=np.intp)
    together = torch.stack(pixels) if pixels else torch.empty(0, 1, 1, 1)
    return Batch(numbers, together, torch.from_numpy(table.labels[numbers]))

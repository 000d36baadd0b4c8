"""Images read and prepared beside the networks: items and batches of torch's ``DataLoader``.

Processes do it, each a batch at a time, and hand the tensors on in shared memory. The networks never wait for
a decoder as long as there are enough of them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from pydicom import Dataset
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from xrv_node.analyse.heatmap import GRID
from xrv_node.datasets.images import open_image
from xrv_node.datasets.masks import Mask, pathology_masks, resized, semantic_masks
from xrv_node.datasets.table import LabelTable
from xrv_node.datasets.transforms import Fit
from xrv_node.errors import DatasetError, ImageError
from xrv_node.monitor.sample import HEADER_FIELDS
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.prepare import frame, prepare_all

AHEAD = 2
"""Batches that each process holds ready: with their size it bounds the memory, whatever the dataset's."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One image, ready for the networks, or why not."""

    row: int
    why_not: str = ""
    inputs: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    """By side: ``[side, side]`` in [-1024, 1024]."""
    header: Dataset | None = None
    """`HEADER_FIELDS` of a DICOM image."""
    regions: dict[str, Mask] = field(default_factory=dict)
    """By finding: ``[GRID, GRID]`` over the square that the network sees, where an annotator marked it."""
    structures: dict[str, Mask] = field(default_factory=dict)
    """By anatomical structure: the dataset's mask over that square, as large as the segmenter's."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Images that go through the networks together."""

    good: tuple[Prepared, ...]
    """Without ``inputs``: they are in `tensors`."""
    bad: tuple[Prepared, ...]
    tensors: dict[int, torch.Tensor]
    """By side: ``[len(good), 1, side, side]``; empty where no image is good."""

    def pin_memory(self) -> Batch:
        """Move the tensors to where a GPU copies from while it computes (``DataLoader`` calls this)."""
        return Batch(self.good, self.bad, {size: one.pin_memory() for size, one in self.tensors.items()})


class Images(TorchDataset[Prepared]):
    """Rows of a table as torch takes them; what cannot be read is said, never raised.

    Parameters
    ----------
    table
        Only its paths are kept.
    rows
        Which, in this order.
    sizes
        Sides of the squares that the networks take.
    resampler
        A name of ``radiograph.resample.RESAMPLERS``.
    with_regions
        Whether what annotators marked is wanted too.
    structures
        Side of the masks of anatomical structures; None: they are not wanted.
    """

    def __init__(
        self,
        table: LabelTable,
        rows: NDArray[np.int64],
        sizes: Sequence[int],
        resampler: str,
        *,
        with_regions: bool = False,
        structures: int | None = None,
    ) -> None:
        self._rows, self._sizes, self._resampler = rows, tuple(sizes), resampler
        self._with_regions, self._structures = with_regions, structures
        self._root = table.root
        # an array of fixed-width text is one block of memory, which processes share until one writes to it
        self._images = table.csv["image"].to_numpy(dtype=str)[rows]
        drawn = table.csv["has_masks"].to_numpy(dtype=bool)[rows] & (with_regions or structures is not None)
        self._drawn = table.take(rows[drawn])
        self._place = {int(row): place for place, row in enumerate(rows[drawn])}

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._rows)

    def __getitem__(self, index: int) -> Prepared:
        """Read and prepare one."""
        row = int(self._rows[index])
        try:
            radiograph = open_image(self._root / str(self._images[index]))
            place = self._place.get(row)
            regions = {} if place is None else self._regions(place, radiograph)
            structures = {} if place is None else self._outlines(place, radiograph)
        except (ImageError, DatasetError) as error:
            return Prepared(row, str(error))
        inputs = prepare_all(radiograph, self._sizes, self._resampler)
        return Prepared(row, "", inputs, _fields(radiograph.header), regions, structures)

    def _regions(self, place: int, radiograph: Radiograph) -> dict[str, Mask]:
        if not self._with_regions:
            return {}
        table, size = self._drawn, (radiograph.rows, radiograph.columns)
        square = frame(*size)
        seen = (slice(square.top, square.top + square.side), slice(square.left, square.left + square.side))
        return {
            table.pathologies[label]: resized(mask[seen], (GRID, GRID))
            for label, mask in pathology_masks(table, table[place], size).items()
        }

    def _outlines(self, place: int, radiograph: Radiograph) -> dict[str, Mask]:
        if self._structures is None:
            return {}
        table, size = self._drawn, (radiograph.rows, radiograph.columns)
        # the very transform of the image: another one would move the edges that are compared
        fit = Fit(self._structures, resampler=self._resampler)
        found = semantic_masks(table, table[place], size)
        return {name: fit.mask(mask)[0] > 0.5 for name, mask in found.items()}


def batches(images: Images, size: int, workers: int, *, pinned: bool = False) -> Iterator[Batch]:
    """Yield all images in batches.

    Parameters
    ----------
    images
        What to read.
    size
        Images in a batch.
    workers
        Processes that read; 0: none, this one does.
    pinned
        For a GPU.

    Raises
    ------
    RuntimeError
        A process was killed, mostly for want of memory.
    """
    if not len(images):
        return
    yield from DataLoader(
        images,
        batch_size=size,
        num_workers=workers,
        collate_fn=_together,
        pin_memory=pinned,
        prefetch_factor=AHEAD if workers else None,
        # forking this process would copy the locks of torch's threads, held or not
        multiprocessing_context=multiprocessing.get_context("spawn") if workers else None,
        worker_init_fn=_alone,
    )


def _together(items: Sequence[Prepared]) -> Batch:
    good = [item for item in items if not item.why_not]
    tensors = {
        size: torch.from_numpy(np.stack([item.inputs[size] for item in good])[:, np.newaxis])
        for size in (good[0].inputs if good else ())
    }
    bare = tuple(replace(item, inputs={}) for item in good)
    return Batch(bare, tuple(item for item in items if item.why_not), tensors)


def _alone(_: int) -> None:
    """One thread a process: more would fight for the same cores."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _fields(header: Dataset | None) -> Dataset | None:
    if header is None:
        return None
    kept = Dataset()
    for keyword in HEADER_FIELDS:
        if keyword in header:
            kept[keyword] = header[keyword]
    return kept

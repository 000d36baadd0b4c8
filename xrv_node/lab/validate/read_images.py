"""Images read and prepared beside the networks, in batches.

Reading processes import this module, so it imports neither torch nor pandas: those take seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.analyse.heatmap import GRID
from xrv_node.errors import DatasetError, ImageError
from xrv_node.lab.baseline.header_fields import Facts, facts
from xrv_node.lab.datasets.images import caution, open_image, tell_once
from xrv_node.lab.statistics.overlap import Mask, packed, unpacked
from xrv_node.lab.validate import reader_processes
from xrv_node.phantom.recognition import see_that_it_may_be_answered
from xrv_node.radiograph.prepare import frame, prepare_all
from xrv_node.values import Frame

if TYPE_CHECKING:
    from xrv_node.lab.datasets.table import LabelTable


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """One image, ready for the networks, or why not."""

    row: int
    why_not: str = ""
    inputs: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    """By side: ``[side, side]`` in [-1024, 1024]."""
    header: Facts | None = None
    """Of a DICOM image."""
    regions: dict[str, Mask] = field(default_factory=dict)
    """By finding: ``[GRID, GRID]`` over the square that the network sees, where an annotator marked it; empty
    where that is outside of it."""
    structures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    """By anatomical structure: the dataset's mask in the image's own pixels, empty beyond that square
    (``overlap.packed``)."""
    square: Frame | None = None
    """Where it lies in the image; None where that could not be read."""
    caution: tuple[str, str] | None = None
    """What a picture was read in spite of (``datasets.images.caution``)."""

    @property
    def drawn(self) -> dict[str, Mask]:
        """`structures`, ``[rows, columns]`` each."""
        if self.square is None:
            return {}
        shape = self.square.rows, self.square.columns
        return {name: unpacked(bits, shape) for name, bits in self.structures.items()}


@dataclass(frozen=True, slots=True, eq=False)
class PreparedBatch:
    """Images that go through the networks together."""

    good: tuple[PreparedImage, ...]
    """Each without its inputs, which are together here."""
    bad: tuple[PreparedImage, ...]
    inputs: dict[int, NDArray[np.float32]]
    """By side: ``[len(good), 1, side, side]``; empty where no image is good."""


class PreparedImages:
    """Rows of a table, each read when it is asked for; what cannot be read is said, never raised.

    Parameters
    ----------
    table
        Where nothing that is drawn is wanted, only its paths are kept.
    rows
        Which, in this order.
    sizes
        Sides of the squares that the networks take.
    resampler
        A name of ``radiograph.resample.RESAMPLERS``.
    with_regions
        Whether what annotators marked is wanted too.
    with_structures
        Whether the masks of anatomical structures are wanted too.
    phantoms
        Whether the networks are those for phantoms, which are shown nothing else.
    """

    def __init__(
        self,
        table: LabelTable,
        rows: NDArray[np.int64],
        sizes: Sequence[int],
        resampler: str,
        *,
        with_regions: bool = False,
        with_structures: bool = False,
        phantoms: bool = False,
    ) -> None:
        self._rows, self._sizes, self._resampler = rows, tuple(sizes), resampler
        self._with_regions, self._with_structures = with_regions, with_structures
        self._phantoms = phantoms
        self._root, self._images = table.root, table.csv["image"].to_numpy(dtype=str)[rows]
        wanted = with_regions or with_structures
        self._has_masks = table.csv["has_masks"].to_numpy(dtype=bool)[rows] & wanted
        self._table = table.take(rows) if wanted else None

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._rows)

    def __getitem__(self, index: int) -> PreparedImage:
        """Read and prepare one."""
        row = int(self._rows[index])
        try:
            path = self._root / str(self._images[index])
            radiograph = open_image(path)
            if self._phantoms:
                see_that_it_may_be_answered(radiograph, by_phantom_set=True)
            square = frame(radiograph.rows, radiograph.columns, radiograph.aspect)
            regions, structures = {}, {}
            if self._table is not None and self._has_masks[index]:
                regions = _regions(self._table, index, square) if self._with_regions else {}
                structures = _outlines(self._table, index, square) if self._with_structures else {}
        except (ImageError, DatasetError) as error:
            return PreparedImage(row, str(error))
        inputs = prepare_all(radiograph, self._sizes, self._resampler)
        return PreparedImage(
            row=row,
            why_not="",
            inputs=inputs,
            header=_facts(radiograph.header),
            regions=regions,
            structures=structures,
            square=square,
            caution=caution(path, radiograph),
        )

    def part(self, places: slice) -> PreparedImages:
        """Return some, with nothing of the others: what a reading process is sent."""
        part = copy(self)
        part._rows, part._images = self._rows[places], self._images[places]
        part._has_masks = self._has_masks[places]
        part._table = None  # it would bring pandas along
        if self._table is not None and part._has_masks.any():
            part._table = self._table.take(np.arange(len(self))[places])
        return part


def _regions(table: LabelTable, index: int, square: Frame) -> dict[str, Mask]:
    from xrv_node.lab.datasets.masks import pathology_masks

    found, seen = pathology_masks(table, table[index], (square.rows, square.columns)), _within(square)
    return {table.pathologies[label]: _on_grid(mask[seen]) for label, mask in found.items()}


def _on_grid(mask: Mask) -> Mask:
    """Bring a mask to the grid of a heat map; what is too small to be seen there keeps the cells it is in."""
    from xrv_node.lab.datasets.masks import resized

    grid = resized(mask, (GRID, GRID))
    if mask.any() and not grid.any():
        rows, columns = np.nonzero(mask)
        grid = grid.copy()
        grid[rows * GRID // mask.shape[0], columns * GRID // mask.shape[1]] = True
    return grid


def _outlines(table: LabelTable, index: int, square: Frame) -> dict[str, NDArray[np.uint8]]:
    from xrv_node.lab.datasets.masks import resized, semantic_masks

    size, seen = (square.rows, square.columns), _within(square)
    found = {}
    for name, mask in semantic_masks(table, table[index], size).items():
        cut = np.zeros(size, dtype=np.bool_)  # the segmenter cannot outline what it does not see
        cut[seen] = resized(mask, size)[seen]
        found[name] = packed(cut)
    return found


def begin() -> None:
    """Have what reads in other processes started; call it before what takes time here."""
    reader_processes.begin(__name__)


def batches(images: PreparedImages, size: int, workers: int) -> Iterator[PreparedBatch]:
    """Yield all images in batches.

    Parameters
    ----------
    images
        What to read.
    size
        Images in a batch.
    workers
        Processes that read; 0: none, this one does.

    Raises
    ------
    BrokenProcessPool
        A process was killed, mostly for want of memory.
    """
    parts = (images.part(slice(first, first + size)) for first in range(0, len(images), size))
    for batch in reader_processes.each(_together, parts, workers) if workers else map(_together, parts):
        for image in batch.good:
            tell_once(image.caution)
        yield batch


def _together(images: PreparedImages) -> PreparedBatch:
    items = [images[index] for index in range(len(images))]
    good = [item for item in items if not item.why_not]
    inputs = {
        size: np.stack([item.inputs[size] for item in good])[:, np.newaxis]
        for size in (good[0].inputs if good else ())
    }
    bare = tuple(replace(item, inputs={}) for item in good)
    return PreparedBatch(bare, tuple(item for item in items if item.why_not), inputs)


def _within(square: Frame) -> tuple[slice, slice]:
    """Rows and columns of the square, which lies within the image."""
    height, width = square.extent
    return slice(square.top, square.top + height), slice(square.left, square.left + width)


def _facts(header: Dataset | None) -> Facts | None:
    return None if header is None else facts(header)

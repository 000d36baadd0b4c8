"""What the annotators outlined, as masks over the image: boxes, ellipses, polygons, runs and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.mask_file import Mask, read_mask
from xrv_node.lab.datasets.table import Item, LabelTable, Region, Shape
from xrv_node.radiograph.image import MAX_PIXELS

Size = tuple[int, int]
"""Rows and columns."""
Points = NDArray[np.float64]
"""``[n, 2]``, x and y in pixels of the image."""
_FARTHEST = 1e6
"""Coordinates from this on are none, nor is NaN."""


def pathology_masks(table: LabelTable, item: Item, size: Size) -> dict[int, Mask]:
    """Return the masks of an image's findings.

    Parameters
    ----------
    table, item
        A table and a row of it.
    size
        Rows and columns of the image.

    Returns
    -------
    dict
        By the label's position in ``table.pathologies``: all of its regions together, over the whole image.
        Labels that the table does not have, and those without a region, are not in it. As with
        torchxrayvision, boxes that were drawn on another grid are brought to the image's pixels and cut to
        whole ones. Where the table is ``xrv_compatible``, masks of a grid are as high as the image is wide.

    Raises
    ------
    DatasetError
        The owner's file has an outline that is none.
    """
    found = _drawn(table, [region for region in item.regions if not region.semantic], size)
    return {table.pathologies.index(name): mask for name, mask in found.items() if name in table.pathologies}


def semantic_masks(table: LabelTable, item: Item, size: Size) -> dict[str, Mask]:
    """Return the masks of an image's anatomical structures by name, e.g. ``Left Lung``.

    Parameters, errors and masks are those of `pathology_masks`. Where the table is ``xrv_compatible``, masks
    have the size of their files, and only pure white is inside.

    Raises
    ------
    DatasetError
        As `pathology_masks`.
    ImageError
        The file of a mask is not there, cannot be decoded, or is none (`mask_file`).
    """
    return _drawn(table, [region for region in item.regions if region.semantic], size)


def _drawn(table: LabelTable, regions: Sequence[Region], size: Size) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    for region in regions:
        mask = _mask(region, size, table.root, table.xrv_compatible)
        masks[region.name] = masks[region.name] | mask if region.name in masks else mask
    return masks


def resized(mask: Mask, size: Size) -> Mask:
    """Bring a mask to another size, each axis for itself.

    Parameters
    ----------
    mask
        ``[rows, columns]``.
    size
        Rows and columns wanted.

    Returns
    -------
    ndarray
        The pixels that torchxrayvision keeps, by ``skimage.transform.resize(mask, size, mode="constant",
        order=0)`` and rounding: the nearest one, where the mask is reduced that of the mask behind a Gaussian
        of sigma ``(factor - 1) / 2``.
    """
    if mask.shape == size:
        return mask
    factors = [have / want for have, want in zip(mask.shape, size, strict=True)]
    values = mask.astype(np.float64)
    if max(factors) > 1:
        values = ndimage.gaussian_filter(values, [max(0.0, (f - 1) / 2) for f in factors], mode="constant")
    rows, columns = (
        np.minimum(((np.arange(want) + 0.5) * factor).astype(int), have - 1)
        for have, want, factor in zip(mask.shape, size, factors, strict=True)
    )
    near: Mask = values[np.ix_(rows, columns)] > 0.5
    return near


def _mask(region: Region, size: Size, root: Path, xrv_compatible: bool) -> Mask:
    if region.shape == "file":
        inside = read_mask(root / str(region.data), region.others, white_only=xrv_compatible)
        return inside if xrv_compatible else resized(inside, size)
    if xrv_compatible and region.grid is not None:
        size = (size[1], size[1])  # torchxrayvision takes the width for both
    grid = region.grid or size
    try:
        if isinstance(region.data, str):
            return resized(_runs(_COUNTS[region.shape](region.data), grid), size)
        scale = np.array([size[1] / grid[1], size[0] / grid[0]])
        points = np.array(region.data, dtype=np.float64).reshape(-1, 2) * scale
        if not (np.abs(points) < _FARTHEST).all():
            raise ValueError
        return _OUTLINES[region.shape](points, size)
    except (ValueError, OverflowError, KeyError, ZeroDivisionError) as error:
        raise DatasetError(
            f"an outline of {region.name} is no {region.shape}; get the dataset's file again"
        ) from error


def _box(points: Points, size: Size) -> Mask:
    """Left and top, width and height."""
    (left, top), (width, height) = points.astype(int)
    return _corners(np.array([[left, top], [left + width, top + height]]), size)


def _corners(points: Points, size: Size) -> Mask:
    """Left and top, right and bottom; pixels are cut to whole ones as torchxrayvision does."""
    (left, top), (right, bottom) = np.maximum(points.astype(int), 0)
    mask = np.zeros(size, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def _ellipse(points: Points, size: Size) -> Mask:
    """Left and top, right and bottom of the box around it: the pixels whose centre is inside."""
    (left, top), (right, bottom) = points
    if left == right or top == bottom:
        return np.zeros(size, dtype=bool)
    x = (2 * np.arange(size[1]) + 1 - left - right) / (right - left)
    y = (2 * np.arange(size[0]) + 1 - top - bottom) / (bottom - top)
    inside: Mask = x[np.newaxis] ** 2 + y[:, np.newaxis] ** 2 <= 1
    return inside


def _polygon(points: Points, size: Size) -> Mask:
    """Its corners: the pixels left of whose centre its line passes an odd number of times."""
    passes = np.zeros((size[0], size[1] + 1), dtype=np.int32)
    centres = np.arange(size[0]) + 0.5
    for (x, y), (next_x, next_y) in zip(points, np.roll(points, -1, axis=0), strict=True):
        rows = np.flatnonzero((y <= centres) != (next_y <= centres))
        at = x + (centres[rows] - y) * ((next_x - x) / (next_y - y) if len(rows) else 0)
        passes[rows, np.clip(np.ceil(at - 0.5), 0, size[1]).astype(int)] += 1
    inside: Mask = passes[:, :-1].cumsum(axis=1) % 2 == 1
    return inside


def _runs(counts: Sequence[int], grid: Size) -> Mask:
    """Pixels outside, inside, outside, ... column by column; those after the last run are outside."""
    area = grid[0] * grid[1]
    rest = area - sum(counts)
    if min(grid) < 1 or min([*counts, rest]) < 0 or area > MAX_PIXELS:
        raise ValueError
    every = np.array([*counts, rest])
    inside = np.arange(len(every)) % 2 == 1
    inside[-1] = False
    return np.repeat(inside, every).reshape(grid[1], grid[0]).T


def _offsets(text: str) -> list[int]:
    """SIIM-ACR's runs: how many pixels after the end of the run before, and how many."""
    return list(map(int, text.split()))


def _coco(text: str) -> list[int]:
    """The compressed runs of COCO (``rleFrString`` of cocoapi's maskApi.c).

    A number is a row of letters from ``0`` on, five bits each, the lowest first, with a sixth bit where
    another letter follows and the sign in the last one's fifth. From the fourth run on it is the difference
    from the run before the last.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text.encode("ascii"):
        bits = letter - ord("0")
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError
    return counts


_COUNTS: dict[Shape, Callable[[str], list[int]]] = {"offset_rle": _offsets, "coco_rle": _coco}
_OUTLINES: dict[Shape, Callable[[Points, Size], Mask]] = {
    "xywh": _box,
    "xyxy": _corners,
    "ellipse": _ellipse,
    "polygon": _polygon,
}

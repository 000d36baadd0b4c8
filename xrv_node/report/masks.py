"""Masks in the source's own matrix, each for itself or as one map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xrv_node.values import Analysis, Frame

_HALF = 128
"""Where a resampled 0/255 mask is cut: a pixel belongs to the structure that covers more than half of it."""


def source_masks(analysis: Analysis) -> NDArray[np.bool_]:
    """Bring an analysis' masks to its image's matrix, bool ``[k, rows, columns]`` (`placed`)."""
    return placed(analysis.masks, analysis.frame)


def placed(masks: NDArray[np.bool_], frame: Frame) -> NDArray[np.bool_]:
    """Bring masks from the networks' square to the source's matrix.

    They are resampled linearly and cut at one half, which keeps outlines smooth where nearest neighbours
    make steps of several pixels; a mask of the square's own size is taken as it is. Outside the square all
    is False.

    Parameters
    ----------
    masks : ndarray of bool
        ``[k, n, n]`` over the square of `frame`.
    frame : Frame
        It may reach beyond the image.

    Returns
    -------
    ndarray of bool
        ``[k, rows, columns]``.
    """
    import cv2

    out = np.zeros((len(masks), frame.rows, frame.columns), dtype=np.bool_)
    image, square = overlap(frame)
    for mask, target in zip(masks, out, strict=True):
        if mask.any():
            grey = mask.astype(np.uint8) * 255
            if mask.shape != frame.extent:
                grey = cv2.resize(grey, frame.extent[::-1], interpolation=cv2.INTER_LINEAR)
            np.greater_equal(grey[square], _HALF, out=target[image])
    return out


def label_map(masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Bring masks that may overlap into one map.

    Where structures overlap, the one with the fewest pixels is kept, lest the lung swallow the clavicle; of
    equal ones, the last.

    Parameters
    ----------
    masks : ndarray of bool
        ``[k, rows, columns]``, k at most 255.

    Returns
    -------
    ndarray of uint8
        ``[rows, columns]``: 0 outside all structures, else the mask's number from 1.
    """
    labels = np.zeros(masks.shape[1:], dtype=np.uint8)
    for k in sorted(range(len(masks)), key=lambda k: -np.count_nonzero(masks[k])):
        np.copyto(labels, k + 1, where=masks[k])
    return labels


def overlap(frame: Frame) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where image and square overlap, once in the image's rows and columns and once in the
    square's."""
    top, left = max(frame.top, 0), max(frame.left, 0)
    height, width = frame.extent
    bottom, right = min(frame.top + height, frame.rows), min(frame.left + width, frame.columns)
    image = (slice(top, max(bottom, top)), slice(left, max(right, left)))
    y, x = top - frame.top, left - frame.left
    return image, (slice(y, y + max(bottom - top, 0)), slice(x, x + max(right - left, 0)))

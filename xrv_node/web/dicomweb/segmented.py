"""A segmentation as a picture: segments in their colours over the image that they are of (PS3.3 C.8.20)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from xrv_node.errors import ImageError
from xrv_node.reasons import Reason
from xrv_node.web.dicomweb import frames as located
from xrv_node.web.dicomweb import recode
from xrv_node.web.dicomweb.frames import Frames
from xrv_node.web.dicomweb.picture import Picture

_OPACITY = 0.4
_MOST = 256
"""Frames that are drawn over one image, and segments of a label map: each is a walk over all its pixels."""
_COLOURS = ((230, 90, 80), (80, 160, 230), (110, 200, 110), (230, 190, 70), (180, 110, 220), (80, 200, 200))
"""Of segments that name none, in turn."""


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """What is drawn over one image."""

    frames: Frames
    source: str | None
    """SOP Instance UID of the image; None where none is named."""
    drawn: tuple[tuple[int, int | None], ...]
    """Frames, from 0, each with its segment; None: the pixels are the segments' numbers (a label map)."""
    colours: dict[int, tuple[int, int, int]]
    """RGB, by segment number."""


def read(frames: Frames) -> Segmentation:
    """Read what a segmentation says of its frames.

    Returns
    -------
    Segmentation
        Of the image that its first frame is of; its frames of other images are left out.

    Raises
    ------
    ImageError
        If it is none, or damaged.
    """
    try:
        return _read(frames)
    except Exception as error:  # bytes from outside
        raise ImageError(Reason("undecodable", why=type(error).__name__)) from error


def over(made: Segmentation, image: Picture | None) -> Picture:
    """Draw the segments over their image; over black where that is not here.

    Raises
    ------
    ImageError
        If a frame cannot be decoded, or has not the image's shape.
    """
    canvas: NDArray[Any] | None = None
    for index, number in made.drawn:
        samples = located.decoded(made.frames, index)[0]
        if canvas is None:
            canvas = _canvas(image, samples.shape)
        if samples.shape != canvas.shape[:2]:
            raise ImageError(Reason("undecodable", why="shape"))
        for segment in [number] if number is not None else [int(n) for n in np.unique(samples) if n][:_MOST]:
            mask = samples > 0 if number is not None else samples == segment
            colour = np.array(made.colours.get(segment, _COLOURS[segment % len(_COLOURS)]), np.float32)
            canvas[mask] = canvas[mask] * (1 - _OPACITY) + colour * _OPACITY
    if canvas is None:
        raise ImageError(Reason("no-pixel-data"))
    return canvas.astype(np.uint8)


def _canvas(image: Picture | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if image is None:
        return np.zeros((*shape[:2], 3), np.float32)
    colours = image if image.ndim == 3 else np.repeat(image[..., np.newaxis], 3, axis=2)
    return colours.astype(np.float32)


def _read(frames: Frames) -> Segmentation:
    header = recode.whole_header(frames.path, frames.syntax)
    labelled = header.SegmentationType == "LABELMAP"
    named = list(_named(header, frames.count))
    source = next((uid for _, uid in named if uid), None)
    drawn = tuple(
        (index, None if labelled else number)
        for index, (number, uid) in enumerate(named)
        if uid == source and (labelled or number is not None)
    )
    return Segmentation(frames, source, drawn[:_MOST], dict(_colours(header)))


def _named(header: Dataset, count: int) -> Iterator[tuple[int | None, str | None]]:
    """Segment and source image of each frame."""
    (shared,) = header.get("SharedFunctionalGroupsSequence") or (Dataset(),)
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    for index in range(count):
        groups = (per_frame[index], shared) if index < len(per_frame) else (shared,)
        segment = _first(groups, "SegmentIdentificationSequence")
        derived = _first(groups, "DerivationImageSequence")
        image = _first((derived,), "SourceImageSequence") if derived else None
        number = segment.get("ReferencedSegmentNumber") if segment else None
        uid = image.get("ReferencedSOPInstanceUID") if image else None
        yield None if number is None else int(number), None if uid is None else str(uid)


def _first(groups: tuple[Dataset, ...], keyword: str) -> Dataset | None:
    return next((found[0] for group in groups if (found := group.get(keyword))), None)


def _colours(header: Dataset) -> Iterator[tuple[int, tuple[int, int, int]]]:
    from highdicom.color import CIELabColor

    for segment in header.SegmentSequence:
        value = segment.get("RecommendedDisplayCIELabValue")
        if value:
            yield int(segment.SegmentNumber), CIELabColor.from_dicom_value(list(value)).to_rgb(clip=True)

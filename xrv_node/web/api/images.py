"""The pictures of one image: as it is, with all its grey levels, and what may be laid over it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from typing_extensions import TypedDict

from xrv_node.analyse.analysis_file import load
from xrv_node.db.tables import AnalysisRow, Instance, Study
from xrv_node.errors import XrvNodeError
from xrv_node.radiograph.display import LONGEST, display
from xrv_node.radiograph.image import Radiograph
from xrv_node.radiograph.read import read
from xrv_node.report import heat as colours
from xrv_node.report.located import settled
from xrv_node.report.overlay import overlay as drawn
from xrv_node.report.summary import quality
from xrv_node.values import Analysis, Frame, Point
from xrv_node.web.api import report
from xrv_node.web.node import WebNode

_TOLERANCE = 1.0
"""Pixels of the networks' square by which a simplified outline may leave the exact one."""
_WORDS = (1 << 16) - 1
"""The highest of 16 bits."""


class Structure(TypedDict):
    """A structure that the anatomy network found in an image."""

    name: str
    """torchxrayvision's."""
    outlines: list[list[Point]]
    """Closed polygons, column and row in pixels of the image."""


@dataclass(frozen=True)
class Grey:
    """An image for a viewer that has its own window."""

    data: bytes
    """Unsigned words of 16 bits, little endian, row by row; bright is dense."""
    rows: int
    columns: int
    low: float
    """The word that would be black."""
    high: float
    """The word that would be white."""
    aspect: float
    """Height of a pixel over its width."""


def _row(node: WebNode, study: str, instance: str) -> Instance:
    """The first object of a study with that SOP Instance UID.

    Raises
    ------
    XrvNodeError
        None came, or its file is not here any more.
    """
    query = (
        select(Instance)
        .join(Study, Study.id == Instance.study_id)
        .where(Study.study_instance_uid == study, Instance.sop_instance_uid == instance)
        .order_by(Instance.id)
    )
    with node.store.read() as db:
        found = db.scalars(query.limit(1)).first()
    if found is None or found.purged_at is not None:
        why = "its file is no longer here ([retention] inputs_days)" if found else "none such came here"
        raise XrvNodeError(f"no image {instance}: {why}")
    return found


def _read(node: WebNode, study: str, instance: str) -> Radiograph:
    return read(node.spool.absolute(_row(node, study, instance).path))


def pixels(node: WebNode, study: str, instance: str) -> Grey:
    """An image as the radiologist would see it, on all its levels."""
    shown = _read(node, study, instance)
    lowest, highest = float(shown.pixels.min()), float(shown.pixels.max())
    exact = np.issubdtype(shown.pixels.dtype, np.integer) and highest - lowest <= _WORDS
    scale = 1.0 if exact else _WORDS / ((highest - lowest) or 1.0)
    levels = (shown.pixels.astype(np.float64) - lowest) * scale
    return Grey(
        np.round(levels).astype("<u2").tobytes(),
        shown.rows,
        shown.columns,
        (shown.low - lowest) * scale,
        (shown.high - lowest) * scale,
        shown.aspect,
    )


def picture(node: WebNode, study: str, instance: str) -> bytes:
    """An image reduced to a screen's size, as PNG."""
    kept = None
    with suppress(XrvNodeError):  # it was not analysed, or no longer is: then from its file
        kept = _analysis(node, study, instance).picture
    return _png(display(_read(node, study, instance), LONGEST) if kept is None else kept)


def overlay(node: WebNode, study: str, instance: str) -> bytes:
    """What the networks say of an image as one picture, as a destination may get it, as PNG."""
    for _, _, image in report.read(node, study).images:
        if (
            str(image.header.SOPInstanceUID) == instance
            and image.error is None
            and image.analysis is not None
        ):
            shown = settled(image).analysis
            made = None if shown is None else drawn(shown, quality(image, report.LANGUAGE))
            if made is not None:
                return _png(np.ascontiguousarray(made[..., ::-1]))
    raise XrvNodeError(f"nothing can be drawn over image {instance}: it has no analysis that is reported")


def heat(node: WebNode, study: str, instance: str, label: str) -> bytes:
    """One finding's map over the whole image, transparent where it is cold, as PNG."""
    analysis = _analysis(node, study, instance)
    labels = [finding.label for finding in analysis.findings]
    if label not in labels:
        raise XrvNodeError(f"image {instance} has no finding {label}; there are: {', '.join(labels)}")
    frame = _reduced(analysis.frame)
    share = colours.share(analysis, labels.index(label), frame)
    if share is None:
        raise XrvNodeError(f"image {instance} has no map of {label}")
    return _png(colours.layer(share)[..., [2, 1, 0, 3]])


def anatomy(node: WebNode, study: str, instance: str) -> list[Structure]:
    """The outlines of what the anatomy network found."""
    import cv2

    analysis = _analysis(node, study, instance)
    frame = analysis.frame
    rows: list[Structure] = []
    for name, mask in zip(analysis.structures, analysis.masks, strict=True):
        down, across = (length / side for length, side in zip(frame.extent, mask.shape, strict=True))
        found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        smooth = [cv2.approxPolyDP(one, _TOLERANCE, closed=True) for one in found]
        outlines = [
            [
                (frame.left + (x + 0.5) * across, frame.top + (y + 0.5) * down)
                for x, y in one[:, 0, :].tolist()
            ]
            for one in smooth
        ]
        if outlines:
            rows.append({"name": name, "outlines": outlines})
    return rows


def _analysis(node: WebNode, study: str, instance: str) -> Analysis:
    """The newest analysis of an image that may be shown."""
    row = _row(node, study, instance)
    newest = (
        select(AnalysisRow.path)
        .where(AnalysisRow.instance_id == row.id, AnalysisRow.purged_at.is_(None))
        .order_by(AnalysisRow.id.desc())
    )
    with node.store.read() as db:
        path = db.scalars(newest.limit(1)).first()
    found = None if path is None else load(node.spool.absolute(path))
    if found is None or found.refused is not None:
        raise XrvNodeError(f"image {instance} has no analysis that is reported")
    return found


def _reduced(frame: Frame) -> Frame:
    """The frame in a picture of a screen's size."""
    scale = min(1.0, LONGEST / max(frame.rows, frame.columns))
    high, wide = frame.extent
    return replace(
        frame,
        rows=max(1, round(frame.rows * scale)),
        columns=max(1, round(frame.columns * scale)),
        top=round(frame.top * scale),
        left=round(frame.left * scale),
        side=max(1, round(high * scale)),
        width=max(1, round(wide * scale)),
    )


def _png(image: NDArray[Any]) -> bytes:
    import cv2

    made: Callable[..., Any] = cv2.imencode
    _, data = made(".png", np.ascontiguousarray(image), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return bytes(data.tobytes())

"""Pictures of what a network says: the radiograph in grey, colour over it, text beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from xrv_node.errors import XrvNodeError
from xrv_node.report.lettering import LINES, WHITE, Color, Rgb, band, panel, write
from xrv_node.values import Frame

LOWEST, HIGHEST = 480, 1200
"""Rows of a picture with a heat map: fewer hold no legible text, more show nothing else."""
_OPACITY = 0.6
"""Of the hottest colour; bone stays visible through it."""
_BAR = 12
"""Lines of the panel that the legend's bar takes."""


@dataclass(frozen=True, slots=True)
class Legend:
    """What the colours of a heat map stand for."""

    lines: Sequence[tuple[str, Color]]
    """Above the bar."""
    highest: float
    """Value of the hottest colour."""


def heat_picture(
    pixels: NDArray[np.uint8], heat: NDArray[np.float32], frame: Frame, legend: Legend, phantom: bool
) -> Rgb:
    """Draw a heat map on a radiograph, with its legend beside it and the notice below.

    Parameters
    ----------
    pixels
        uint8 ``[rows, columns]`` as displayed.
    heat
        ``[n, n]``, at least 0, over the square of `frame`. Zero is transparent.
    frame
        Where that square lies; outside it nothing is drawn, and a thin line shows its border.
    legend
        Its ``highest`` and all above it have the hottest colour.
    phantom
        Whether the network is one for phantoms: the picture then says so.

    Returns
    -------
    numpy.ndarray
        uint8 ``[rows', columns', 3]``, RGB: the radiograph at the top left, brought to between `LOWEST` and
        `HIGHEST` rows.
    """
    scale = float(np.clip(frame.rows, LOWEST, HIGHEST)) / frame.rows
    across = scale / frame.aspect
    rows, columns = round(frame.rows * scale), round(frame.columns * across)
    smaller = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture: Rgb = np.repeat(
        cv2.resize(pixels, (columns, rows), interpolation=smaller)[..., np.newaxis], 3, axis=2
    )
    top, left = round(frame.top * scale), round(frame.left * across)
    side = min(round(frame.side * scale), rows - top, columns - left)
    square = (slice(top, top + side), slice(left, left + side))
    share = np.asarray(cv2.resize(heat, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
    share = np.clip(share / legend.highest, 0, 1) if legend.highest > 0 else np.zeros_like(share)
    picture[square] = _heated(picture[square], share)
    if frame.extent != (frame.rows, frame.columns):
        cv2.rectangle(picture, (left, top), (left + side - 1, top + side - 1), WHITE, 1)
    beside = np.hstack([picture, _legend(rows, legend)])
    return np.vstack([beside, band(beside.shape[1], rows, phantom)])


def _heated(picture: Rgb, share: NDArray[np.float32]) -> Rgb:
    """Lay colours over a picture; what is hotter covers more."""
    levels = np.round(share * 255).astype(np.uint8)
    color = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    opacity = (_OPACITY * share)[..., np.newaxis]
    return np.round(picture * (1 - opacity) + color * opacity).astype(np.uint8)


def _legend(rows: int, legend: Legend) -> Rgb:
    """Return the panel: the lines, and below them the bar, on the grey of a lung field."""
    made = panel(rows, legend.lines)
    line = rows / LINES
    top, height = round((len(legend.lines) + 1) * line), round(_BAR * line)
    width = round(1.5 * line)
    left = round(line / 2)
    ramp = np.linspace(1, 0, height, dtype=np.float32)[:, np.newaxis].repeat(width, axis=1)
    made[top : top + height, left : left + width] = _heated(np.full((height, width, 3), 90, np.uint8), ramp)
    beside = left + width + round(line / 2)
    write(made, f"{legend.highest:.3g}", (beside, round(top + 0.8 * line)), line, WHITE)
    write(made, "0", (beside, top + height), line, WHITE)
    return made


def save(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture, grey ``[rows, columns]`` or RGB ``[rows, columns, 3]``, as PNG; folders are made.

    Raises
    ------
    XrvNodeError
        It cannot be written.
    """
    stored = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".png", stored)
    write_bytes(path, data.tobytes())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file; folders are made.

    Raises
    ------
    XrvNodeError
        It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise XrvNodeError(f"{path} cannot be written ({error.strerror}): name another --out") from error

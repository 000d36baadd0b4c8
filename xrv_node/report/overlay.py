"""The picture for every viewer that can show nothing else: outlines, findings and notice burned into an RGB
image.

The text stands beside and below the radiograph, never on it: what it covered could not be read any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xrv_node.report import codes, summary
from xrv_node.report.lettering import (
    GREY,
    LINES,
    RED,
    WHITE,
    YELLOW,
    Color,
    Rgb,
    band,
    enlarge,
    enlargement,
    panel,
    write,
)
from xrv_node.values import Finding


def overlay(
    pixels: NDArray[np.uint8],
    structures: Sequence[str],
    masks: NDArray[np.bool_],
    findings: Sequence[Finding],
    commissioning: bool = False,
) -> Rgb:
    """Draw the outlines of structures and regions on a radiograph, with the findings beside it and the
    notice below.

    Parameters
    ----------
    pixels : ndarray of uint8
        ``[rows, columns]`` as displayed: 0 black, 255 white.
    structures : sequence of str
        Names of the masks, torchxrayvision's.
    masks : ndarray of bool
        ``[len(structures), rows, columns]``, as `segmentation.source_masks` gives them.
    findings : sequence of Finding
        All findings of the image; regions in the pixels of ``pixels``.
    commissioning : bool
        Whether the networks are untrained: the picture then says that it is not a result.

    Returns
    -------
    ndarray of uint8
        ``[rows', columns', 3]``, RGB: the radiograph at the top left with a panel to its right and a band
        below. The radiograph keeps its size, except that a small one is enlarged (`lettering.enlargement`).

    Raises
    ------
    ConfigError
        If a finding or structure has no codes.
    """
    factor = enlargement(len(pixels))
    ranked = sorted(findings, key=lambda f: -f.score)
    picture: Rgb = np.repeat(enlarge(pixels, factor)[..., np.newaxis], 3, axis=2)
    line = max(1, round(len(picture) / 500))
    for name, mask in zip(structures, masks, strict=True):
        outline(picture, mask, factor, codes.structure(name).color)
    for number, finding in enumerate(ranked, 1):
        if finding.present and finding.region:
            _region(picture, number, finding, factor, line)
    found = [name for name, mask in zip(structures, masks, strict=True) if mask.any()]
    beside = np.hstack([picture, panel(len(picture), _table(ranked, found, commissioning))])
    return np.vstack([beside, band(beside.shape[1], len(picture), commissioning)])


def outline(picture: Rgb, mask: NDArray[np.bool_], factor: int, color: Color) -> None:
    """Draw the outline of a mask ``[rows, columns]`` into a picture that is `factor` times as large."""
    import cv2

    grey = enlarge(mask.astype(np.uint8), factor)
    outlines, _ = cv2.findContours(grey, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, outlines, -1, color, max(1, round(len(picture) / 500)))


def _table(ranked: Sequence[Finding], found: Sequence[str], commissioning: bool) -> list[tuple[str, Color]]:
    """Return the panel's lines: findings by score, numbered as the regions are, then the structures'
    colours."""
    lines: list[tuple[str, Color]] = []
    if commissioning:
        lines += [(summary.COMMISSIONING, RED), ("", RED)]
    lines.append(("Score (operating point 50 %)", WHITE))
    for number, finding in enumerate(ranked, 1):
        color = YELLOW if finding.present else GREY
        lines.append(
            (f"{number:2d} {summary.percent(finding.score):>5} %  {codes.finding(finding.label).name}", color)
        )
    lines += [("", WHITE), ("Anatomy", WHITE)]
    lines += [(name, codes.structure(name).color) for name in found]
    return lines


def _region(picture: Rgb, number: int, finding: Finding, factor: int, line: int) -> None:
    """Draw a finding's region and the number under which the panel lists it."""
    import cv2

    # Graphic data count from the corner of the top left pixel, OpenCV from its centre.
    corners = np.round(np.array(finding.region) * factor - 0.5).astype(np.int32)
    cv2.polylines(picture, [corners], isClosed=True, color=(0, 0, 0), thickness=3 * line)
    cv2.polylines(picture, [corners], isClosed=True, color=YELLOW, thickness=line)
    height = round(1.3 * len(picture) / LINES)
    column, row = (int(v) for v in corners[corners[:, 1].argmin()])
    width = height * len(str(number)) * 3 // 4
    column, row = max(0, min(column, picture.shape[1] - width)), max(row, height)
    cv2.rectangle(picture, (column, row), (column + width, row - height), (0, 0, 0), cv2.FILLED)
    write(picture, str(number), (column + height // 8, row - height // 5), height, YELLOW)

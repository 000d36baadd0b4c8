"""The picture for every viewer that can show nothing else: outlines, findings and notice burned into an RGB
image.

The text stands beside and below the radiograph, never on it: what it covered could not be read any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xrv_node.report import codes, summary
from xrv_node.values import Finding

Rgb = NDArray[np.uint8]
Color = tuple[int, int, int]

_WHITE, _GREY, _YELLOW, _RED = (255, 255, 255), (150, 150, 150), (255, 220, 0), (255, 90, 90)
_NOTICE = "AI - RESEARCH ONLY - NOT FOR DIAGNOSIS"
_LINES = 38
"""Lines of text that fit the height of the picture: notice, 18 findings, 14 structures and their headings."""
_PANEL = 0.45
"""Width of the text's panel as a share of the picture's height: the longest line in the font of `_LINES`."""
_SMALLEST = 400
"""Height in pixels under which a picture is enlarged: text of fewer than ten pixels cannot be read."""


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
        below. The radiograph keeps its size, except that one under 400 rows is enlarged by a whole number.

    Raises
    ------
    ConfigError
        If a finding or structure has no codes.
    """
    import cv2

    factor = -(-_SMALLEST // len(pixels))
    ranked = sorted(findings, key=lambda f: -f.score)
    picture: Rgb = np.repeat(_enlarge(pixels, factor)[..., np.newaxis], 3, axis=2)
    line = max(1, round(len(picture) / 500))
    for name, mask in zip(structures, masks, strict=True):
        outlines, _ = cv2.findContours(
            _enlarge(mask.astype(np.uint8), factor), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(picture, outlines, -1, codes.structure(name).color, line)
    for number, finding in enumerate(ranked, 1):
        if finding.present and finding.region:
            _region(picture, number, finding, factor, line)
    found = [name for name, mask in zip(structures, masks, strict=True) if mask.any()]
    beside = np.hstack([picture, _panel(len(picture), _table(ranked, found, commissioning))])
    return np.vstack([beside, _band(beside.shape[1], len(picture), commissioning)])


def _table(ranked: Sequence[Finding], found: Sequence[str], commissioning: bool) -> list[tuple[str, Color]]:
    """Return the panel's lines: findings by score, numbered as the regions are, then the structures'
    colours."""
    lines: list[tuple[str, Color]] = []
    if commissioning:
        lines += [(summary.COMMISSIONING, _RED), ("", _RED)]
    lines.append(("Score (operating point 50 %)", _WHITE))
    for number, finding in enumerate(ranked, 1):
        color = _YELLOW if finding.present else _GREY
        lines.append(
            (f"{number:2d} {summary.percent(finding.score):>5} %  {codes.finding(finding.label).name}", color)
        )
    lines += [("", _WHITE), ("Anatomy", _WHITE)]
    lines += [(name, codes.structure(name).color) for name in found]
    return lines


def _region(picture: Rgb, number: int, finding: Finding, factor: int, line: int) -> None:
    """Draw a finding's region and the number under which the panel lists it."""
    import cv2

    # Graphic data count from the corner of the top left pixel, OpenCV from its centre.
    corners = np.round(np.array(finding.region) * factor - 0.5).astype(np.int32)
    cv2.polylines(picture, [corners], isClosed=True, color=(0, 0, 0), thickness=3 * line)
    cv2.polylines(picture, [corners], isClosed=True, color=_YELLOW, thickness=line)
    height = round(1.3 * len(picture) / _LINES)
    column, row = (int(v) for v in corners[corners[:, 1].argmin()])
    width = height * len(str(number)) * 3 // 4
    column, row = max(0, min(column, picture.shape[1] - width)), max(row, height)
    cv2.rectangle(picture, (column, row), (column + width, row - height), (0, 0, 0), cv2.FILLED)
    _write(picture, str(number), (column + height // 8, row - height // 5), height, _YELLOW)


def _panel(rows: int, lines: Sequence[tuple[str, Color]]) -> Rgb:
    panel = np.zeros((rows, round(rows * _PANEL), 3), dtype=np.uint8)
    height = rows / max(_LINES, len(lines) + 1)
    for n, (words, color) in enumerate(lines, 1):
        _write(panel, words, (round(height / 2), round(n * height)), height, color)
    return panel


def _band(columns: int, rows: int, commissioning: bool) -> Rgb:
    """Return the band below: what the picture is, over its whole width."""
    height = rows / _LINES * 1.5
    band = np.zeros((round(height * 1.4), columns, 3), dtype=np.uint8)
    words = f"{summary.COMMISSIONING} - {_NOTICE}" if commissioning else _NOTICE
    _write(band, words, (round(height / 3), round(height)), height, _RED)
    return band


def _write(picture: Rgb, words: str, place: tuple[int, int], height: float, color: Color) -> None:
    """Write a line whose letters with their spacing are ``height`` high, smaller if it would not fit the
    width."""
    import cv2

    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = height / 36  # the font's line is about 36 pixels high at scale 1
    width = cv2.getTextSize(words, font, scale, 1)[0][0]
    room = picture.shape[1] - place[0] - height / 4
    if width > room > 0:
        scale *= room / width
    stroke = max(1, round(scale * 1.6))
    cv2.putText(picture, words, place, font, scale, color, stroke, cv2.LINE_AA)


def _enlarge(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    return image if factor == 1 else image.repeat(factor, axis=0).repeat(factor, axis=1)

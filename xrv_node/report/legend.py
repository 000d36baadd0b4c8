"""What stands beside the tiles of an overlay: warnings, findings by score, and what the colours mean."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from xrv_node.report import codes, heat, summary
from xrv_node.report.certainty import near, of_hundred
from xrv_node.report.lettering import (
    GREY,
    RED,
    WHITE,
    YELLOW,
    Color,
    Rgb,
    line_height,
    panel,
    write,
)
from xrv_node.report.phrases import meaning, named, say
from xrv_node.values import Analysis, Finding

_ACROSS = 44
"""Letters in a line of the panel."""
_LUNG = 90
"""Grey of a lung field, on which the bar shows the colours of the heat."""
_BAR = 0.6
"""Height of that bar in lines."""


def called(finding: Finding, language: str) -> str:
    """Return what is written at a finding on an image: its name and score, said to be one."""
    return say("picture_finding", language, finding=_name(finding, language), score=of_hundred(finding.score))


def legend(
    rows: int,
    analysis: Analysis,
    found: Sequence[str],
    cautions: Sequence[str],
    most: int,
    language: str,
) -> Rgb:
    """Draw the panel.

    Parameters
    ----------
    rows : int
        Its height in pixels.
    analysis : Analysis
        Its findings are listed as everywhere (`summary.rank`), numbered as the tiles are.
    found : sequence of str
        The structures that are outlined.
    cautions : sequence of str
        What is unusual about the image, a sentence each.
    most : int
        Of how many findings there is a tile at most.
    language : str
        Of all words.

    Returns
    -------
    ndarray of uint8
        ``[rows, columns, 3]``, RGB.

    Raises
    ------
    ConfigError
        If a structure has no codes.
    """
    present = sum(finding.present for finding in analysis.findings)
    lines = [
        *_warnings(analysis, cautions, language),
        *_findings(analysis, present, most, language),
        ("", WHITE),
    ]
    bar = len(lines) + 1
    if present:
        lines += [(say("picture_response", language), WHITE), ("", WHITE)]
        lines.append((say("picture_extent", language), WHITE))
    if analysis.frame.rows != analysis.frame.columns:
        lines.append((say("picture_square", language), WHITE))
    lines += [("", WHITE), (say("picture_anatomy", language), WHITE)]
    half = -(-len(found) // 2)
    made = panel(rows, [*lines, *[("", WHITE)] * half])
    line = line_height(rows, len(lines) + half)
    if present:
        _ramp(made, round((bar + 0.4) * line), round(line / 2), round(_BAR * line))
    for n, name in enumerate(found):
        column = made[:, : made.shape[1] // 2] if n < half else made[:, made.shape[1] // 2 :]
        place = round(line / 2), round((len(lines) + 1 + n % half) * line)
        write(column, named("structure", name, language), place, line, codes.structure(name).color)
    return made


def _warnings(analysis: Analysis, cautions: Sequence[str], language: str) -> list[tuple[str, Color]]:
    phantom = [meaning(codes.PHANTOM_SET, language)] if analysis.model_set.phantom else []
    flags = [say("picture_caution", language, sentence=sentence) for sentence in cautions]
    return [(line, RED) for words in (*phantom, *flags) for line in (*textwrap.wrap(words, _ACROSS), "")]


def _findings(analysis: Analysis, present: int, most: int, language: str) -> list[tuple[str, Color]]:
    lines = [] if present else [(say("picture_nothing", language), WHITE)]
    lines.append((say("picture_scores", language), WHITE))
    for number, finding in enumerate(sorted(analysis.findings, key=summary.rank), 1):
        words = f"{number:2d} {of_hundred(finding.score):>7}  {_name(finding, language)}"
        words += " *" if near(finding) else ""
        lines.append((words, YELLOW if finding.present else GREY))
    if any(map(near, analysis.findings)):
        lines.append((f"* {say('near', language)}", WHITE))
    if present > most:
        lines.append((say("picture_first", language, number=most), WHITE))
    return lines


def _name(finding: Finding, language: str) -> str:
    return named("finding", finding.label, language)


def _ramp(made: Rgb, top: int, indent: int, height: int) -> None:
    """Draw the bar from no heat to the most."""
    shares = np.linspace(0, 1, made.shape[1] - 2 * indent, dtype=np.float32)[np.newaxis].repeat(
        height, axis=0
    )
    lung = np.full((*shares.shape, 3), _LUNG, dtype=np.uint8)
    made[top : top + height, indent:-indent] = heat.blend(lung, shares)

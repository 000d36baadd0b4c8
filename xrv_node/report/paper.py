"""Pages on paper: fonts, styles and the document that every PDF of this program is made with.

Its fonts are embedded and draw Latin letters only.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, SimpleDocTemplate

REGULAR, STRONG = "Vera", "VeraBd"
"""Bitstream Vera, which comes with reportlab."""
_FONTS = {name: TTFont(name, f"{name}.ttf") for name in (REGULAR, STRONG)}
for _one in _FONTS.values():
    pdfmetrics.registerFont(_one)
MARGIN = 15 * mm
WIDTH = A4[0] - 2 * MARGIN
"""Of what is set on a page."""
BODY = ParagraphStyle("body", fontName=REGULAR, fontSize=7.5, leading=10)
BOLD = ParagraphStyle("bold", BODY, fontName=STRONG)
TITLE = ParagraphStyle("title", BODY, fontName=STRONG, fontSize=13, leading=17)
HEADING = ParagraphStyle("heading", BODY, fontName=STRONG, fontSize=9, leading=12, spaceBefore=6)
HEADLINE = ParagraphStyle(
    "headline", BODY, fontName=STRONG, fontSize=10, leading=13, borderColor=colors.black, borderWidth=0.8,
    borderPadding=4, spaceBefore=8, spaceAfter=8,
)  # fmt: skip
WARNING = ParagraphStyle("warning", BODY, fontName=STRONG, textColor=colors.firebrick)
CELLS: tuple[tuple[Any, ...], ...] = (
    ("FONT", (0, 0), (-1, -1), REGULAR),  # empty cells name a font too
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
)


def document(story: Sequence[Flowable], title: str, foot: Callable[[int], str], language: str) -> bytes:
    """Set a document.

    Parameters
    ----------
    story
        What is on it, from top to bottom.
    foot
        The line at the foot of a page, by its number from 1.
    language
        Of all of it (RFC 5646).

    Returns
    -------
    bytes
        A PDF on A4 pages, without a date of its own: the same input gives the same bytes.
    """
    buffer = io.BytesIO()

    def footer(canvas: Any, page: Any) -> None:
        canvas.setFont(REGULAR, 7)
        canvas.drawString(MARGIN, 8 * mm, foot(page.page))

    SimpleDocTemplate(
        buffer, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
        title=title, author="xrv-node", lang=language, invariant=1,
    ).build(list(story), onFirstPage=footer, onLaterPages=footer)  # fmt: skip
    return buffer.getvalue()


def drawable(words: str) -> str:
    """The words with "?" for what the font has no letter for."""
    glyphs = _FONTS[REGULAR].face.charToGlyph
    return "".join(c if ord(c) in glyphs else "?" for c in words)


def grid(spans: Sequence[int] = ()) -> list[tuple[Any, ...]]:
    """A table with thin lines between its rows; each of the rows ``spans`` is a heading over all columns."""
    style: list[tuple[Any, ...]] = [
        *CELLS,
        ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.lightgrey),
        ("TOPPADDING", (0, 0), (-1, -1), 0.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
    ]
    for row in spans:
        style += [("SPAN", (0, row), (-1, row)), ("BACKGROUND", (0, row), (-1, row), colors.whitesmoke)]
    return style

"""The report for people on paper: the same sections as in `kinds.report`, as a PDF.

Its fonts are embedded and draw Latin letters only. A patient's name in another script is not on it: a wrong
or half name is worse than none, and the object's header has the whole one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.valuerep import PersonName
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Image, Paragraph, SimpleDocTemplate, Spacer, Table

from xrv_node.attributes import text
from xrv_node.report import charset, codes, summary
from xrv_node.report.document import Coded, Identifier, Item, Number, Scored, Section, Words, sections
from xrv_node.report.lettering import YELLOW, write
from xrv_node.report.phrases import meaning, named, say
from xrv_node.values import Analysis, ModelSet, StudyOutcome

_REGULAR, _BOLD = "Vera", "VeraBd"
_MARGIN = 15 * mm
_PICTURE = 80 * mm
"""Width of the column of the picture."""
_TALLEST = 110 * mm
_BODY = ParagraphStyle("body", fontName=_REGULAR, fontSize=7.5, leading=10)
_BOLD_BODY = ParagraphStyle("bold", _BODY, fontName=_BOLD)
_TITLE = ParagraphStyle("title", _BODY, fontName=_BOLD, fontSize=13, leading=17)
_HEADING = ParagraphStyle("heading", _BODY, fontName=_BOLD, fontSize=9, leading=12, spaceBefore=6)
_HEADLINE = ParagraphStyle(
    "headline", _BODY, fontName=_BOLD, fontSize=10, leading=13, borderColor=colors.black, borderWidth=0.8,
    borderPadding=4, spaceBefore=8, spaceAfter=8,
)  # fmt: skip
_WARNING = ParagraphStyle("warning", _BODY, fontName=_BOLD, textColor=colors.firebrick)
_STYLES = {
    dicom_codes.DCM.Impression: _HEADLINE,
    codes.NOTICE: _WARNING,
    codes.QUALITY: _WARNING,
    codes.IMAGE: _BOLD_BODY,
}
_CELLS: tuple[tuple[Any, ...], ...] = (
    ("FONT", (0, 0), (-1, -1), _REGULAR),  # empty cells name a font too
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
)
_UNNAMED = (dicom_codes.DCM.Impression, codes.NOTICE, codes.IMAGE)
"""What needs no name before it."""


def render(outcome: StudyOutcome, language: str) -> bytes:
    """Set the report of a study.

    Parameters
    ----------
    outcome : StudyOutcome
        A study with at least one image.
    language : str
        Of everything but the status.

    Returns
    -------
    bytes
        A PDF on A4 pages, without a date of its own: the same input gives the same bytes.

    Raises
    ------
    ConfigError
        If a finding has no codes.
    """
    for name in (_REGULAR, _BOLD):
        pdfmetrics.registerFont(_font(name))
    header = summary.first(outcome).header
    title = say("title", language)
    story: list[Flowable] = [Paragraph(title, _TITLE), _patient(header, language)]
    for section in sections(outcome, language):
        story += _section(section, outcome.model_set, language)
    buffer = io.BytesIO()
    notice = f"{summary.COMMISSIONING} - " if outcome.model_set.commissioning else ""

    def footer(canvas: Any, document: Any) -> None:
        canvas.setFont(_REGULAR, 7)
        page = say("page", language, number=document.page)
        canvas.drawString(_MARGIN, 8 * mm, f"{notice}{say('not_for_diagnosis', language)}  {page}")

    SimpleDocTemplate(
        buffer, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        title=title, author="xrv-node", lang=language, invariant=1,
    ).build(story, onFirstPage=footer, onLaterPages=footer)  # fmt: skip
    return buffer.getvalue()


@cache
def _font(name: str) -> TTFont:
    """Bitstream Vera, which comes with reportlab."""
    return TTFont(name, f"{name}.ttf")


def _drawable(words: str) -> str:
    """The words with "?" for what the font has no letter for."""
    glyphs = _font(_REGULAR).face.charToGlyph
    return "".join(c if ord(c) in glyphs else "?" for c in words)


def _patient(header: Dataset, language: str) -> Flowable:
    """Whose report it is, with what can be printed without a doubt."""
    lines = [
        ("patient", PersonName(text(header, "PatientName")).family_comma_given().strip(" ,")),
        ("patient_id", text(header, "PatientID")),
        ("birth_date", summary.iso_date(text(header, "PatientBirthDate"))),
        ("study_date", summary.iso_date(text(header, "StudyDate"))),
        ("accession_number", text(header, "AccessionNumber")),
    ]
    rows = [
        [Paragraph(say(phrase, language), _BODY), Paragraph(escape(value), _BOLD_BODY)]
        for phrase, value in lines
        if value and _drawable(value) == value and charset.is_sure(header, value)
    ]
    return Table(rows, colWidths=(40 * mm, None), style=_grid([])) if rows else Spacer(1, 1)


def _section(section: Section, models: ModelSet, language: str) -> Iterator[Flowable]:
    yield Paragraph(meaning(section.title, language), _HEADING)
    tables = [item for item in section.items if isinstance(item, Section)]
    for item in section.items:
        if not isinstance(item, Section):
            yield _line(item, language)
        elif item is tables[0]:
            yield _findings(tables, section.image.analysis if section.image else None, models, language)


def _line(item: Item, language: str) -> Flowable:
    match item:
        case Words():
            name, value = item.name, item.text
        case Coded():
            name, value = item.name, meaning(item.value, language)
        case Number():
            name, value = item.name, summary.decimal(item.shown, language)
        case Identifier():
            name, value = item.name, item.uid
        case _:
            raise TypeError(f"{type(item).__name__} stands in a table of findings only")
    lead = "" if name in _UNNAMED else say("why", language, what=meaning(name, language), why="")
    return Paragraph(escape(_drawable(lead + value)), _STYLES.get(name, _BODY))


def _findings(
    tables: Sequence[Section], analysis: Analysis | None, models: ModelSet, language: str
) -> Flowable:
    """The findings, numbered, and beside them the radiograph with their regions."""
    ranked = [item for table in tables for item in table.items if isinstance(item, Scored)]
    score = meaning(codes.NO_RESULT, language) if models.commissioning else say("score", language)
    heads = [meaning(dicom_codes.DCM.Finding, language), score]
    shares: tuple[float, ...] = (0.6, 0.4)
    if any(item.earlier for item in ranked):
        heads, shares = [*heads, meaning(codes.EARLIER, language)], (0.5, 0.18, 0.32)
    rows: list[list[Any]] = [[Paragraph(head, _BOLD_BODY) for head in heads]]
    spans = []
    for table in tables:
        spans.append(len(rows))
        rows.append([Paragraph(meaning(table.title, language), _BOLD_BODY)] + [""] * (len(heads) - 1))
        for item in table.items:
            if isinstance(item, Scored):
                number = ranked.index(item) + 1
                bold = item.finding.present and not models.commissioning
                row = _row(item, number, _BOLD_BODY if bold else _BODY, language)
                rows.append(row[: len(heads)])
    room = A4[0] - 2 * _MARGIN
    picture = _picture(analysis, ranked) if analysis else None
    if picture is None:
        return Table(rows, colWidths=[room * share for share in shares], style=_grid(spans))
    beside = Table(rows, colWidths=[(room - _PICTURE) * share for share in shares], style=_grid(spans))
    style = [*_CELLS, ("LEFTPADDING", (0, 0), (-1, -1), 0)]
    return Table([[picture, beside]], colWidths=(_PICTURE, None), style=style)


def _row(item: Scored, number: int, style: ParagraphStyle, language: str) -> list[Any]:
    name = f"{number} {named('finding', item.finding.label, language)}"
    score = f"{summary.decimal(summary.percent(item.finding.score), language)} %"
    return [Paragraph(escape(words), style) for words in (name, score, item.earlier or "")]


def _picture(analysis: Analysis, ranked: Sequence[Scored]) -> Flowable | None:
    """The radiograph with the regions' outlines, each with its finding's number at its highest point; None in
    analyses that kept no picture."""
    import cv2

    if analysis.picture is None:
        return None
    picture = np.repeat(analysis.picture[..., np.newaxis], 3, axis=2)
    rows, columns = picture.shape[:2]
    scale = (columns / analysis.frame.columns, rows / analysis.frame.rows)
    height = max(rows, columns) / 30
    for number, item in enumerate(ranked, 1):
        if item.finding.region:
            # Graphic data count from the corner of the top left pixel, OpenCV from its centre.
            corners = np.round(np.array(item.finding.region) * scale - 0.5).astype(np.int32)
            cv2.polylines(picture, [corners], isClosed=True, color=YELLOW, thickness=round(height / 12) or 1)
            column, row = (int(value) for value in corners[corners[:, 1].argmin()])
            write(picture, str(number), (column, max(row - 2, round(height))), height, YELLOW)
    _, png = cv2.imencode(".png", picture[..., ::-1])
    width = min(_PICTURE - 4 * mm, _TALLEST * columns / rows)
    return Image(io.BytesIO(png.tobytes()), width, width * rows / columns)


def _grid(spans: Sequence[int]) -> list[tuple[Any, ...]]:
    """A table with thin lines between its rows; each of the rows ``spans`` is a heading over all columns."""
    style: list[tuple[Any, ...]] = [
        *_CELLS,
        ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.lightgrey),
        ("TOPPADDING", (0, 0), (-1, -1), 0.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
    ]
    for row in spans:
        style += [("SPAN", (0, row), (-1, row)), ("BACKGROUND", (0, row), (-1, row), colors.whitesmoke)]
    return style

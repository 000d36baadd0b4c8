"""The report for people on paper: the same sections as in `kinds.report`, as a PDF.

Its fonts draw Latin letters only. A patient's name in another script is not on it: a wrong
or half name is worse than none, and the object's header has the whole one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.valuerep import PersonName
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Image, Paragraph, Spacer, Table

from xrv_node.attributes import text
from xrv_node.report import charset, codes, paper, summary
from xrv_node.report.document import Coded, Identifier, Item, Number, Scored, Section, Words, sections
from xrv_node.report.lettering import YELLOW, write
from xrv_node.report.paper import BODY, BOLD, CELLS, HEADING, HEADLINE, TITLE, WARNING, WIDTH, drawable, grid
from xrv_node.report.phrases import meaning, named, say
from xrv_node.values import PHANTOM_WORDS, Analysis, ModelSet, StudyOutcome

_PICTURE = 80 * mm
"""Width of the column of the picture."""
_TALLEST = 110 * mm
_STYLES = {
    dicom_codes.DCM.Impression: HEADLINE,
    codes.NOTICE: WARNING,
    codes.QUALITY: WARNING,
    codes.IMAGE: BOLD,
}
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
    header = summary.first(outcome).header
    title = say("title", language)
    story: list[Flowable] = [Paragraph(title, TITLE), _patient(header, language)]
    for section in sections(outcome, language):
        story += _section(section, outcome.model_set, language)
    notice = f"{PHANTOM_WORDS} - " if outcome.model_set.phantom else ""
    foot = f"{notice}{say('not_for_diagnosis', language)}"
    return paper.document(
        story, title, lambda number: f"{foot}  {say('page', language, number=number)}", language
    )


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
        [Paragraph(say(phrase, language), BODY), Paragraph(escape(value), BOLD)]
        for phrase, value in lines
        if value and drawable(value) == value and charset.is_sure(header, value)
    ]
    return Table(rows, colWidths=(40 * mm, None), style=grid([])) if rows else Spacer(1, 1)


def _section(section: Section, models: ModelSet, language: str) -> Iterator[Flowable]:
    yield Paragraph(meaning(section.title, language), HEADING)
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
    return Paragraph(escape(drawable(lead + value)), _STYLES.get(name, BODY))


def _findings(
    tables: Sequence[Section], analysis: Analysis | None, models: ModelSet, language: str
) -> Flowable:
    """The findings, numbered, and beside them the radiograph with their regions."""
    ranked = [item for table in tables for item in table.items if isinstance(item, Scored)]
    score = meaning(codes.PHANTOM_SET, language) if models.phantom else say("score", language)
    heads = [meaning(dicom_codes.DCM.Finding, language), score]
    shares: tuple[float, ...] = (0.6, 0.4)
    if any(item.earlier for item in ranked):
        heads, shares = [*heads, meaning(codes.EARLIER, language)], (0.5, 0.18, 0.32)
    rows: list[list[Any]] = [[Paragraph(head, BOLD) for head in heads]]
    spans = []
    for table in tables:
        spans.append(len(rows))
        rows.append([Paragraph(meaning(table.title, language), BOLD)] + [""] * (len(heads) - 1))
        for item in table.items:
            if isinstance(item, Scored):
                number = ranked.index(item) + 1
                bold = item.finding.present
                row = _row(item, number, BOLD if bold else BODY, language)
                rows.append(row[: len(heads)])
    room = WIDTH
    picture = _picture(analysis, ranked) if analysis else None
    if picture is None:
        return Table(rows, colWidths=[room * share for share in shares], style=grid(spans))
    beside = Table(rows, colWidths=[(room - _PICTURE) * share for share in shares], style=grid(spans))
    style = [*CELLS, ("LEFTPADDING", (0, 0), (-1, -1), 0)]
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

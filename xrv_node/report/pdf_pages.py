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
from pydicom.sr.coding import Code
from pydicom.valuerep import PersonName
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Image, Paragraph, Spacer, Table

from xrv_node.attributes import text
from xrv_node.report import charset, codes, paper, summary
from xrv_node.report.certainty import of_hundred
from xrv_node.report.document import Coded, Identifier, Item, Number, Scored, Section, Words, sections
from xrv_node.report.lettering import YELLOW, write
from xrv_node.report.paper import BODY, BOLD, CELLS, HEADING, HEADLINE, TITLE, WARNING, WIDTH, drawable, grid
from xrv_node.report.phrases import meaning, named, say
from xrv_node.report.wording import date, decimal
from xrv_node.values import PHANTOM_WORDS, Analysis, Finding, ModelSet, StudyOutcome

_PICTURE = 80 * mm
"""Width of the column of the picture."""
_TALLEST = 110 * mm
_STYLES = {
    dicom_codes.DCM.Impression: HEADLINE,
    codes.NOTICE: WARNING,
    codes.QUALITY: WARNING,
    codes.NO_REGION: WARNING,
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
        ("birth_date", date(text(header, "PatientBirthDate"), language)),
        ("study_date", date(text(header, "StudyDate"), language)),
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
    scores = [item for item in section.items if isinstance(item, Scored)]
    for item in section.items:
        if isinstance(item, Section):
            found = [one for one in item.items if isinstance(one, Scored)]
            analysis = section.image.analysis if section.image else None
            yield _findings(item.title, found, analysis, models, language)
        elif not isinstance(item, Scored):
            yield _line(item, language)
        elif item is scores[0]:
            all_of_them = ", ".join(_score(one.finding, language) for one in scores)
            yield _line(Words(codes.ALL_SCORES, all_of_them), language)


def _score(finding: Finding, language: str) -> str:
    return f"{named('finding', finding.label, language)} {of_hundred(finding.score)}"


def _line(item: Item, language: str) -> Flowable:
    match item:
        case Words():
            name, value = item.name, item.text
        case Coded():
            name, value = item.name, meaning(item.value, language)
        case Number():
            name, value = item.name, decimal(item.shown, language)
        case Identifier():
            name, value = item.name, item.uid
        case _:
            raise TypeError(f"{type(item).__name__} stands in a table of findings only")
    lead = "" if name in _UNNAMED else say("why", language, what=meaning(name, language), why="")
    return Paragraph(escape(drawable(lead + value)), _STYLES.get(name, BODY))


def _findings(
    title: Code, found: Sequence[Scored], analysis: Analysis | None, models: ModelSet, language: str
) -> Flowable:
    """The findings that are present, numbered, and beside them the radiograph with their regions."""
    score = meaning(codes.PHANTOM_SET, language) if models.phantom else say("score", language)
    heads = [meaning(title, language), score]
    rows: list[list[Any]] = [[Paragraph(escape(head), BOLD) for head in heads]]
    for number, item in enumerate(found, 1):
        name = f"{number} {named('finding', item.finding.label, language)}"
        beside = [_line(words, language) for words in item.said or ()]
        cells = [[Paragraph(escape(name), BOLD), *beside], Paragraph(of_hundred(item.finding.score), BOLD)]
        rows.append(cells)
    picture = _picture(analysis, found) if analysis else None
    room = WIDTH if picture is None else WIDTH - _PICTURE
    table = Table(rows, colWidths=[room * share for share in (0.75, 0.25)], style=grid([]))
    if picture is None:
        return table
    style = [*CELLS, ("LEFTPADDING", (0, 0), (-1, -1), 0)]
    return Table([[picture, table]], colWidths=(_PICTURE, None), style=style)


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

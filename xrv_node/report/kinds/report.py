"""The report for people: an Enhanced SR that every viewer shows as text.

Its root is not (126000, DCM, Imaging Measurement Report): OHIF would take it for measurements and fail on a
group without coordinates. Every container is SEPARATE: CONTINUOUS, highdicom's default, makes OHIF run the
values together without their names. The tree claims no template; it is in the order in which it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.sr.coding import Code

from xrv_node.attributes import text
from xrv_node.report import codes, equipment, phrases, summary
from xrv_node.report.certainty import shown
from xrv_node.report.document import Coded, Identifier, Item, Number, Scored, Section, Words, sections
from xrv_node.report.envelope import finish, placeholders, stand_ins
from xrv_node.values import DEFAULT_STYLE, Finding, ModelSet, StudyOutcome, Style

if TYPE_CHECKING:
    import highdicom as hd

TITLE = dicom_codes.LN.XRayReport
"""Of PS3.16 CID 7000. Those of CID 7021, of measurements, OHIF takes for a report of regions."""
_CONTAINS = "CONTAINS"


def build(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the readable report of a study, in the order in which it is read (`document.sections`).

    Parameters
    ----------
    outcome : StudyOutcome
        A study with at least one image; none of them need have been analysed.
    style : Style
        Its language is that of all sentences and all code meanings.

    Returns
    -------
    list of Dataset
        One Enhanced SR (1.2.840.10008.5.1.4.1.1.88.22); COMPLETE, or PARTIAL where an analysis failed.

    Raises
    ------
    ConfigError
        If a finding has no codes.
    """
    import highdicom as hd

    first = summary.first(outcome).header
    root = hd.sr.ContainerContentItem(
        name=codes.PHANTOM_REPORT if outcome.model_set.phantom else TITLE, is_content_continuous=False
    )
    root.ContentSequence = hd.sr.ContentSequence(_body(outcome, style))
    phrases.translate_codes(root, style.language)
    made = hd.sr.EnhancedSR(
        evidence=stand_ins(outcome),
        content=root,
        **placeholders(),
        is_complete=not summary.failed(outcome),
    )
    sources = [text(image.header, "SOPInstanceUID") for image in outcome.images]
    return [finish(made, "report", outcome, first, sources, style.language)]


def score_item(item: Dataset, score: float) -> None:
    """Write a score into a NUM item: a whole number to read, and the exact value for programs.

    Floating Point Value (0040,A161) is there for what Numeric Value cannot hold (PS3.3 table C.18.1-1).

    Parameters
    ----------
    item : Dataset
        A NUM content item with a measured value; changed in place.
    score : float
        In [0, 1]; written as of 100.
    """
    measured = item.MeasuredValueSequence[0]
    measured.NumericValue = shown(score)
    measured.FloatingPointValue = score * 100


def call(finding: Finding, models: ModelSet) -> Code:
    """Return what a finding's score amounts to: present or not detected; from the networks for
    phantoms under codes of their own."""
    if models.phantom:
        return codes.PHANTOM_PRESENT if finding.present else codes.PHANTOM_BELOW
    return codes.PRESENT if finding.present else codes.NOT_DETECTED


def finding_concept(row: codes.FindingCodes) -> hd.sr.CodedConcept:
    """Return a finding's code with the project's own as its equivalent (0008,0121), to map back without
    loss."""
    import highdicom as hd

    concept = hd.sr.CodedConcept.from_code(row.code)
    if row.own.value != row.code.value:
        concept.EquivalentCodeSequence = [hd.sr.CodedConcept.from_code(row.own)]
    return concept


def _body(outcome: StudyOutcome, style: Style) -> list[hd.sr.ContentItem]:
    language = Code(style.language, "RFC5646", phrases.say("language", style.language))
    return [
        *(
            item
            for section in sections(outcome, style.language)
            for item in _items(section, outcome.model_set)
        ),
        _code(dicom_codes.DCM.LanguageOfContentItemAndDescendants, language, "HAS CONCEPT MOD"),
        *equipment.observer(outcome.model_set),
    ]


def _items(item: Item, models: ModelSet) -> Iterator[hd.sr.ContentItem]:
    match item:
        case Section():
            yield _section(item.title, [made for child in item.items for made in _items(child, models)])
        case Words():
            yield _text(item.name, item.text)
        case Coded():
            yield _code(item.name, item.value)
        case Identifier():
            yield _uid(item.name, item.uid)
        case Number():
            made = _num(item.name, item.value, item.unit)
            made.MeasuredValueSequence[0].NumericValue = item.shown
            yield made
        case Scored():
            yield from _finding(item, models)


def _finding(item: Scored, models: ModelSet) -> Iterator[hd.sr.ContentItem]:
    """The call and the score, each under a name of its own, since viewers show name and value and nothing
    else, and what goes with them; among an image's numbers the score alone."""
    row = codes.finding(item.finding.label)
    if item.said is not None:
        yield _code(finding_concept(row), call(item.finding, models))
    score = _num(row.score_phantom if models.phantom else row.score, 0.0, codes.OF_HUNDRED)
    score_item(score, item.finding.score)
    yield score
    for words in item.said or ():
        yield _text(words.name, words.text)


def _section(title: Code, items: Sequence[hd.sr.ContentItem]) -> hd.sr.ContentItem:
    import highdicom as hd

    section = hd.sr.ContainerContentItem(name=title, is_content_continuous=False, relationship_type=_CONTAINS)
    section.ContentSequence = hd.sr.ContentSequence(items)
    return section


def _text(name: Code, value: str) -> hd.sr.ContentItem:
    import highdicom as hd

    return hd.sr.TextContentItem(name=name, value=value, relationship_type=_CONTAINS)


def _code(name: Code | hd.sr.CodedConcept, value: Code, relationship: str = _CONTAINS) -> hd.sr.ContentItem:
    import highdicom as hd

    return hd.sr.CodeContentItem(name=name, value=value, relationship_type=relationship)


def _num(name: Code, value: float, unit: Code) -> hd.sr.ContentItem:
    import highdicom as hd

    return hd.sr.NumContentItem(name=name, value=value, unit=unit, relationship_type=_CONTAINS)


def _uid(name: Code, value: str) -> hd.sr.ContentItem:
    import highdicom as hd

    return hd.sr.UIDRefContentItem(name=name, value=value, relationship_type=_CONTAINS)

"""The report for people: an Enhanced SR that every viewer shows as text.

Its root is not (126000, DCM, Imaging Measurement Report): OHIF would take it for measurements and fail on a
group without coordinates. Every container is SEPARATE: CONTINUOUS, highdicom's default, makes OHIF run the
values together without their names. The tree claims no template; it is in the order in which it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.sr.coding import Code

from xrv_node.attributes import text
from xrv_node.report import codes, equipment, summary
from xrv_node.report.envelope import finish, stand_in
from xrv_node.values import DEFAULT_STYLE, Finding, ImageOutcome, ModelSet, StudyOutcome, Style

if TYPE_CHECKING:
    import highdicom as hd

_TITLE = Code("18748-4", "LN", "Diagnostic imaging report")
_ENGLISH = Code("en", "RFC5646", "English")
_CONTAINS = "CONTAINS"


def build_report(outcome: StudyOutcome, style: Style = DEFAULT_STYLE) -> list[Dataset]:
    """Make the readable report of a study: headline, findings, images without a result and why, models,
    notice.

    Parameters
    ----------
    outcome : StudyOutcome
        A study with at least one image; none of them need have been analysed.

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

    first = next((image for _, image in summary.answered(outcome)), outcome.images[0]).header
    root = hd.sr.ContainerContentItem(name=_TITLE, is_content_continuous=False)
    root.ContentSequence = hd.sr.ContentSequence(_body(outcome))
    made = hd.sr.EnhancedSR(
        evidence=[stand_in(image.header, outcome.study_instance_uid) for image in outcome.images],
        content=root,
        series_instance_uid=hd.UID(),  # this and the next are replaced by derived ones
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=equipment.MANUFACTURER,
        is_complete=not summary.failed(outcome),
    )
    sources = [text(image.header, "SOPInstanceUID") for image in outcome.images]
    return [finish(made, "report", outcome, first, sources)]


def score_item(item: Dataset, score: float) -> None:
    """Write a score into a NUM item: one decimal to read, and the exact value for programs.

    Floating Point Value (0040,A161) is there for what Numeric Value cannot hold (PS3.3 table C.18.1-1).

    Parameters
    ----------
    item : Dataset
        A NUM content item with a measured value; changed in place.
    score : float
        In [0, 1]; written in per cent.
    """
    measured = item.MeasuredValueSequence[0]
    measured.NumericValue = summary.percent(score)
    measured.FloatingPointValue = score * 100


def call(finding: Finding, models: ModelSet) -> Code:
    """Return what a finding's score amounts to: present, not detected or, from untrained networks,
    nothing."""
    if models.commissioning:
        return codes.NO_RESULT
    return codes.PRESENT if finding.present else codes.NOT_DETECTED


def finding_concept(row: codes.FindingCodes) -> hd.sr.CodedConcept:
    """Return a finding's code with the project's own as its equivalent (0008,0121), to map back without
    loss."""
    import highdicom as hd

    concept = hd.sr.CodedConcept.from_code(row.code)
    if row.own.value != row.code.value:
        concept.EquivalentCodeSequence = [hd.sr.CodedConcept.from_code(row.own)]
    return concept


def _body(outcome: StudyOutcome) -> list[hd.sr.ContentItem]:
    sections = [
        _section(
            dicom_codes.DCM.Impressions,
            [
                _text(dicom_codes.DCM.Impression, summary.headline(outcome)),
                _text(codes.NOTICE, summary.NOTICE),
                _code(dicom_codes.DCM.CADProcessingAndFindingsSummary, summary.status(outcome)),
            ],
        )
    ]
    for number, image in summary.answered(outcome):
        sections.append(_image(number, image, outcome.model_set))
    reasons = summary.not_analysed(outcome)
    if reasons:
        sections.append(_section(codes.NOT_ANALYSED, [_text(codes.IMAGE, reason) for reason in reasons]))
    sections.append(_about(outcome))
    return [
        *sections,
        _code(dicom_codes.DCM.LanguageOfContentItemAndDescendants, _ENGLISH, "HAS CONCEPT MOD"),
        *equipment.observer(outcome.model_set),
    ]


def _image(number: int, image: ImageOutcome, models: ModelSet) -> hd.sr.ContentItem:
    """One image's section: what is over the operating point, then the rest of the table."""
    ranked = summary.findings(image)
    over, below = [f for f in ranked if f.present], [f for f in ranked if not f.present]
    items = [_text(codes.IMAGE, summary.image_name(number, image))]
    items += [_text(codes.QUALITY, summary.plain(sentence)) for sentence in summary.quality(image)]
    for title, group in ((codes.OVER, over), (codes.BELOW, below)):
        if group:
            items.append(_section(title, [item for f in group for item in _finding(f, models)]))
    if not ranked:
        items.append(_text(dicom_codes.DCM.Finding, "The networks gave no findings for this image."))
    if image.analysis is not None:
        items.append(_measure(codes.RECONSTRUCTION_ERROR, image.analysis.reconstruction_error))
        items.append(_measure(codes.SIMILARITY, image.analysis.ssim))
    items.append(_uid(codes.IMAGE_UID, text(image.header, "SOPInstanceUID")))
    return _section(dicom_codes.DCM.Findings, items)


def _finding(finding: Finding, models: ModelSet) -> list[hd.sr.ContentItem]:
    """The call and the score, each under a name of its own, since viewers show name and value and nothing
    else."""
    row = codes.finding(finding.label)
    score = _num(
        row.score_commissioning if models.commissioning else row.score, 0.0, dicom_codes.UCUM.Percent
    )
    score_item(score, finding.score)
    return [_code(finding_concept(row), call(finding, models)), score]


def _measure(name: Code, value: float) -> hd.sr.ContentItem:
    # not UCUM's unity: viewers print the unit's code behind the number, "71.3 1"
    item = _num(name, float(value), dicom_codes.UCUM.ArbitraryUnit)
    item.MeasuredValueSequence[0].NumericValue = f"{value:.4g}"
    return item


def _about(outcome: StudyOutcome) -> hd.sr.ContentItem:
    models = outcome.model_set
    resamplers = dict.fromkeys(
        i.analysis.resampler for _, i in summary.answered(outcome) if i.analysis is not None
    )
    return _section(
        codes.ABOUT,
        [
            _text(codes.SCORES, summary.SCORES),
            *(_text(codes.RESAMPLING, summary.plain(name)) for name in resamplers),
            _text(dicom_codes.DCM.AlgorithmName, equipment.NAME),
            _text(dicom_codes.DCM.AlgorithmVersion, equipment.version(models)),
            *(_text(codes.MODEL, summary.plain(line)) for line in equipment.model_lines(models)),
        ],
    )


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

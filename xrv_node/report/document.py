"""What the report for people says, in the order of reading; `kinds.report` and `pdf_pages` form it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydicom.sr.codedict import codes as dicom_codes
from pydicom.sr.coding import Code

from xrv_node.attributes import text
from xrv_node.report import codes, equipment, heart, summary
from xrv_node.report.certainty import REPEAT, earlier, near, notes, of_hundred
from xrv_node.report.located import place
from xrv_node.report.phrases import named, say
from xrv_node.report.wording import plain
from xrv_node.values import Analysis, Finding, ImageOutcome, ModelSet, StudyOutcome


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence, in the reader's language."""

    name: Code
    """Codes are in English here and everywhere below; `phrases.meaning` has the others."""
    text: str


@dataclass(frozen=True, slots=True)
class Coded:
    """An answer out of a list."""

    name: Code
    value: Code


@dataclass(frozen=True, slots=True)
class Number:
    """A number other than a finding's score."""

    name: Code
    value: float
    shown: str
    """As it is read, with a decimal point."""
    unit: Code


@dataclass(frozen=True, slots=True)
class Identifier:
    """A UID."""

    name: Code
    uid: str


@dataclass(frozen=True, slots=True)
class Scored:
    """A finding with its score."""

    finding: Finding
    said: tuple[Words, ...] | None = None
    """What goes with one that is present: where it is, how sure, what it was. None among the numbers of an
    image, where its score alone stands."""


@dataclass(frozen=True, slots=True)
class Section:
    """Items under a heading."""

    title: Code
    items: tuple[Item, ...]
    image: ImageOutcome | None = None
    """The image that the section is about."""


Item = Words | Coded | Number | Identifier | Scored | Section

_RATIO = Code("{ratio}", "UCUM", "ratio")


def sections(outcome: StudyOutcome, language: str) -> tuple[Section, ...]:
    """Say everything that there is to say of a study.

    Parameters
    ----------
    outcome : StudyOutcome
        A study with at least one image; none of them need have been analysed.
    language : str
        Of the sentences.

    Returns
    -------
    tuple of Section
        Headline, notice and what it is compared with; each answered image with cautions, the findings that
        are present and what goes with them, in a line each those that are nearly and those that are not, and
        what was not assessed; images without a result and why; what the scores mean; then what is looked up
        and not read: all numbers of each image, and which models gave them.
    """
    phantom, answered = outcome.model_set.phantom, summary.answered(outcome)
    compared = [] if phantom or outcome.searched is None else [say(outcome.searched, language)]
    reasons = summary.not_analysed(outcome, language)
    return (
        Section(
            dicom_codes.DCM.Impressions,
            (
                *([Words(codes.PHANTOM_SET, say("phantom_set", language))] if phantom else []),
                Words(dicom_codes.DCM.Impression, summary.headline(outcome, language)),
                Words(codes.NOTICE, say("notice", language)),
                *(Words(codes.PRIORS, sentence) for sentence in compared),
            ),
        ),
        *(
            Section(dicom_codes.DCM.Findings, tuple(_image(number, image, outcome, language)), image)
            for number, image in answered
        ),
        *(
            [Section(codes.NOT_ANALYSED, tuple(Words(codes.IMAGE, reason) for reason in reasons))]
            if reasons
            else []
        ),
        Section(codes.ABOUT, tuple(_about(outcome, language))),
        *(
            Section(codes.DETAILS, tuple(_details(number, image, image.analysis, outcome, language)))
            for number, image in answered
            if image.analysis is not None
        ),
        Section(codes.SOFTWARE, tuple(_software(outcome, language))),
    )


def _image(number: int, image: ImageOutcome, outcome: StudyOutcome, language: str) -> Iterator[Item]:
    yield Words(codes.IMAGE, summary.image_name(number, image, language))
    for sentence in summary.quality(image, language):
        yield Words(codes.QUALITY, sentence)
    told = summary.findings(image)
    present = [f for f in told if f.present]
    if present:
        drawn = [replace(f, region=place(image, f).region) for f in present]
        said = [tuple(_said(image, f, outcome, language)) for f in present]
        yield Section(codes.OVER, tuple(map(Scored, drawn, said)))
    almost = [f for f in told if not f.present and near(f)]
    if almost:
        scored = (f"{_name(f, language)} {of_hundred(f.score)}" for f in almost)
        yield Words(codes.NEAR, ", ".join(scored))
    absent = [_name(f, language) for f in told if not f.present and not near(f)]
    if absent:
        yield Words(codes.NOT_DETECTED, ", ".join(absent))
    if not told:
        yield Words(dicom_codes.DCM.Finding, say("no_findings", language))
    if all(f.label != heart.LABEL for f in present):
        yield from _ratio(image, outcome.model_set, language)
    if image.analysis is not None:
        yield from _not_assessed(image.analysis, language)


def _said(image: ImageOutcome, finding: Finding, outcome: StudyOutcome, language: str) -> Iterator[Words]:
    if here := summary.where(image, finding, language):
        yield Words(codes.WHERE, here)
    if caution := place(image, finding).caution:
        yield Words(codes.NO_REGION, say(caution, language))
    for sentence in notes(finding, outcome, language):
        yield Words(codes.NOTE, sentence)
    if finding.label == heart.LABEL:
        yield from _ratio(image, outcome.model_set, language)
    if change := earlier(finding, summary.compared(outcome), language):
        yield Words(codes.EARLIER, change)


def _ratio(image: ImageOutcome, models: ModelSet, language: str) -> Iterator[Words]:
    """The cardiothoracic ratio with its reference, the one measurement that is read as a number; the others
    are in ``sr``."""
    if sentences := heart.sentences(image, language):
        row = codes.measurement("CTR")
        yield Words(row.phantom if models.phantom else row.code, " ".join(sentences))


def _not_assessed(analysis: Analysis, language: str) -> Iterator[Item]:
    """What a reader might take for normal because nothing is said of it."""
    trained = {f.label for f in analysis.findings}
    missing = [named("finding", label, language) for label in codes.findings() if label not in trained]
    if missing and trained:
        yield Words(codes.NOT_ASSESSED, say("not_trained", language, findings=", ".join(missing)))
    lost = [
        named("structure", name, language)
        for name, mask in zip(analysis.structures, analysis.masks, strict=True)
        if not mask.any()
    ]
    if lost:
        yield Words(codes.NOT_ASSESSED, say("not_found", language, structures=", ".join(lost)))


def _about(outcome: StudyOutcome, language: str) -> Iterator[Item]:
    own = outcome.model_set.classifier.site_thresholds
    yield Words(codes.SCORES, say("scores", language))
    if own:
        names = ", ".join(named("finding", label, language) for label, _ in own)
        yield Words(codes.SCORES, say("site_points", language, findings=names))
    if summary.compared(outcome):
        yield Words(codes.EARLIER, say("earlier", language, points=round(100 * REPEAT)))
    yield Coded(dicom_codes.DCM.CADProcessingAndFindingsSummary, summary.status(outcome))


def _details(
    number: int, image: ImageOutcome, analysis: Analysis, outcome: StudyOutcome, language: str
) -> Iterator[Item]:
    """All numbers of an image, for programs and for who looks them up: each finding's score too."""
    yield Words(codes.IMAGE, summary.image_name(number, image, language))
    for finding in summary.findings(image):
        yield Scored(finding)
    if (found := heart.ratio(image)) is not None:
        row = codes.measurement("CTR")
        name = row.phantom if outcome.model_set.phantom else row.code
        yield Number(name, found.value, f"{found.value:.2f}", _RATIO)
        for caveat in found.caveats:
            yield Words(name, say(caveat, language))
    unit = dicom_codes.UCUM.ArbitraryUnit  # not unity: viewers print the unit's code, "71.3 1"
    for name, value in (
        (codes.RECONSTRUCTION_ERROR, analysis.reconstruction_error),
        (codes.SIMILARITY, analysis.ssim),
    ):
        yield Number(name, value, f"{value:.4g}", unit)
    yield Identifier(codes.IMAGE_UID, text(image.header, "SOPInstanceUID"))


def _software(outcome: StudyOutcome, language: str) -> Iterator[Item]:
    models = outcome.model_set
    analyses = [i.analysis for _, i in summary.answered(outcome) if i.analysis is not None]
    for name in dict.fromkeys(a.resampler for a in analyses):
        yield Words(codes.RESAMPLING, plain(name))
    yield Words(dicom_codes.DCM.AlgorithmName, equipment.NAME)
    yield Words(dicom_codes.DCM.AlgorithmVersion, equipment.version(models))
    for m in models.models:
        line = say("model", language, role=say(m.role, language), name=m.name, digest=m.sha256)
        yield Words(codes.MODEL, line)
    if own := models.classifier.site_thresholds:
        yield Words(codes.SITE_POINTS, equipment.points_line(own))


def _name(finding: Finding, language: str) -> str:
    return named("finding", finding.label, language)

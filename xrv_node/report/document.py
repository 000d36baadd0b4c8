"""What the report for people says, in the order of reading; `kinds.report` and `pdf_pages` form it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.sr.codedict import codes as dicom_codes
from pydicom.sr.coding import Code

from xrv_node.attributes import text
from xrv_node.report import codes, equipment, summary
from xrv_node.report.measurements import Measure, measure
from xrv_node.report.phrases import named, say
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
    earlier: str | None
    """Its score in an earlier study and the change since, as `summary.earlier` puts it."""


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
        Headline, notice and status; each answered image with cautions, findings over the operating point, the
        other findings, what was not assessed and what was measured; images without a result and why; what the
        scores mean and which models gave them.
    """
    reasons, phantom = summary.not_analysed(outcome, language), outcome.model_set.phantom
    return (
        Section(
            dicom_codes.DCM.Impressions,
            (
                *([Words(codes.PHANTOM_SET, say("phantom_set", language))] if phantom else []),
                Words(dicom_codes.DCM.Impression, summary.headline(outcome, language)),
                Words(codes.NOTICE, say("notice", language)),
                Coded(dicom_codes.DCM.CADProcessingAndFindingsSummary, summary.status(outcome)),
            ),
        ),
        *(
            Section(dicom_codes.DCM.Findings, tuple(_image(number, image, outcome, language)), image)
            for number, image in summary.answered(outcome)
        ),
        *(
            [Section(codes.NOT_ANALYSED, tuple(Words(codes.IMAGE, reason) for reason in reasons))]
            if reasons
            else []
        ),
        Section(codes.ABOUT, tuple(_about(outcome, language))),
    )


def _image(number: int, image: ImageOutcome, outcome: StudyOutcome, language: str) -> Iterator[Item]:
    priors = summary.compared(outcome)
    yield Words(codes.IMAGE, summary.image_name(number, image, language))
    for sentence in summary.quality(image, language):
        yield Words(codes.QUALITY, sentence)
    ranked = summary.findings(image)
    for title, present in ((codes.OVER, True), (codes.BELOW, False)):
        group = tuple(Scored(f, summary.earlier(f, priors, language)) for f in ranked if f.present == present)
        if group:
            yield Section(title, group)
    if not ranked:
        yield Words(dicom_codes.DCM.Finding, say("no_findings", language))
    if image.analysis is not None:
        yield from _not_assessed(image.analysis, language)
        yield from _measured(measure(image), outcome.model_set, language)
        unit = dicom_codes.UCUM.ArbitraryUnit  # not unity: viewers print the unit's code, "71.3 1"
        error, similarity = image.analysis.reconstruction_error, image.analysis.ssim
        yield Number(codes.RECONSTRUCTION_ERROR, error, f"{error:.4g}", unit)
        yield Number(codes.SIMILARITY, similarity, f"{similarity:.4g}", unit)
    yield Identifier(codes.IMAGE_UID, text(image.header, "SOPInstanceUID"))


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


def _measured(measures: tuple[Measure, ...], models: ModelSet, language: str) -> Iterator[Item]:
    """The cardiothoracic ratio, the one measurement that is read as a number; the others are in ``sr``."""
    for ratio in measures:
        if ratio.key == "CTR":
            row = codes.measurement(ratio.key)
            name = row.phantom if models.phantom else row.code
            yield Number(name, ratio.value, f"{ratio.value:.2f}", _RATIO)
            for caveat in ratio.caveats:
                yield Words(name, say(caveat, language))


def _about(outcome: StudyOutcome, language: str) -> Iterator[Item]:
    models = outcome.model_set
    yield Words(codes.SCORES, say("scores", language))
    own = models.classifier.site_thresholds
    if own:
        names = ", ".join(named("finding", label, language) for label, _ in own)
        yield Words(codes.SCORES, say("site_points", language, findings=names))
    if summary.compared(outcome):
        yield Words(codes.EARLIER, say("earlier", language))
    analyses = [i.analysis for _, i in summary.answered(outcome) if i.analysis is not None]
    for name in dict.fromkeys(a.resampler for a in analyses):
        yield Words(codes.RESAMPLING, summary.plain(name))
    yield Words(dicom_codes.DCM.AlgorithmName, equipment.NAME)
    yield Words(dicom_codes.DCM.AlgorithmVersion, equipment.version(models))
    for m in models.models:
        line = say("model", language, role=say(m.role, language), name=m.name, digest=m.sha256)
        yield Words(codes.MODEL, line)
    if own:
        yield Words(codes.SITE_POINTS, equipment.points_line(own))

"""What a study comes down to, in words and one status code: the part of a report that is read in five
seconds."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.sr.coding import Code

from xrv_node.attributes import text
from xrv_node.report import codes
from xrv_node.report.laterality import doubt
from xrv_node.report.phrases import meaning, named, say
from xrv_node.report.quality import flags as quality_flags
from xrv_node.values import Finding, ImageOutcome, Prior, StudyOutcome

_STATUS = {
    # PS3.16 CID 6047 by (every image that was due was analysed, with findings)
    (True, False): Code("111241", "DCM", "All algorithms succeeded; without findings"),
    (True, True): Code("111242", "DCM", "All algorithms succeeded; with findings"),
    (False, False): Code("111243", "DCM", "Not all algorithms succeeded; without findings"),
    (False, True): Code("111244", "DCM", "Not all algorithms succeeded; with findings"),
}
_NOTHING_SUCCEEDED = Code("111245", "DCM", "No algorithms succeeded; without findings")


def answered(outcome: StudyOutcome) -> list[tuple[int, ImageOutcome]]:
    """Return the images that the networks have answered, each with its number in the study (from 1).

    An image with an error is not among them even where there is an analysis: what the networks say of an
    image that failed a check (one that the autoencoder cannot reconstruct, say) is not reported.
    """
    return [(n, i) for n, i in enumerate(outcome.images, 1) if i.analysis is not None and i.error is None]


def first(outcome: StudyOutcome) -> ImageOutcome:
    """Return the image whose patient and study attributes a report takes: the first that was answered, else
    the first of all."""
    return next((image for _, image in answered(outcome)), outcome.images[0])


def failed(outcome: StudyOutcome) -> list[tuple[int, ImageOutcome]]:
    """Return the images that should have been analysed and were not, each with its number in the study."""
    return [(n, i) for n, i in enumerate(outcome.images, 1) if i.error is not None]


def findings(image: ImageOutcome) -> tuple[Finding, ...]:
    """Return the findings of an answered image, those with the highest scores first."""
    return () if image.analysis is None else tuple(sorted(image.analysis.findings, key=lambda f: -f.score))


def quality(image: ImageOutcome, language: str = "en") -> tuple[str, ...]:
    """Return what the reader of an answered image's findings must know of the image, a sentence each: from
    the gate, from header and masks, and on the sides."""
    if image.analysis is None:
        return ()
    side = doubt(image.header, image.analysis)
    said = (*image.analysis.quality, *quality_flags(image), *([side] if side else []))
    return tuple(say(reason, language) for reason in said)


def withheld(image: ImageOutcome) -> bool:
    """Whether the networks answered and the answer is not reported, because the gate refused the image."""
    return image.analysis is not None and image.error is not None


def status(outcome: StudyOutcome) -> Code:
    """Return the study's one status code (PS3.16 CID 6047)."""
    images = answered(outcome)
    if not images:
        return _NOTHING_SUCCEEDED
    return _STATUS[not failed(outcome), any(f.present for _, i in images for f in findings(i))]


def headline(outcome: StudyOutcome, language: str = "en") -> str:
    """Return the line that stands first: what was found, how it changed, on how many images, whether to
    trust it at all, and what is unusual about the study."""
    images, failures = answered(outcome), failed(outcome)
    if images:
        told = _strongest(outcome, language)
    elif failures and all(withheld(image) for _, image in failures):
        told = say("withheld", language)
    else:
        told = say("failed" if failures else "skipped", language)
    lines = [f"{meaning(codes.PHANTOM_SET, language)}.", told] if outcome.model_set.phantom else [told]
    if images and failures:
        lines.append(say("partly", language, failed=len(failures), all=len(failures) + len(images)))
    if flagged := sum(bool(quality(image)) for _, image in images):
        lines.append(say("caution", language, flagged=flagged, all=len(images)))
    lines += [say(remark, language) for remark in outcome.remarks]
    return " ".join([*lines, say("not_for_diagnosis", language)])


def compared(outcome: StudyOutcome) -> tuple[Prior, ...]:
    """Return the earlier studies that scores are compared with: a phantom is nobody's, and has none."""
    return () if outcome.model_set.phantom else outcome.priors


def earlier(finding: Finding, priors: Sequence[Prior], language: str) -> str | None:
    """Return a finding's score in the newest earlier study that has one, with its date and the change since.

    Parameters
    ----------
    finding : Finding
        As it is now.
    priors : sequence of Prior
        The newest first.
    language : str
        For the decimal mark.

    Returns
    -------
    str or None
        E.g. ``"2025-03-02: 44.0 %, +27.2"``, in points of a per cent between what is shown; None where no
        earlier study has the finding.
    """
    prior = next((p for p in priors if finding.label in p.scores), None)
    if prior is None:
        return None
    then = percent(prior.scores[finding.label])
    change = round(float(percent(finding.score)) - float(then), 1)
    return f"{iso_date(prior.study_date)}: {decimal(then, language)} %, {decimal(f'{change:+.1f}', language)}"


def not_analysed(outcome: StudyOutcome, language: str = "en") -> list[str]:
    """Return a line for each reason why images were not analysed, with the images that it applies to.

    Images that share a reason share a line: a computed tomography that came with the radiograph has hundreds.
    """
    shared: dict[str, list[str]] = {}
    done = {n for n, _ in answered(outcome)}
    for n, image in enumerate(outcome.images, 1):
        if n not in done:
            shared.setdefault(_why(image, language), []).append(image_name(n, image, language))
    return [say("why", language, what=_some(names, language), why=why) for why, names in shared.items()]


def image_name(number: int, image: ImageOutcome, language: str = "en") -> str:
    """Return how a report names an image: its number in the study, view, series and instance number."""
    details = [image.decision.view or say("view_not_stated", language)]
    for phrase, keyword in (("series_number", "SeriesNumber"), ("instance_number", "InstanceNumber")):
        value = text(image.header, keyword)
        if value:
            details.append(say(phrase, language, number=value))
    return say("image", language, number=number, details=", ".join(details))


def percent(score: float) -> str:
    """Return a score as per cent with one decimal, never rounded across the operating point.

    Parameters
    ----------
    score : float
        In [0, 1]. 0.4996 gives ``"49.9"``: ``"50.0"`` would say that the finding is present.
    """
    tenths = round(score * 1000)
    return f"{(tenths if score >= 0.5 else min(tenths, 499)) / 10:.1f}"


def plain(words: str) -> str:
    """Return the words in ASCII: every Specific Character Set holds it, whichever one the source declares."""
    return words.encode("ascii", "replace").decode("ascii")


def decimal(number: str, language: str) -> str:
    """Return a number with the language's decimal mark."""
    return number.replace(".", say("decimal", language))


def iso_date(value: str) -> str:
    """Return a DICOM date (DA, ``YYYYMMDD``) as ``YYYY-MM-DD``, which is read alike in every language;
    anything else as it is."""
    whole = len(value) == len("YYYYMMDD") and value.isdecimal()
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if whole else value


def _strongest(outcome: StudyOutcome, language: str) -> str:
    """The findings that are present, each with the highest score among the images, strongest first."""
    strongest: dict[str, Finding] = {}
    for _, image in answered(outcome):
        for f in findings(image):
            if f.present and (f.label not in strongest or f.score > strongest[f.label].score):
                strongest[f.label] = f
    if not strongest:
        return say("clear", language)
    listed, priors = [], compared(outcome)
    for f in sorted(strongest.values(), key=lambda f: -f.score):
        change = earlier(f, priors, language)
        score = f"{named('finding', f.label, language)} {decimal(percent(f.score), language)} %"
        listed.append(f"{score} ({change})" if change else score)
    return say("found", language, findings=", ".join(listed))


def _why(image: ImageOutcome, language: str) -> str:
    if image.error is not None:
        what, why = "findings_withheld" if withheld(image) else "analysis_failed", image.error
    else:
        what, why = image.decision.verdict.value, image.decision.reasons[0]
    return say("why", language, what=say(what, language), why=say(why, language))


def _some(names: list[str], language: str) -> str:
    most = 5
    listed = ", ".join(names[:most])
    return say("more", language, images=listed, number=len(names) - most) if len(names) > most else listed

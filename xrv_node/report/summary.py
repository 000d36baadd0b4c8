"""What a study comes down to, in words and one status code: the part of a report that is read in five
seconds."""

from __future__ import annotations

from pydicom.sr.coding import Code

from xrv_node.analyse import mismatch
from xrv_node.attributes import text
from xrv_node.report import codes, heart
from xrv_node.report.certainty import earlier, near, of_hundred
from xrv_node.report.laterality import doubt
from xrv_node.report.located import place
from xrv_node.report.measurements import IMPLAUSIBLE, measure
from xrv_node.report.phrases import meaning, named, say
from xrv_node.report.quality import flags as quality_flags
from xrv_node.values import Finding, ImageOutcome, Prior, StudyOutcome, Verdict

_STATUS = {
    # PS3.16 CID 6047 by (every image that was due was analysed, with findings)
    (True, False): Code("111241", "DCM", "All algorithms succeeded; without findings"),
    (True, True): Code("111242", "DCM", "All algorithms succeeded; with findings"),
    (False, False): Code("111243", "DCM", "Not all algorithms succeeded; without findings"),
    (False, True): Code("111244", "DCM", "Not all algorithms succeeded; with findings"),
}
_SETTLED = ("part-chest", "view-frontal", "age-not-told", "taken-as-ap", "several-views", "in-no-table")
"""Keys of what the frontal filter says that leaves nothing open, or says nothing of whether it does."""
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
    """Return the findings of an answered image in the order in which every result tells them (`rank`)."""
    return () if image.analysis is None else tuple(sorted(image.analysis.findings, key=rank))


def rank(finding: Finding) -> tuple[bool, int]:
    """Return a finding's place: what is present first, the most urgent first. Never by score: scores of two
    findings do not compare.

    Raises
    ------
    ConfigError
        If the finding has no codes.
    """
    return not finding.present, codes.finding(finding.label).urgency


def quality(image: ImageOutcome, language: str = "en") -> tuple[str, ...]:
    """Return what the reader of an answered image's findings must know of the image, a sentence each: from
    the gate, from header and masks, and on the sides."""
    if image.analysis is None:
        return ()
    side = doubt(image.header, image.analysis)
    wide = [IMPLAUSIBLE] if any(IMPLAUSIBLE in m.caveats for m in measure(image)) else []
    said = (*image.analysis.quality, *quality_flags(image), *([side] if side else []), *wide)
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
        told = _told(outcome, language)
    elif failures and all(withheld(image) for _, image in failures):
        told = [say("withheld", language)]
    else:
        told = [say("failed" if failures else "skipped", language)]
    lines = [f"{meaning(codes.PHANTOM_SET, language)}.", *told] if outcome.model_set.phantom else told
    if images and failures:
        lines.append(say("partly", language, failed=len(failures), all=len(failures) + len(images)))
    if flagged := sum(bool(quality(image)) for _, image in images):
        lines.append(say("caution", language, flagged=flagged, all=len(images)))
    if any(mismatch.doubted(image.analysis.quality) for _, image in images if image.analysis):
        lines.append(say("mismatch", language))
    lines += [say(remark, language) for remark in outcome.remarks]
    return " ".join([*lines, say("not_for_diagnosis", language)])


def compared(outcome: StudyOutcome) -> tuple[Prior, ...]:
    """Return the earlier studies that scores are compared with: a phantom is nobody's, and has none."""
    return () if outcome.model_set.phantom else outcome.priors


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


def where(image: ImageOutcome, finding: Finding, language: str) -> str:
    """Return side and zone of a finding, e.g. ``"right, upper zone"``; empty where neither is known."""
    found = place(image, finding)
    said = [found.side and f"side_{found.side.lower()}", found.zone and f"zone_{found.zone}"]
    return ", ".join(say(key, language) for key in said if key)


def strongest(outcome: StudyOutcome) -> list[tuple[ImageOutcome, Finding]]:
    """Return each label once, with its highest score among the images and the image that has it; the most
    urgent first."""
    best: dict[str, tuple[ImageOutcome, Finding]] = {}
    for _, image in answered(outcome):
        for f in findings(image):
            if f.label not in best or f.score > best[f.label][1].score:
                best[f.label] = (image, f)
    return sorted(best.values(), key=lambda pair: rank(pair[1]))


def _told(outcome: StudyOutcome, language: str) -> list[str]:
    """The findings that are present, the most urgent first, each with where and how sure; and those that are
    nearly."""
    best = strongest(outcome)
    listed = [_in_short(i, f, outcome, language) for i, f in best if f.present]
    told = say("found", language, findings="; ".join(listed)) if listed else say("clear", language)
    almost = [
        f"{named('finding', f.label, language)} {of_hundred(f.score)}"
        for _, f in best
        if near(f) and not f.present
    ]
    return [told, *([say("near_below", language, findings=", ".join(almost))] if almost else [])]


def _in_short(image: ImageOutcome, finding: Finding, outcome: StudyOutcome, language: str) -> str:
    side = place(image, finding).side
    name = named("finding", finding.label, language)
    what = f"{name} {say(f'side_{side.lower()}', language)}" if side else name
    beside = [
        say("near", language) if near(finding) else None,
        heart.short(image, language) if finding.label == heart.LABEL else None,
        earlier(finding, compared(outcome), language),
    ]
    notes = "; ".join(filter(None, beside))
    return f"{what} {of_hundred(finding.score)}" + (f" ({notes})" if notes else "")


def _why(image: ImageOutcome, language: str) -> str:
    if image.error is not None:
        what, why = "findings_withheld" if withheld(image) else "analysis_failed", image.error
    else:
        return say(
            "why", language, what=say(image.decision.verdict, language), why=_ruled_out(image, language)
        )
    return say("why", language, what=say(what, language), why=say(why, language))


def _ruled_out(image: ImageOutcome, language: str) -> str:
    """Why an image was not analysed: the strongest reason; of one that the header leaves open, all that it
    leaves open."""
    reasons = image.decision.reasons
    if image.decision.verdict is Verdict.UNKNOWN:
        reasons = tuple(r for r in reasons if r.key not in _SETTLED) or reasons
        return " ".join(say(reason, language) for reason in reasons)
    return say(reasons[0], language)


def _some(names: list[str], language: str) -> str:
    most = 5
    listed = ", ".join(names[:most])
    return say("more", language, images=listed, number=len(names) - most) if len(names) > most else listed

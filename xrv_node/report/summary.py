"""What a study comes down to, in words and one status code: the part of a report that is read in five
seconds."""

from __future__ import annotations

from pydicom.sr.coding import Code

from xrv_node.attributes import text
from xrv_node.report import codes
from xrv_node.report.laterality import doubt
from xrv_node.values import Finding, ImageOutcome, StudyOutcome, Verdict

COMMISSIONING = "COMMISSIONING - NOT A RESULT"
NOTICE = (
    "Made by a machine and not verified by a person. Research software, not a medical device: not for "
    "diagnosis or treatment."
)
SCORES = (
    "A score is normalised to the finding's operating point, which lies at 50 %. It orders images by how "
    "strongly the network responds. It is not a probability, and scores of two findings do not compare. A "
    "finding that is not detected is not excluded."
)

_STATUS = {
    # PS3.16 CID 6047 by (every image that was due was analysed, with findings)
    (True, False): Code("111241", "DCM", "All algorithms succeeded; without findings"),
    (True, True): Code("111242", "DCM", "All algorithms succeeded; with findings"),
    (False, False): Code("111243", "DCM", "Not all algorithms succeeded; without findings"),
    (False, True): Code("111244", "DCM", "Not all algorithms succeeded; with findings"),
}
_NOTHING_SUCCEEDED = Code("111245", "DCM", "No algorithms succeeded; without findings")

_VERDICTS = {
    Verdict.FRONTAL: "frontal image",
    Verdict.LATERAL: "lateral image",
    Verdict.NOT_CHEST: "not a chest radiograph",
    Verdict.NOT_SUITABLE: "not suitable",
    Verdict.UNKNOWN: "view unknown",
}


def answered(outcome: StudyOutcome) -> list[tuple[int, ImageOutcome]]:
    """Return the images that the networks have answered, each with its number in the study (from 1).

    An image with an error is not among them even where there is an analysis: what the networks say of an
    image that failed a check (one that the autoencoder cannot reconstruct, say) is not reported.
    """
    return [(n, i) for n, i in enumerate(outcome.images, 1) if i.analysis is not None and i.error is None]


def failed(outcome: StudyOutcome) -> list[tuple[int, ImageOutcome]]:
    """Return the images that should have been analysed and were not, each with its number in the study."""
    return [(n, i) for n, i in enumerate(outcome.images, 1) if i.error is not None]


def findings(image: ImageOutcome) -> tuple[Finding, ...]:
    """Return the findings of an answered image, those with the highest scores first."""
    return () if image.analysis is None else tuple(sorted(image.analysis.findings, key=lambda f: -f.score))


def quality(image: ImageOutcome) -> tuple[str, ...]:
    """Return what the reader of an answered image's findings must know of the image, a sentence each."""
    if image.analysis is None:
        return ()
    side = doubt(image.header, image.analysis)
    return (*image.analysis.quality, *([side] if side else []))


def withheld(image: ImageOutcome) -> bool:
    """Whether the networks answered and the answer is not reported, because the gate refused the image."""
    return image.analysis is not None and image.error is not None


def status(outcome: StudyOutcome) -> Code:
    """Return the study's one status code (PS3.16 CID 6047); untrained networks never succeed."""
    images = answered(outcome)
    if not images or outcome.model_set.commissioning:
        return _NOTHING_SUCCEEDED
    return _STATUS[not failed(outcome), any(f.present for _, i in images for f in findings(i))]


def headline(outcome: StudyOutcome) -> str:
    """Return the one line that stands first: what was found, on how many images, and whether to trust it at
    all."""
    images, failures = answered(outcome), failed(outcome)
    if outcome.model_set.commissioning:
        return f"{COMMISSIONING}. The networks are untrained and their numbers mean nothing."
    if images:
        strongest: dict[str, float] = {}
        for _, image in images:
            for f in findings(image):
                if f.present:
                    strongest[f.label] = max(f.score, strongest.get(f.label, 0.0))
        ranked = sorted(strongest.items(), key=lambda pair: -pair[1])
        listed = ", ".join(f"{codes.finding(label).name} {percent(score)} %" for label, score in ranked)
        told = (
            f"AI: {listed} (score; operating point 50 %)."
            if listed
            else "AI: nothing at or over its operating point."
        )
    elif failures and all(withheld(image) for _, image in failures):
        told = "AI: no result, the image is unlike those that the node is set up for."
    elif failures:
        told = "AI: no result, the analysis failed."
    else:
        told = "AI: no result, there was no frontal chest radiograph to analyse."
    if images and failures:
        told += f" {len(failures)} of {len(failures) + len(images)} images could not be analysed."
    if flagged := sum(bool(quality(image)) for _, image in images):
        told += f" Caution, unusual images: {flagged} of {len(images)}, see below."
    return told + " Not for diagnosis."


def not_analysed(outcome: StudyOutcome) -> list[str]:
    """Return a line for each reason why images were not analysed, with the images that it applies to.

    Images that share a reason share a line: a computed tomography that came with the radiograph has hundreds.
    """
    shared: dict[str, list[str]] = {}
    done = {n for n, _ in answered(outcome)}
    for n, image in enumerate(outcome.images, 1):
        if n not in done:
            shared.setdefault(_why(image), []).append(image_name(n, image))
    return [plain(f"{_some(names)}: {why}") for why, names in shared.items()]


def image_name(number: int, image: ImageOutcome) -> str:
    """Return how a report names an image: its number in the study, view, series and instance number."""
    parts = [image.decision.view or "view not stated"]
    for what, keyword in (("series", "SeriesNumber"), ("image", "InstanceNumber")):
        value = text(image.header, keyword)
        if value:
            parts.append(f"{what} {value}")
    return plain(f"Image {number} ({', '.join(parts)})")


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


def _why(image: ImageOutcome) -> str:
    if image.error is not None:
        return f"{'no findings reported' if withheld(image) else 'analysis failed'}: {image.error}"
    return f"{_VERDICTS[image.decision.verdict]}: {image.decision.reasons[0]}"


def _some(names: list[str]) -> str:
    most = 5
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

"""Which images show one and the same exposure, and which of them is reported.

A device or a workstation sends an exposure more than once: raw and processed, with two kinds of processing,
with two windows, as a secondary capture, corrected. A reader must not find it counted twice. Two exposures
that are taken for one cost a finding, one that is taken for two costs a line: what is in doubt is two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset

from xrv_node.attributes import integer, items, shown, text, values
from xrv_node.reasons import Reason
from xrv_node.values import Evidence

SAME = "the same exposure"
"""What the evidence of a repeat indicates."""

NAMED = ("IrradiationEventUID", "AcquisitionUID")
"""Name the exposure itself (PS3.3 C.7.10.1)."""

TIMES = (("AcquisitionDateTime",), ("AcquisitionDate", "AcquisitionTime"))
"""When an exposure began (PS3.3 C.7.10.1), to the second at least. No detector takes two within a second but
for dual energy, which `frontal.gates` leaves out."""

DETECTORS = ("DetectorID", "PlateID", "DeviceSerialNumber", "StationName")
"""By what it was taken (PS3.3 C.8.11.4, C.8.1.2, C.7.5.1)."""

DIFFERING = (
    "PatientID", "ViewPosition", "ImageLaterality", "AcquisitionNumber", "KVP", "Exposure", "ExposureInuAs",
    "ExposureTime", "ExposureTimeInuS", "XRayTubeCurrent", "DetectorID", "PlateID",
)  # fmt: skip
"""One exposure has one of each; two images that state two of any are two exposures."""

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""And the multi-frame ones below it (PS3.4 B.5)."""
_SECONDS = len("HHMMSS")


@dataclass(frozen=True, slots=True)
class Preference:
    """One ground on which an image is chosen before another of its exposure."""

    rank: Callable[[Dataset], Any]
    """The higher is chosen."""
    key: str
    """Of the reason, for the one that is not; its `number` is the chosen one's."""


PREFERENCES = (
    # PS3.3 C.8.11.1: what FOR PROCESSING holds is nobody's to read
    Preference(
        lambda h: {"FOR PRESENTATION": 2, "FOR PROCESSING": 0}.get(text(h, "PresentationIntentType"), 1),
        "repeat-for-presentation",
    ),
    Preference(
        lambda h: not f"{text(h, 'SOPClassUID')}.".startswith(f"{_SECONDARY_CAPTURE}."),
        "repeat-secondary-capture",
    ),
    # values 1 and 2 of Image Type, PS3.3 C.7.6.1.1.2
    Preference(
        lambda h: _image_type(h, 0) != "DERIVED",
        "repeat-derived",
    ),
    Preference(
        lambda h: _image_type(h, 1) != "SECONDARY",
        "repeat-secondary",
    ),
    # PS3.3 C.7.6.1.1.5
    Preference(
        lambda h: text(h, "LossyImageCompression") != "01",
        "repeat-compressed",
    ),
    Preference(
        lambda h: integer(h, "Rows") * integer(h, "Columns"),
        "repeat-smaller",
    ),
    Preference(
        lambda h: (text(h, "ContentDate"), text(h, "ContentTime"), integer(h, "InstanceNumber")),
        "repeat-older",
    ),
)
"""In the order in which they count."""

NO_PREFERENCE = "repeat-alike"


@dataclass(frozen=True, slots=True)
class Repeat:
    """An image that is not reported, because another of its exposure is."""

    number: int
    chosen: int
    """The other one's number."""
    reason: Reason
    evidence: Evidence
    """What tells that the exposure is the same."""


def repeats(headers: Mapping[int, Dataset]) -> tuple[Repeat, ...]:
    """Find the images that show an exposure which another image shows too.

    Parameters
    ----------
    headers : mapping of int to pydicom.Dataset
        Of the frontal images of a study, by the numbers that they have in its report. They may hold anything.

    Returns
    -------
    tuple of Repeat
        One for each image that is not to be reported; of each exposure exactly one image has none. Empty
        where every image is an exposure of its own. Whatever the order of the mapping, for images of
        different rank it is the same.
    """
    found: list[Repeat] = []
    for exposure in _exposures(headers):
        ranks = {n: tuple(p.rank(headers[n]) for p in PREFERENCES) for n in exposure}
        chosen = max(exposure, key=lambda n: (ranks[n], -n))
        for number in exposure:
            if number != chosen:
                ties = (_tie(headers[number], headers[other]) for other in exposure if other != number)
                pairs = zip(PREFERENCES, ranks[chosen], ranks[number], strict=True)
                key = next((p.key for p, best, own in pairs if best != own), NO_PREFERENCE)
                found.append(
                    Repeat(number, chosen, Reason(key, number=chosen), next(tie for tie in ties if tie))
                )
    return tuple(found)


def _exposures(headers: Mapping[int, Dataset]) -> list[list[int]]:
    """The images of each exposure that has more than one: tied to one of the others, at odds with none."""
    groups: list[list[int]] = []
    for number, header in headers.items():
        for group in groups:
            others = [headers[other] for other in group]
            if any(_tie(header, o) for o in others) and not any(_apart(header, o) for o in others):
                group.append(number)
                break
        else:
            groups.append([number])
    return [group for group in groups if len(group) > 1]


def _tie(one: Dataset, other: Dataset) -> Evidence | None:
    """What says that two images show one exposure."""
    if source := _common_source(one, other):
        return Evidence("SourceImageSequence", shown(source), SAME)
    for keyword in NAMED:
        if (uids := values(one, keyword)) and uids == values(other, keyword):
            return Evidence(keyword, shown("\\".join(uids)), SAME)
    if not any(text(one, k) and text(one, k) == text(other, k) for k in DETECTORS):
        return None
    for keywords in TIMES:
        times = [_moment(header, keywords) for header in (one, other)]
        if times[0] and times[0] == times[1]:
            return Evidence(keywords[-1], shown(times[0]), SAME)
    return None


def _apart(one: Dataset, other: Dataset) -> bool:
    """Whether two images contradict each other on the exposure. One that was made from the other may correct
    it: only the patient counts there."""
    stated = DIFFERING[:1] if _common_source(one, other) else DIFFERING
    return any(text(one, k) != text(other, k) for k in stated if text(one, k) and text(other, k))


def _common_source(one: Dataset, other: Dataset) -> str:
    """The image that one was made from and the other is, or was made from too; empty where there is none."""
    first, second = ({text(h, "SOPInstanceUID"), _source(h)} for h in (one, other))
    return min((first & second) - {""}, default="")


def _source(header: Dataset) -> str:
    """The one image that this one was made from (PS3.3 C.12.4); empty where there is none or several."""
    sources = items(header, "SourceImageSequence")
    return text(sources[0], "ReferencedSOPInstanceUID") if len(sources) == 1 else ""


def _moment(header: Dataset, keywords: tuple[str, ...]) -> str:
    """When the exposure began; empty where that is not told to the second, or is the study's own time, which
    some devices write into each image."""
    parts = [text(header, keyword) for keyword in keywords]
    whole = "".join(parts)
    time = whole[len("YYYYMMDD") :]
    known = all(parts) and len(time) >= _SECONDS and time[:_SECONDS].isdecimal()
    return whole if known and time[:_SECONDS] != text(header, "StudyTime")[:_SECONDS] else ""


def _image_type(header: Dataset, index: int) -> str:
    found = values(header, "ImageType")
    return found[index].upper() if len(found) > index else ""

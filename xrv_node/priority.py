"""Which studies go before their turn: the rules ``[[priority]]`` on what is known of an image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time

from pydicom import Dataset

from xrv_node.attributes import items, text
from xrv_node.settings.priority import PrioritySection

KEYWORDS = ("RequestedProcedurePriority", "StudyPriorityID")
"""Where a header says how urgent it is: the first is of the request, the second, retired, of the study."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the rules go by."""

    calling_ae: str
    station: str
    study_priority: frozenset[str]
    at: datetime
    """When the image came; aware."""
    findings: Collection[str] = ()
    """Present ones; none before the networks have answered."""


def of_header(header: Dataset) -> frozenset[str]:
    """How urgent a header says that its study is.

    The standard puts it into requests, not into images (PS3.3 C.4.11); devices that send it all the same have
    it at the top, or in the Request Attributes Sequence.
    """
    places = (header, *items(header, "RequestAttributesSequence"))
    return frozenset(text(place, keyword).upper() for place in places for keyword in KEYWORDS) - {""}


def level(rules: Sequence[PrioritySection], known: Known) -> int:
    """The highest level of the rules that an image meets; 0 where it meets none."""
    return max((rule.level for rule in rules if _meets(rule, known)), default=0)


def _meets(rule: PrioritySection, known: Known) -> bool:
    has: dict[str, Collection[str]] = {
        "calling_ae": {known.calling_ae},
        "station": {known.station},
        "study_priority": known.study_priority,
        "finding": set(known.findings),
    }
    asked = ((has[key], value) for key, value in rule if key in has and value)
    return all(not set(wanted).isdisjoint(there) for there, wanted in asked) and _within(rule.span, known.at)


def _within(span: tuple[time, time] | None, at: datetime) -> bool:
    if span is None:
        return True
    (begin, end), now = span, at.astimezone().time()
    return begin <= now < end if begin < end else now >= begin or now < end

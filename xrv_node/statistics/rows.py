"""The tables of the statistics, a row class each; phantoms are counted nowhere but among the verdicts."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import TypedDict


class DayRow(TypedDict):
    """What came on one day."""

    day: str
    """In this machine's time zone, ``YYYY-MM-DD``."""
    studies: int
    """Of which an image came that day."""
    images: int
    """That came that day."""
    analysed: int
    """Of these: the networks answered."""
    skipped: int
    """Of these: not to be analysed."""
    failed: int
    """Of these: a person must see to them."""


class StationRow(TypedDict):
    """What came from one station."""

    station: str
    """Station Name; empty: the images name none; in brackets the beginning of its digest, where no file is
    left."""
    sender: str
    """AE title that sent them."""
    studies: int
    """Of which an image came from there."""
    images: int
    """That came from there."""
    analysed: int
    """Of these: the networks answered."""
    skipped: int
    """Of these: not to be analysed."""
    failed: int
    """Of these: a person must see to them."""


class VerdictRow(TypedDict):
    """What images were taken for."""

    verdict: str
    """``frontal``, ``lateral``, ``not_chest``, ``not_suitable``, ``unknown`` or ``phantom``."""
    images: int
    """So many."""


class StageRow(TypedDict):
    """How long a part of the way takes."""

    stage: str
    """From what to what; of a delivery with its destination."""
    number: int
    """How many were measured."""
    p50_seconds: float
    """Half of them took no longer."""
    p95_seconds: float
    """All but one in twenty took no longer."""


class FindingRow(TypedDict):
    """How often a finding was present in one week."""

    finding: str
    """torchxrayvision's name."""
    week: str
    """ISO 8601, e.g. ``2026-W49``."""
    images: int
    """For which the classifier answered and findings were reported."""
    present: int
    """Of these: at or over the operating point."""
    share: float
    """``present`` of ``images``."""
    low: float
    """Lower end of the share's 95 % interval (Wilson)."""
    high: float
    """Its upper end."""


class ReasonRow(TypedDict):
    """Why something was not taken or not analysed."""

    what: str
    """``association.refused``, ``instance.refused`` or ``instance.skipped``."""
    why: str
    """The reason."""
    number: int
    """How often."""


class KeptBackRow(TypedDict):
    """What was made and not sent, while nothing was to leave for its destination."""

    destination: str
    """Its name."""
    kind: str
    """``report``, ``sr``, ``seg`` ..."""
    results: int
    """How many would have been sent."""
    studies: int
    """Of so many studies."""


class AgreementRow(TypedDict):
    """A finding as the node says it beside how readers do, a study each: present where it is in any image."""

    finding: str
    """torchxrayvision's name."""
    studies: int
    """That the readers labelled, and the node reported."""
    both: int
    """Present for both."""
    only_node: int
    """Present for the node alone."""
    only_readers: int
    """Present for the readers alone."""
    neither: int
    """Present for neither."""
    agreement: float
    """Share of the studies in which they say the same."""
    sensitivity: float | None
    """Of the node, the readers being right; null without a study in which it is present for them."""
    sensitivity_low: float | None
    """Lower end of its 95 % interval (Wilson)."""
    sensitivity_high: float | None
    """Its upper end."""
    specificity: float | None
    """The same of what is absent for the readers."""
    specificity_low: float | None
    """Lower end of its 95 % interval (Wilson)."""
    specificity_high: float | None
    """Its upper end."""


class Statistics(TypedDict):
    """What the node has done."""

    node: str
    """Its name."""
    since: datetime
    """What came then or later is counted."""
    until: datetime
    """And before this."""
    studies: int
    """Of which an image came."""
    images: int
    """That came."""
    days: list[DayRow]
    """By day."""
    stations: list[StationRow]
    """By station and sender."""
    verdicts: list[VerdictRow]
    """What the images were taken for."""
    turnaround: list[StageRow]
    """How long it took."""
    findings: list[FindingRow]
    """By finding and week."""
    reasons: list[ReasonRow]
    """What was refused or skipped, the most frequent first."""
    kept_back: list[KeptBackRow]
    """What would have been sent."""
    agreement: list[AgreementRow]
    """Beside the readers' labels, where they were given."""
    labels_without_study: int
    """Rows of the labels of which the node has reported no study in this span."""


TABLES: dict[str, type] = {
    "days": DayRow,
    "stations": StationRow,
    "verdicts": VerdictRow,
    "turnaround": StageRow,
    "findings": FindingRow,
    "reasons": ReasonRow,
    "kept_back": KeptBackRow,
    "agreement": AgreementRow,
}
"""The parts that are tables: key of `Statistics`, and what a row is."""

TITLES = {
    "days": "By day",
    "stations": "By station",
    "verdicts": "What images were taken for",
    "turnaround": "How long it took",
    "findings": "Findings by week",
    "reasons": "Not taken, not analysed",
    "kept_back": "Kept back",
    "agreement": "Beside the readers",
}
"""What they are called."""

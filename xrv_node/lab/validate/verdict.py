"""What a finding's figures allow to be said in a word: whether the network finds it on these images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xrv_node.lab.statistics.intervals import FEWEST

if TYPE_CHECKING:
    from xrv_node.lab.statistics.evaluate import FindingFigures

ENOUGH = 100
"""Images with a finding, and without, below which the figures of a validation are unsure whatever they are
(Vergouwe et al. 2005; Collins, Ogundimu and Altman 2016)."""

VERDICTS: Mapping[str, str] = {
    "better": "better than chance: the interval of the AUC lies above 0.5",
    "chance": "not told from chance: the interval of the AUC holds 0.5",
    "worse": "worse than chance: the interval of the AUC lies below 0.5; look at labels and polarity",
    "few": f"too few images to say: fewer than {FEWEST} with the finding, or without",
}
"""By name, as in ``findings.csv``, in words for people."""


WITHOUT: Mapping[str, str] = {
    "few": "Too few images",
    "chance": "Not told from chance",
    "worse": "Worse than chance",
    "better": "The rule would call every image, or none",
}
"""Why a finding gets no threshold, by its verdict, in words."""


def verdict(finding: FindingFigures) -> str:
    """Return a key of `VERDICTS`; of an area without an interval nothing is said, and it counts as few."""
    low, high = finding.auc.low, finding.auc.high
    if smaller_class(finding) < FEWEST or low is None or high is None:
        return "few"
    return "better" if low > 0.5 else "worse" if high < 0.5 else "chance"


def smaller_class(finding: FindingFigures) -> int:
    """Return how many images the figures rest on: those with the finding or those without, the fewer."""
    return min(finding.positives, finding.number - finding.positives)


def beside_published(finding: FindingFigures, area: float | None) -> str:
    """Tell where a finding's area lies: ``below``, ``above`` or ``like`` the published; empty without one.

    It is below (above) where the whole interval is; with fewer than `FEWEST` images of a class nothing is
    said.
    """
    low, high = finding.auc.low, finding.auc.high
    if area is None or low is None or high is None or smaller_class(finding) < FEWEST:
        return ""
    return "below" if high < area else "above" if low > area else "like"

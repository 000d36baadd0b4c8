"""How sure a score is: the number that is shown, what lies near the operating point, what a change is.

A score is shown as a number of 100 and not in per cent, which reads as a probability.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xrv_node.report.phrases import say
from xrv_node.report.wording import date, decimal
from xrv_node.values import OPERATING_POINT, Finding, Prior, StudyOutcome

REPEAT = 0.11
"""How far two scores of one unchanged person lie apart: the repeatability coefficient (Bland and Altman,
Lancet 1986;327:307) that was measured on phantoms, which the same device exposes again in another
position and with other noise: 10.4 of 100 (``tests/bench/bench_repeat.py``). It is that of the classifier
for phantoms; of those for patients only a site's own repeats can tell."""


def shown(score: float) -> str:
    """Return a score as a whole number of 100, never rounded across the operating point.

    Parameters
    ----------
    score : float
        In [0, 1]. 0.4996 gives ``"49"``: ``"50"`` would say that the finding is present.
    """
    whole = round(score * 100)
    return str(whole if score >= OPERATING_POINT else min(whole, 49))


def of_hundred(score: float) -> str:
    """Return a score as it stands in a sentence, e.g. ``"82/100"``."""
    return f"{shown(score)}/100"


def near(finding: Finding) -> bool:
    """Whether another exposure of the same person may well fall on the other side of the operating point: by
    half of what two exposures differ."""
    return abs(finding.score - OPERATING_POINT) < REPEAT / 2


def earlier(finding: Finding, priors: Sequence[Prior], language: str) -> str | None:
    """Return a finding's score in the newest earlier study that has one, with its date and the change since.

    Parameters
    ----------
    finding : Finding
        As it is now.
    priors : sequence of Prior
        The newest first.
    language : str
        Of the reader.

    Returns
    -------
    str or None
        E.g. ``"2025-03-02: 44/100, +27"``, in points between what is shown; a change of less than `REPEAT`
        is called unchanged, whatever it is. None where no earlier study has the finding.
    """
    prior = next((p for p in priors if finding.label in p.scores), None)
    if prior is None:
        return None
    then = prior.scores[finding.label]
    points = int(shown(finding.score)) - int(shown(then))
    change = say("unchanged", language) if abs(finding.score - then) < REPEAT else f"{points:+d}"
    return f"{date(prior.study_date, language)}: {of_hundred(then)}, {change}"


def notes(finding: Finding, outcome: StudyOutcome, language: str) -> Iterator[str]:
    """Say how sure a finding that is present is: how near its operating point, and how good that point is
    where the site has measured it."""
    if near(finding):
        yield say("near_over", language)
    if rates := outcome.rates.get(finding.label):
        yield say("rates", language, **_percent(rates, language))


def _percent(rates: tuple[float, float], language: str) -> dict[str, str]:
    sensitivity, specificity = (decimal(f"{rate:.2f}", language) for rate in rates)
    return {"sensitivity": sensitivity, "specificity": specificity}

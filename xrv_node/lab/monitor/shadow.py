"""Two classifiers on the same images: the one whose findings are reported, and the one in its shadow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from xrv_node.db.store import Store
from xrv_node.db.tables import AnalysisRow, Instance, ShadowRow, Study
from xrv_node.errors import XrvNodeError
from xrv_node.lab.statistics.intervals import Estimate, share
from xrv_node.values import OPERATING_POINT


@dataclass(frozen=True, slots=True)
class Pair:
    """One image that both have answered."""

    study: str
    instance: str
    patient: str
    """Keyed digest; of a study of which it is not known whose it is, a name of its own."""
    first: dict[str, float]
    """Score by finding, of the one that is reported."""
    second: dict[str, float]


@dataclass(frozen=True, slots=True)
class Answers:
    """What there is to compare."""

    first: str
    """Name of the classifier whose findings are reported."""
    second: str
    pairs: tuple[Pair, ...]
    without_answer: int
    """Images that the second could not answer, or that were in hand when its process ended."""


@dataclass(frozen=True, slots=True)
class FindingAgreement:
    """How the two call one finding."""

    finding: str
    images: int
    both: int
    """Images on which both call it: at or over each one's own operating point."""
    only_first: int
    only_second: int
    neither: int
    agreement: Estimate
    """Share of images that both call or neither, with its 95 % interval over patients."""
    difference: float
    """Mean of the second's score less the first's; 0.5 is the operating point of either."""
    difference_low: float
    """Below it lie 2.5 % of the images' differences."""
    difference_high: float
    """Above it lie 2.5 %."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One finding of one image."""

    study: str
    """Study Instance UID."""
    instance: str
    """SOP Instance UID."""
    finding: str
    first: float
    """Score of the one that is reported."""
    second: float
    called_otherwise: bool
    """Whether one calls the finding and the other does not."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The one that is reported, and its shadow."""

    first: str
    """Name of the classifier whose findings are reported."""
    second: str
    """Name of its shadow."""
    images: int
    """Images that both have answered."""
    patients: int
    without_answer: int
    """Images that the shadow could not answer."""
    findings: tuple[FindingAgreement, ...]
    """Of what both know, those that they agree on least first."""
    cases: tuple[Disagreement, ...]
    """Where they are furthest apart: those that are called otherwise first."""
    only_first_knows: tuple[str, ...]
    only_second_knows: tuple[str, ...]


def answers(store: Store, classifier: str | None, since: datetime, until: datetime) -> Answers:
    """Read what both have said of the images of a time.

    Parameters
    ----------
    classifier
        Name of the shadow; None: the one that has answered last.
    since, until
        When the images were received, with time zone.

    Raises
    ------
    XrvNodeError
        There is no answer of a shadow in that time.
    """
    query = (
        select(ShadowRow, AnalysisRow, Instance.sop_instance_uid, Study)
        .join(Instance, Instance.id == ShadowRow.instance_id)
        .join(Study, Study.id == Instance.study_id)
        .join(AnalysisRow, AnalysisRow.instance_id == Instance.id)
        .where(Instance.received_at >= since, Instance.received_at < until, AnalysisRow.phantom.is_(False))
        .order_by(AnalysisRow.created_at.desc(), ShadowRow.id.desc())
    )
    if classifier is not None:
        query = query.where(ShadowRow.classifier == classifier)
    with store.read() as db:
        rows = db.execute(query).all()
        if not rows:
            of = f" of {classifier}" if classifier else ""
            raise XrvNodeError(
                f"no answers{of} in the shadow to images received {since:%Y-%m-%d} to {until:%Y-%m-%d}: set "
                "models.shadow.classifier, or choose a longer time with --days"
            )
        # of networks that were replaced meanwhile, the newest alone: figures of two would be nobody's
        newest = max((shadow for shadow, *_ in rows), key=lambda shadow: shadow.id)
        models = rows[0].AnalysisRow.model_set
        pairs, without = [], 0
        for shadow, analysis, instance, study in rows:
            other = (shadow.classifier, shadow.weights) != (newest.classifier, newest.weights)
            if other or analysis.model_set != models:
                continue
            if shadow.scores is None:
                without += 1
                continue
            patient = study.patient or f"study {study.id}"
            pairs.append(Pair(study.study_instance_uid, instance, patient, analysis.scores, shadow.scores))
        first = rows[0].AnalysisRow.models["classifier"]["name"]
        return Answers(first, newest.classifier, tuple(pairs), without)


def compare(found: Answers, cases: int) -> Comparison:
    """Count how far the two agree.

    Parameters
    ----------
    cases
        Most disagreements that are named.
    """
    pairs = found.pairs
    known = [list(dict.fromkeys(label for pair in pairs for label in one(pair))) for one in (_first, _second)]
    shared = [label for label in known[0] if label in known[1]]
    numbers: dict[str, int] = {}
    patients = np.array([numbers.setdefault(pair.patient, len(numbers)) for pair in pairs], np.intp)
    findings = [_agreement(label, pairs, patients) for label in shared]
    apart = [one for pair in pairs for label in shared if (one := _case(pair, label)) is not None]
    apart.sort(key=lambda one: (not one.called_otherwise, -abs(one.second - one.first), one.instance))
    return Comparison(
        first=found.first,
        second=found.second,
        images=len(pairs),
        patients=len(numbers),
        without_answer=found.without_answer,
        findings=tuple(sorted(findings, key=lambda one: (one.agreement.value or 0.0, one.finding))),
        cases=tuple(apart[:cases]),
        only_first_knows=tuple(label for label in known[0] if label not in shared),
        only_second_knows=tuple(label for label in known[1] if label not in shared),
    )


def _first(pair: Pair) -> dict[str, float]:
    return pair.first


def _second(pair: Pair) -> dict[str, float]:
    return pair.second


def _agreement(label: str, pairs: Sequence[Pair], patients: NDArray[np.intp]) -> FindingAgreement:
    there = np.array([label in pair.first and label in pair.second for pair in pairs])
    both = [(pair.first[label], pair.second[label]) for pair, one in zip(pairs, there, strict=True) if one]
    first, second = np.array(both, np.float64).T
    called, too = first >= OPERATING_POINT, second >= OPERATING_POINT
    low, high = np.quantile(second - first, (0.025, 0.975))
    _, groups = np.unique(patients[there], return_inverse=True)
    return FindingAgreement(
        finding=label,
        images=len(both),
        both=int((called & too).sum()),
        only_first=int((called & ~too).sum()),
        only_second=int((~called & too).sum()),
        neither=int((~called & ~too).sum()),
        agreement=share(called == too, groups),
        difference=float((second - first).mean()),
        difference_low=float(low),
        difference_high=float(high),
    )


def _case(pair: Pair, label: str) -> Disagreement | None:
    if label not in pair.first or label not in pair.second:
        return None
    first, second = pair.first[label], pair.second[label]
    otherwise = (first >= OPERATING_POINT) != (second >= OPERATING_POINT)
    return Disagreement(pair.study, pair.instance, label, first, second, otherwise)

"""From barriers and signs to one verdict with its reasons."""

from __future__ import annotations

from functools import reduce

from pydicom import Dataset

from xrv_node.frontal.evidence import TOLD_BY, Sign, part_signs, view_signs
from xrv_node.frontal.gates import ADULT_YEARS, BARRED_BY, Barrier, age_years, barriers, says_quality_control
from xrv_node.frontal.rules import PART_KINDS, Rules, load_rules
from xrv_node.reasons import Reason
from xrv_node.values import FrontalDecision, Verdict


def decide(
    header: Dataset, rules: Rules | None = None, *, min_age_years: float = ADULT_YEARS
) -> FrontalDecision:
    """Decide from a header whether an image is a frontal chest radiograph.

    Parameters
    ----------
    header : pydicom.Dataset
        Attributes of one object; pixel data is neither needed nor looked at. May hold anything.
    rules : Rules, optional
        The tables; without them, those that came with the node.
    min_age_years : float
        Patients younger than this, in years, are left out. An unknown age passes, with a note.

    Returns
    -------
    FrontalDecision
        Never without reasons, strongest first; neither reasons nor evidence hold names, identifiers, ages or
        other values of the patient module. Never raises.

    Notes
    -----
    In this order: what rules an image out (``not_suitable``, or ``not_chest`` for classes of other regions);
    a body part other than the chest (``not_chest``); a view other than frontal (``lateral``,
    ``not_suitable``); what the header leaves open or says in two ways (``unknown``). A lateral sign against a
    weaker frontal one is lateral, because frontal is what devices write by default and lateral is only
    written on purpose; a frontal sign against a weaker lateral one is unknown, because the flag of a protocol
    outlives its use.

    What a digital phantom says of itself rules out every image but its own, which the mark in its pixels
    tells: ``phantom`` is a frontal chest radiograph but for that, and is refused where the mark is missing.
    One that shows something else is left out for what it shows, as a patient's would be.
    """
    rules = rules or load_rules()
    out = barriers(header, rules, min_age_years)
    parts, views = part_signs(header, rules), view_signs(header, rules)
    plain = [sign for sign in views if sign.kind in rules.projections]
    part_verdict, part_reasons = _part([sign for sign in parts if sign.kind in PART_KINDS])
    view_verdict, view_reasons = _view(plain, rules)
    shown = _verdict(part_verdict, view_verdict)
    phantom = bool(out) and _phantom_alone(header, out)
    reasons = [barrier.reason for barrier in out]
    body = (
        [*part_reasons, *view_reasons]
        if part_verdict is not Verdict.FRONTAL
        else [*view_reasons, *part_reasons]
    )
    plainly_other = phantom and shown not in (Verdict.FRONTAL, Verdict.UNKNOWN)
    notes = [sign.remark for sign in (*views, *parts) if sign.remark]
    if age_years(header) is None:
        notes.append(Reason("age-not-told"))
    same = [sign.view for sign in plain if sign.kind == plain[0].kind and sign.view]
    return FrontalDecision(
        verdict=_ruled(out, shown, phantom=phantom),
        view=same[0] if same else None,
        reasons=tuple(
            dict.fromkeys([*body, *reasons, *notes] if plainly_other else [*reasons, *body, *notes])
        ),
        evidence=(*(barrier.evidence for barrier in out), *(sign.evidence for sign in (*views, *parts))),
    )


def attributes(rules: Rules | None = None) -> frozenset[str]:
    """Return the keywords of all that `decide` looks at.

    Parameters
    ----------
    rules : Rules, optional
        As for `decide`.
    """
    rules = rules or load_rules()
    objections = (keyword for row in rules.objections for keyword in row.attributes)
    named = (
        rules.view_attributes,
        rules.elsewhere_attributes,
        rules.text_attributes,
        rules.portable_attributes,
    )
    return frozenset({*BARRED_BY, *TOLD_BY, *objections, *(keyword for table in named for keyword in table)})


def _phantom_alone(header: Dataset, out: tuple[Barrier, ...]) -> bool:
    """Tell whether nothing rules an image out but that it calls itself a phantom's, for quality control."""
    return all(barrier.phantom for barrier in out) and says_quality_control(header)


def _ruled(out: tuple[Barrier, ...], shown: Verdict, *, phantom: bool) -> Verdict:
    """Return the verdict on an image with what rules it out; nobody guesses what a phantom shows."""
    if not out:
        return shown
    if not phantom or shown is Verdict.UNKNOWN:
        return out[0].verdict
    return Verdict.PHANTOM if shown is Verdict.FRONTAL else shown


def _verdict(part: Verdict, view: Verdict) -> Verdict:
    """Combine both verdicts; FRONTAL stands for "chest" in ``part``."""
    if part is Verdict.NOT_CHEST:
        return part
    if view in (Verdict.FRONTAL, Verdict.UNKNOWN):
        return view if part is Verdict.FRONTAL else Verdict.UNKNOWN
    return view  # whatever it shows, it is not a frontal view


def _part(signs: list[Sign]) -> tuple[Verdict, list[Reason]]:
    """Return whether the chest is shown (FRONTAL for yes), with reasons."""
    told: dict[str, Reason] = {}
    for sign in signs:  # the strongest of each kind
        told.setdefault(sign.kind, sign.told)
    if not told:
        return Verdict.UNKNOWN, [Reason("part-not-told")]
    if "other" in told and len(told) > 1:
        conflict = reduce(lambda one, other: Reason("against", one=one, other=other), told.values())
        return Verdict.UNKNOWN, [Reason("part-contradicts", conflict=conflict)]
    if "other" in told:
        return Verdict.NOT_CHEST, [Reason("part-other", told=told["other"])]
    if "partly" in told:
        return Verdict.UNKNOWN, [Reason("part-partly", told=told["partly"])]
    return Verdict.FRONTAL, [Reason("part-chest", told=told["chest"])]


def _view(signs: list[Sign], rules: Rules) -> tuple[Verdict, list[Reason]]:
    """Return what the view makes of the image, with reasons."""
    if not signs:
        return Verdict.UNKNOWN, [Reason("view-not-told")]
    first, verdict = signs[0], rules.projections[signs[0].kind]
    reason = Reason(f"view-{first.kind}", told=first.told)
    against = [sign for sign in signs if rules.projections[sign.kind] is not verdict]
    if not against:
        return verdict, [reason]
    others = reduce(lambda one, other: Reason("listed", one=one, other=other), map(_of_kind, against))
    conflict = Reason("against", one=_of_kind(first), other=others)
    if verdict is Verdict.FRONTAL:
        return Verdict.UNKNOWN, [Reason("view-contradicts-open", conflict=conflict)]
    return verdict, [reason, Reason("view-contradicts-settled", conflict=conflict)]


def _of_kind(sign: Sign) -> Reason:
    return Reason("sign-of", told=sign.told, kind=Reason(f"kind-{sign.kind}"))

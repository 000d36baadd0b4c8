"""A validation as one HTML page, ``templates/validation.html``: this gives it its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xrv_node.lab.statistics.intervals import FEWEST
from xrv_node.lab.statistics.thresholds import RULES
from xrv_node.lab.validate import plots
from xrv_node.lab.validate.verdict import ENOUGH, VERDICTS, WITHOUT, beside_published, smaller_class, verdict
from xrv_node.templates import render
from xrv_node.values import PHANTOM_WORDS

if TYPE_CHECKING:
    from xrv_node.lab.statistics.evaluate import Evaluation, FindingFigures
    from xrv_node.lab.statistics.subgroups import SubgroupComparison
    from xrv_node.lab.validate.validation import ThroughNode, Validation

_COLOURS = {"better": "good", "chance": "look", "worse": "bad", "few": "look"}
_SUBGROUPS = {"sex": "sex", "age": "age in years", "view": "view"}
"""Kinds of subgroup, in words."""


def html(validation: Validation) -> str:
    """Return the page: what was found first, then on what, then figure by figure, and what each means."""
    about, evaluation = validation.about, validation.evaluation
    measured = [finding for finding in evaluation.findings if not finding.why_not]
    return render(
        "validation.html",
        warning=PHANTOM_WORDS if about.commissioning else "",
        about=about,
        networks=[name.rpartition(" ")[::2] for name in about.networks],
        evaluation=evaluation,
        measured=measured,
        published=validation.published,
        **_by_finding(validation),
        rules=[{"key": rule, "name": _rule_name(rule), "words": words} for rule, words in RULES.items()],
        subgroups=_subgroups(evaluation),
        unusual={name: share for name, share in evaluation.unusual_by_finding.items() if share.value},
        localisation=validation.localisation,
        structures=validation.structures,
        published_structures={one.structure: one for one in validation.published_structures},
        through_node=validation.through_node,
        **(_returned(validation.through_node, evaluation.findings) if validation.through_node else {}),
        plots=_plots(validation, measured),
        fewest=FEWEST,
        enough=ENOUGH,
    )


def _by_finding(validation: Validation) -> dict[str, Any]:
    """The findings, and which of them are what."""
    findings = validation.evaluation.findings
    areas = validation.published.auc if validation.published else {}
    said = {f.finding: verdict(f) for f in findings}
    lies = {f.finding: beside_published(f, areas.get(f.finding)) for f in findings}
    return {
        "findings": findings,
        "verdicts": [
            _verdict(name, words, those)
            for name, words in VERDICTS.items()
            if (those := [f for f in findings if said[f.finding] == name])
        ],
        "said": {f.finding: WITHOUT[said[f.finding]] for f in findings},
        "few": {name for name, one in said.items() if one == "few"},
        "unsure": [f for f in findings if said[f.finding] != "few" and smaller_class(f) < ENOUGH],
        "areas": areas,
        "beside": {
            where.capitalize(): [f for f in findings if lies[f.finding] == where]
            for where in ("below", "above")
        },
        "outside": {name for name, where in lies.items() if where in ("below", "above")},
        "chosen": next((f.at_chosen.threshold for f in findings if f.at_chosen), None),
    }


def _verdict(name: str, words: str, findings: list[FindingFigures]) -> dict[str, Any]:
    """A verdict of `VERDICTS` with the findings that it is on, the greatest areas first."""
    title, _, why = words.partition(": ")
    if name != "few":
        findings = sorted(findings, key=lambda f: -(f.auc.value or 0))
    title = f"{title[0].upper()}{title[1:]}"
    return {"name": name, "title": title, "why": why, "colour": _COLOURS[name], "findings": findings}


def _rule_name(rule: str) -> str:
    return rule.replace("_", " ") + (" %" if rule[-1].isdigit() else "")


def _subgroups(evaluation: Evaluation) -> list[tuple[str, list[SubgroupComparison], str]]:
    """The kinds that were compared: in words, the comparisons, and their picture."""
    found = []
    for by, words in _SUBGROUPS.items():
        if those := [one for one in evaluation.subgroups if one.by == by]:
            found.append((words, those, plots.data_uri(plots.groups(those))))
    return found


def _returned(through: ThroughNode, findings: Sequence[FindingFigures]) -> dict[str, Any]:
    """Figures of what came back: of each finding, and of each structure beside the direct path's."""
    there = {f.finding: f for f in through.evaluation.findings} if through.evaluation else {}
    masks = through.masks
    direct = {one.structure: one for one in masks.direct} if masks else {}
    return {
        "came_back": [
            there[f.finding] for f in findings if f.finding in there and not there[f.finding].why_not
        ],
        "both_ways": [
            (one, direct[one.structure])
            for one in (masks.structures if masks else ())
            if one.structure in direct
        ],
    }


def _plots(validation: Validation, measured: Sequence[FindingFigures]) -> dict[str, str]:
    """Pictures of the findings as data URIs; none of what cannot be drawn."""
    evaluation, drawn = validation.evaluation, dict[str, bytes]()
    if measured:
        drawn["areas"] = plots.areas(measured, validation.published.auc if validation.published else {})
        drawn |= {kind: plots.curves(evaluation, kind) for kind in plots.KINDS}
    if len(evaluation.findings) > 1:
        drawn["together"] = plots.together(evaluation.cooccurrence)
    return {name: plots.data_uri(svg) for name, svg in drawn.items()}

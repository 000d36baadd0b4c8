"""The model card of a small network: what it is, what it was made from, and how good it was there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xrv_node.lab.train.model_card import markdown
from xrv_node.lab.train.steps import figures
from xrv_node.product import NOTICE, VERSION
from xrv_node.values import PHANTOM_WORDS

if TYPE_CHECKING:
    from xrv_node.lab.train.steps.figures import Figures, Points
    from xrv_node.lab.train.steps.plan import Plan
    from xrv_node.models.trained_here import TrainedNetwork
    from xrv_node.models.weights import Installed

USES = {
    True: f"To answer for phantoms, and for nothing else. {PHANTOM_WORDS}.",
    False: "Research on frontal chest radiographs like those that it was trained on.",
}
"""By whether it was trained on phantoms."""


def text(
    weights: Installed,
    plan: Plan,
    known: TrainedNetwork,
    points: Points,
    measured: Mapping[str, Figures],
    history: Sequence[Mapping[str, Any]],
) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    weights, known
        The file that was written, and what it says of its network.
    plan
        How it was trained.
    points
        Of each finding of a classifier.
    measured
        Figures by what each set of images is called.
    history
        How the training went.
    """
    columns, lines = figures.table(plan.kind, measured)
    return "\n".join(
        [
            f"# {weights.name}",
            "",
            f"{NOTICE} Not for diagnosis.",
            "",
            f"A {known.network} for {plan.size} x {plan.size} pixels, trained from nothing with xrv-node "
            f"{VERSION} on {', '.join(known.training_data)}: {plan.steps} steps of {plan.batch} images, "
            f"{plan.fresh} of them fresh. SHA-256 of its tensors: {weights.tensors_sha256}.",
            "",
            "## Intended use",
            "",
            USES[known.phantom],
            "",
            *(f"- {caution}" for caution in known.cautions),
            "",
            "## Figures",
            "",
            f"{plan.measured.images} images of each, none of which was trained on: other seeds and poses"
            f"{_told_of(plan)}.",
            "",
            *markdown(columns, ([line[column] for column in columns] for line in lines)),
            *_operating_points(plan, points, measured),
            "",
            "## Training",
            "",
            *markdown(
                list(history[0]) if history else [], ([_short(v) for v in row.values()] for row in history)
            ),
            "",
            *(f"    {key} = {value!r}" for key, value in plan.model_dump(exclude_none=True).items()),
            "",
        ]
    )


def _told_of(plan: Plan) -> str:
    """What the names in the heading mean."""
    faint = plan.measured.faint
    if plan.phantoms is None:
        return ""
    words = f"; an anatomy other than {plan.phantoms.anatomy} was not trained on"
    return f"{words}, and x {faint:g} is the conspicuity of findings" if plan.kind == "classifier" else words


def _operating_points(plan: Plan, points: Points, measured: Mapping[str, Figures]) -> list[str]:
    if plan.kind != "classifier":
        return []
    rows = []
    for name, point in points.items():
        at = [figures_.get(name, {}) for figures_ in measured.values()]
        rates = [_short(one.get(key)) for one in at for key in ("sensitivity", "specificity")]
        rows.append([name, "none: it is in no result" if point is None else f"{point:.4g}", *rates])
    heading = [f"{key} {name}" for name in measured for key in ("sensitivity", "specificity")]
    words = "Operating points were chosen on images of their own; 0.5 of a score is the operating point."
    return ["", words, "", *markdown(["finding", "operating point", *heading], rows)]


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"

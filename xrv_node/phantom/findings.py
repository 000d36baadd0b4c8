"""Which findings a phantom can have, how each is drawn, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Collection

from numpy.random import Generator

from xrv_node.phantom import changes, opacities, pleura
from xrv_node.phantom.canvas import Canvas
from xrv_node.phantom.place import Place

Draw = Callable[[Canvas, Generator, float], Place]

DRAWN: dict[str, Draw] = {
    "Cardiomegaly": changes.cardiomegaly,
    "Enlarged Cardiomediastinum": changes.enlarged_cardiomediastinum,
    "Emphysema": changes.emphysema,
    "Atelectasis": opacities.atelectasis,
    "Fibrosis": opacities.fibrosis,
    "Pneumothorax": pleura.pneumothorax,
    "Edema": opacities.edema,
    "Consolidation": opacities.consolidation,
    "Infiltration": opacities.infiltration,
    "Mass": opacities.mass,
    "Nodule": opacities.nodule,
    "Hernia": changes.hernia,
    "Pleural_Thickening": pleura.pleural_thickening,
    "Effusion": pleura.effusion,
    "Fracture": changes.fracture,
}
"""In the order in which they are drawn: what moves comes before what is laid over it."""

DRAWABLE = tuple(sorted(DRAWN))
"""torchxrayvision's names."""

FOLLOWING: dict[str, frozenset[str]] = {
    "Lung Lesion": frozenset({"Mass", "Nodule"}),
    "Lung Opacity": frozenset({"Atelectasis", "Consolidation", "Edema", "Infiltration", "Mass", "Nodule"}),
}
"""Findings that are there where one of others is, as in CheXpert's hierarchy (Irvin et al. 2019)."""

UNTOLD = ("Pneumonia",)
"""Findings without a truth: on an image a pneumonia is a consolidation or an infiltration."""

APART: tuple[frozenset[str], ...] = tuple(
    frozenset(pair)
    for pair in (
        ("Consolidation", "Infiltration"),
        ("Consolidation", "Edema"),
        ("Consolidation", "Mass"),
        ("Infiltration", "Edema"),
        ("Infiltration", "Fibrosis"),
        ("Infiltration", "Atelectasis"),
        ("Edema", "Fibrosis"),
        ("Edema", "Emphysema"),
        ("Atelectasis", "Effusion"),
        ("Atelectasis", "Emphysema"),
        ("Atelectasis", "Fibrosis"),
        ("Effusion", "Pleural_Thickening"),
        ("Emphysema", "Pneumothorax"),
        ("Emphysema", "Cardiomegaly"),
        ("Fibrosis", "Emphysema"),
        ("Hernia", "Cardiomegaly"),
    )
)
"""Pairs that are not drawn together: one would be taken for the other, or undo it."""


def can_be_together(findings: Collection[str]) -> bool:
    """Whether a phantom can have all of them."""
    return not any(pair <= set(findings) for pair in APART)


def choose(dice: Generator, most: int = 3) -> tuple[str, ...]:
    """Draw none to `most` findings, half as many on average."""
    chosen: list[str] = []
    for name in dice.permutation(DRAWABLE)[: int(dice.integers(0, most + 1))]:
        if can_be_together([*chosen, str(name)]):
            chosen.append(str(name))
    return tuple(chosen)


def truth(present: Collection[str], labels: Collection[str]) -> dict[str, bool | None]:
    """Return what is true of an image with these findings; None where there is no truth.

    Parameters
    ----------
    present
        Of `DRAWABLE`.
    labels
        Which findings to tell of.
    """
    known = {label: label in present for label in DRAWABLE}
    known |= {label: not causes.isdisjoint(present) for label, causes in FOLLOWING.items()}
    return {label: known.get(label) for label in labels}

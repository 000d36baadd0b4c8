"""Whether a picture looks like the sex, age and view that its header states.

Where it does not, it may be another patient's, filed under this one: a hint for a person, never a finding,
and only where a site asks for it.

What the networks say of a patient is kept nowhere; of an image that is far off, it is kept that it is, and in
which attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pydicom import Dataset

from xrv_node import frontal
from xrv_node.attributes import fold, text
from xrv_node.frontal.gates import ADULT_YEARS, age_years
from xrv_node.reasons import Reason
from xrv_node.values import Verdict

Said = Mapping[str, float]
"""What a network says: by its labels in lower case, as it gives them (logits, years)."""


def sex_off(said: Said, header: Dataset) -> float | None:
    """How far a network is for the other sex, as the difference of its logits; negative where it agrees.

    Parameters
    ----------
    said
        Of ``male`` and ``female``.
    header
        Patient's Sex (0010,0040) counts where it is M or F; O, empty and anything else say nothing (None).
    """
    stated = {"M": ("male", "female"), "F": ("female", "male")}.get(fold(text(header, "PatientSex")))
    return None if stated is None else said[stated[1]] - said[stated[0]]


def age_off(said: Said, header: Dataset) -> float | None:
    """How many years a network is off.

    Parameters
    ----------
    said
        Of ``age``, in years.
    header
        As ``frontal.gates.age_years``. Where it tells no age, or that of a child, it says nothing (None): the
        network was trained on NIH ChestX-ray14, whose patients are nearly all adults.
    """
    age = age_years(header)
    return None if age is None or age < ADULT_YEARS else abs(said["age"] - age)


def view_off(said: Said, header: Dataset) -> float | None:
    """How far a network is for a lateral view of an image that is frontal by its header, as the difference of
    its logits; negative where it agrees.

    Parameters
    ----------
    said
        Of ``frontal`` and ``lateral``.
    header
        None where ``frontal.decide`` does not call it frontal: then it says nothing, or is not analysed.
    """
    if frontal.decide(header).verdict is not Verdict.FRONTAL:
        return None
    return said["lateral"] - said["frontal"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One that a header states and a network reads off the picture."""

    labels: frozenset[str]
    """What the network must tell."""
    off: Callable[[Said, Dataset], float | None]
    """How far the network is from the header; None where the header says nothing."""
    reason: Reason


ATTRIBUTES: dict[str, Attribute] = {
    "sex": Attribute(frozenset({"male", "female"}), sex_off, Reason("mismatch-sex")),
    "age": Attribute(frozenset({"age"}), age_off, Reason("mismatch-age")),
    "view": Attribute(frozenset({"frontal", "lateral"}), view_off, Reason("mismatch-view")),
}
"""By their key in ``[models.mismatch]``."""


def doubted(cautions: Iterable[Reason]) -> tuple[str, ...]:
    """Return the attributes, as `ATTRIBUTES` names them, that disagree by an analysis's cautions."""
    keys = {reason.key for reason in cautions}
    return tuple(name for name, attribute in ATTRIBUTES.items() if attribute.reason.key in keys)

"""One case, judged: the values that the protocol is made of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xrv_node.values import OPERATING_POINT


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    good: bool
    says: str
    """What was found; where it is good, briefly."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One finding of one image beside the truth."""

    instance: str
    label: str
    drawn: bool
    score: float
    """NaN where none arrived."""

    @property
    def arrived(self) -> bool:
        """Whether there is a score."""
        return not math.isnan(self.score)

    @property
    def right(self) -> bool:
        """Whether the score lies on the right side of the operating point; what did not arrive is not."""
        return self.arrived and (self.score >= OPERATING_POINT) == self.drawn


@dataclass(frozen=True, slots=True)
class Overlap:
    """One structure's mask beside the truth."""

    instance: str
    structure: str
    dice: float
    """0 where no mask arrived."""


@dataclass(frozen=True, slots=True)
class Row:
    """One case, judged."""

    name: str
    group: str
    study: tuple[str, ...]
    """Study Instance UIDs."""
    images: tuple[str, ...]
    """SOP Instance UIDs of what was sent."""
    objects: Mapping[str, tuple[str, ...]]
    """SOP Instance UIDs of what came back, by kind."""
    sent: str
    expected: str
    arrived: str
    seconds: float | None
    """From when the last image was taken to when the last object was there; None where something is missing
    or nothing was to come."""
    checks: tuple[Check, ...]
    decisions: tuple[Decision, ...]
    overlaps: tuple[Overlap, ...]

    @property
    def good(self) -> bool:
        """Whether all was as it should be, but for findings, which `protocol` counts over all rows."""
        return all(check.good for check in self.checks)

    @property
    def missed(self) -> tuple[Decision, ...]:
        """What was drawn and is not reported as present."""
        return tuple(d for d in self.decisions if d.drawn and not d.right)


def counted(words: Iterable[str]) -> str:
    """Say each word once, with how often it comes."""
    return ", ".join(f"{word} x {n}" if n > 1 else word for word, n in Counter(words).items() if word)

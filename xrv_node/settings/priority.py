"""The tables ``[[priority]]``: which studies go before their turn."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from xrv_node.settings.destinations import Label
from xrv_node.settings.section import AETitle, Section

Urgency = Literal["STAT", "HIGH", "MEDIUM", "MED", "ROUTINE", "LOW"]
"""Defined Terms of Requested Procedure Priority (0040,1003), and of the retired Study Priority ID (0032,000C)
that devices still send."""


def _span(value: str) -> str:
    try:
        begin, end = map(dt.time.fromisoformat, value.split("-"))
    except ValueError:
        raise ValueError('two times of the day are needed, such as "18:00-07:00"') from None
    if begin == end:
        raise ValueError("the two times are the same")
    return value


class PrioritySection(Section):
    """What goes first. Every key that is given must match; one does when it has any of its values."""

    level: int = Field(default=1, ge=1, le=9)
    calling_ae: tuple[AETitle, ...] = ()
    """AE titles that the image came from."""
    station: tuple[str, ...] = ()
    """Station Name (0008,1010)."""
    study_priority: tuple[Urgency, ...] = ()
    """As the image's header has it."""
    time: Annotated[str, AfterValidator(_span)] | None = None
    """Of the day, in the machine's local time, when it came; it may go over midnight."""
    finding: tuple[Label, ...] = ()
    """Findings whose score reaches the operating point."""

    @model_validator(mode="after")
    def _says_when(self) -> PrioritySection:
        if not any(value for key, value in self if key != "level"):
            keys = ", ".join(key for key in type(self).model_fields if key != "level")
            raise ValueError(f"a rule for everything puts nothing first: give at least one of {keys}")
        return self

    @property
    def span(self) -> tuple[dt.time, dt.time] | None:
        """Beginning and end of the time of the day."""
        if self.time is None:
            return None
        begin, end = map(dt.time.fromisoformat, self.time.split("-"))
        return begin, end

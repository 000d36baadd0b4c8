"""The table ``[constancy]`` of the configuration."""

from __future__ import annotations

from datetime import time
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from xrv_node.settings.section import AETitle, Section


class ConstancySection(Section):
    """A phantom a day through the node's own port and worker. Off unless asked for."""

    at: str = ""
    calling_ae: Annotated[AETitle | None, BeforeValidator(lambda value: value or None)] = None
    """None: the first title that the receiver lets in, or its own."""
    destinations: tuple[str, ...] = ()
    """Names of those that get its results; the others never do."""
    wait_minutes: float = Field(default=10, gt=0, le=240)

    @field_validator("at")
    @classmethod
    def _a_time(cls, value: str) -> str:
        if value:
            try:
                time.fromisoformat(value)
            except ValueError:
                raise ValueError('a time of the day is needed, such as "06:30"; empty: never') from None
        return value

    @property
    def time(self) -> time | None:
        """When, in the machine's local time; None: never."""
        return time.fromisoformat(self.at) if self.at else None

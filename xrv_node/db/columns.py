"""What the columns hold beside the database's own types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from xrv_node import reasons
from xrv_node.reasons import Reason


class UtcText(TypeDecorator[datetime]):
    """An aware UTC datetime as ISO 8601 text with microseconds."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """From text."""
        return None if value is None else datetime.fromisoformat(value)


class ReasonText(TypeDecorator[Reason]):
    """A reason as compact JSON text; a row of before has a sentence."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Reason | None, dialect: Dialect) -> str | None:
        """To text."""
        if value is None:
            return None
        return json.dumps(reasons.plain(value), ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Reason | None:
        """From text."""
        if value is None:
            return None
        try:
            stored = json.loads(value)
        except ValueError:
            return reasons.as_is(value)
        return reasons.revive(stored if reasons.is_plain(stored) else value)


class ReasonList(TypeDecorator[tuple[Reason, ...]]):
    """Reasons as a list of JSON; a row of before has sentences."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Sequence[Reason] | None, dialect: Dialect) -> list[Any] | None:
        """To JSON values."""
        return None if value is None else [reasons.plain(reason) for reason in value]

    def process_result_value(self, value: list[Any] | None, dialect: Dialect) -> tuple[Reason, ...] | None:
        """From JSON values."""
        return None if value is None else tuple(map(reasons.revive, value))

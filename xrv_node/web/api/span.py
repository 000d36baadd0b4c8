"""What a node has done in a span of days."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from xrv_node.statistics.collect import collect
from xrv_node.statistics.rows import Statistics
from xrv_node.statistics.span import of_days
from xrv_node.web.node import WebNode

FIRST, LAST = date(1900, 1, 1), date(2999, 12, 31)
"""Days that may be asked for: beyond some years no time zone has them."""
Day = Annotated[date, Field(ge=FIRST, le=LAST)]
Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1900, 1, 1, tzinfo=UTC), le=datetime(2999, 12, 31, tzinfo=UTC))
]


def statistics(node: WebNode, since: date | None = None, until: date | None = None) -> Statistics:
    """As ``xrv-node statistics`` counts; the last 30 days where nothing else is asked for."""
    begin, end = of_days(_midnight(since), _midnight(until))
    with node.store.read() as db:
        return collect(db, node.spool, node.settings.node.name, begin, end)


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day)

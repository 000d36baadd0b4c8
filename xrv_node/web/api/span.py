"""What a node has done in a span of days."""

from __future__ import annotations

from datetime import date, datetime

from xrv_node.statistics.collect import collect
from xrv_node.statistics.rows import Statistics
from xrv_node.statistics.span import of_days
from xrv_node.web.node import WebNode


def statistics(node: WebNode, since: date | None = None, until: date | None = None) -> Statistics:
    """As ``xrv-node statistics`` counts; the last 30 days where nothing else is asked for."""
    begin, end = of_days(_midnight(since), _midnight(until))
    with node.store.read() as db:
        return collect(db, node.spool, node.settings.node.name, begin, end)


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day)

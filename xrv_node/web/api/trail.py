"""The audit trail: its events, a study's story, whether it is whole, and all of it for a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from xrv_node import documents, reasons
from xrv_node.audit import timeline, verify
from xrv_node.audit.verify import Verified
from xrv_node.db import queries
from xrv_node.db.event_names import EVENTS
from xrv_node.db.rows import EventRow, TimelineRow
from xrv_node.errors import XrvNodeError
from xrv_node.visible import cells
from xrv_node.web.node import WebNode

COLUMNS = ("id", "at", "event", "study", "instance", "detail", "hash")
"""Of the trail as CSV."""


def names() -> list[str]:
    """Of the events that the trail can hold."""
    return sorted(EVENTS)


def events(
    node: WebNode, *, study: str | None = None, event: str | None = None, limit: int = 100
) -> list[EventRow]:
    """The newest events, oldest of them first, as ``xrv-node audit list`` has them."""
    with node.store.read() as db:
        if event and event not in EVENTS.keys() | queries.event_names(db):
            raise XrvNodeError(f"there is no event {event!r}; use one of {', '.join(names())}")
        queries.require_events(db, study or None)
        found = queries.events(db, study=study or None, event=event or None, limit=limit)
        return [reasons.revived(row) for row in found]


def story(node: WebNode, study: str) -> list[TimelineRow]:
    """All that happened to a study, in words."""
    with node.store.read() as db:
        return timeline.timeline(db, study)


def verified(node: WebNode) -> Verified:
    """Walk the whole chain."""
    with node.store.read() as db:
        return verify.verify(db)


def as_lines(node: WebNode, study: str | None = None) -> Iterator[str]:
    """The whole trail, an object a line, as ``xrv-node audit export`` writes it."""
    with node.store.read() as db:
        for row in queries.events(db, study=study or None):
            yield documents.dumps(row) + "\n"


def as_csv(node: WebNode, study: str | None = None) -> Iterator[str]:
    """The whole trail as a table."""
    yield _line(COLUMNS)
    with node.store.read() as db:
        for row in queries.events(db, study=study or None):
            yield _line((*list(row.values())[:5], json.dumps(row["detail"]), row["hash"]))


def _line(row: tuple[object, ...]) -> str:
    made = io.StringIO(newline="")
    csv.writer(made).writerow(cells(row))
    return made.getvalue()

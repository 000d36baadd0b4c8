"""What the answers over HTTP need of the node."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

from fastapi import Request

from xrv_node.db.repeats import Repeats
from xrv_node.db.store import Store
from xrv_node.disk import Gate
from xrv_node.index.index import Index
from xrv_node.receive.peer_limits import Pace
from xrv_node.settings import Settings
from xrv_node.spool import Spool


@dataclass(frozen=True)
class WebNode:
    """One for a process."""

    settings: Settings
    store: Store
    spool: Spool
    views_from_pixels: bool = False
    """Whether the worker can tell a view that the header leaves open."""

    @cached_property
    def index(self) -> Index:
        """What is searched; the first request opens it."""
        return Index.open(self.settings)

    @cached_property
    def gate(self) -> Gate:
        """Whether there is room for more."""
        return Gate(self.settings, self.store)

    @cached_property
    def pace(self) -> Pace:
        """How fast one client may store."""
        return Pace(self.settings.receive.max_objects_per_minute)

    @cached_property
    def repeats(self) -> Repeats:
        """Refusals: the first of a kind in a minute is a row, and all others together are another."""
        return Repeats(self.store)


def of(request: Request) -> WebNode:
    """The node that a request came to."""
    return cast(WebNode, request.app.state.node)

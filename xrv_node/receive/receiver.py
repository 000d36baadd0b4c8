"""What the services of a receiver need, and how it puts on record whom it does not serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar

import structlog

from xrv_node.db.repeats import Repeats
from xrv_node.db.store import Store
from xrv_node.disk import Gate
from xrv_node.reasons import Reason
from xrv_node.receive.peer_limits import Crowd, Pace, Waiting, neighbourhood
from xrv_node.settings import Settings
from xrv_node.spool import Spool

log = structlog.get_logger("receive")

T = TypeVar("T")


class Rooms(Protocol):
    """What is needed of a node to take an object, whoever brings it."""

    @property
    def settings(self) -> Settings:
        """The configuration."""

    @property
    def store(self) -> Store:
        """The audit database."""

    @property
    def spool(self) -> Spool:
        """Where files lie."""

    @property
    def views_from_pixels(self) -> bool:
        """As ``intake.accept`` takes it."""

    @property
    def gate(self) -> Gate:
        """Whether there is room for more."""

    @property
    def repeats(self) -> Repeats:
        """Where refusals are put on record."""


@dataclass(frozen=True)
class Receiver:
    """What the services need."""

    settings: Settings
    store: Store
    spool: Spool
    views_from_pixels: bool = False
    """Whether the worker can tell a view that the header leaves open."""
    crowd: Crowd = field(default_factory=Crowd)
    """The associations that were let in."""

    idle: Waiting = field(default_factory=Waiting)
    """Those of them that wait for something to do."""

    @cached_property
    def repeats(self) -> Repeats:
        """Refusals: the first of a kind in a minute is a row, and all others together are another."""
        return Repeats(self.store)

    @cached_property
    def pace(self) -> Pace:
        """How fast one peer may send objects."""
        return Pace(self.settings.receive.max_objects_per_minute)

    @cached_property
    def gate(self) -> Gate:
        """Whether there is room for more."""
        return Gate(self.settings, self.store)


@dataclass
class Caller:
    """What is known of the peer of one association."""

    receiver: Receiver
    calling_ae: str
    address: str
    echoed: bool = False
    studies: set[str] = field(default_factory=set)
    """What it has sent, for ``close_on_release``."""

    @property
    def neighbourhood(self) -> str:
        """What is counted as one address with the peer's."""
        return neighbourhood(self.address)


def refused(rooms: Rooms, address: str, remedy: Reason, calling: str = "", called: str = "") -> None:
    """Put it on record that a peer was not let in, or not any longer.

    Parameters
    ----------
    remedy
        Why, and the line of the configuration that would do so.
    calling, called
        The AE titles, where it came to say them.
    """
    about: dict[str, Any] = {
        "calling_ae": calling,
        "called_ae": called,
        "address": address,
        "remedy": remedy,
    }
    peer = neighbourhood(address)
    record = partial(rooms.repeats.record, "association.refused", peer=peer, key=remedy, **about)
    if guarded(record) is not False:
        log.warning("association refused", **(about | {"remedy": str(remedy)}))


def guarded(action: Callable[..., T], *arguments: Any) -> T | None:
    """Run a step whose failure must not reach the association; None where it failed."""
    try:
        return action(*arguments)
    except Exception:
        log.exception("could not be recorded")
        return None

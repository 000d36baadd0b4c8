"""What a protocol says of the node that is tried: from its record where that is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xrv_node import machine
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.errors import ConfigError
from xrv_node.settings import Settings
from xrv_node.settings.destinations import (
    DestinationSection,
    DimseDestination,
    FolderDestination,
    Hl7Destination,
    HttpSection,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of where the networks ran and where results go."""

    software: Mapping[str, str]
    destinations: tuple[str, ...] = ()


def of_here() -> Facts:
    """This machine, where the node's own is not known."""
    return Facts({f"{name} (of the tester's machine)": value for name, value in machine.facts("cpu").items()})


def of_node(settings: Settings) -> Facts:
    """The node of a configuration: what its worker put on record, and where results go."""
    destinations = tuple(f"{d.name}: {place(d)}" for d in settings.destinations)
    store = Store(settings.database_url)
    try:
        store.require_current()
        with store.read() as db:
            found = [row["detail"]["machine"] for row in queries.events(db, event="machine.changed", limit=1)]
    except ConfigError:
        found = []
    finally:
        store.close()
    return Facts(found[0] if found else of_here().software, destinations)


def place(destination: DestinationSection) -> str:
    """Where a destination is, without what opens it."""
    if isinstance(destination, DimseDestination):
        return f"{destination.ae_title}@{destination.host}:{destination.port}"
    if isinstance(destination, HttpSection):
        return destination.url
    if isinstance(destination, Hl7Destination):
        return f"{destination.host}:{destination.port}"
    return str(destination.path) if isinstance(destination, FolderDestination) else destination.name

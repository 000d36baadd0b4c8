"""The sender of each kind of destination."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from xrv_node.db.rows import Checked
from xrv_node.deliver.attempt import Attempt
from xrv_node.deliver.dimse import DimseSender
from xrv_node.deliver.fhir import FhirSender
from xrv_node.deliver.folder import FolderSender
from xrv_node.deliver.hl7 import Hl7Sender
from xrv_node.deliver.web import WebSender
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.settings.destinations import (
    DestinationSection,
    DimseDestination,
    FhirDestination,
    FolderDestination,
    Hl7Destination,
    WebDestination,
)
from xrv_node.values import StoredResult


class Sender(Protocol):
    """What sends results to one destination."""

    def send(self, results: Sequence[StoredResult]) -> Iterator[Attempt]:
        """Try each, one :class:`Attempt` an object, in order; never raises for what the peer does."""
        ...

    def close(self) -> None:
        """Let go of what is held open."""
        ...

    def answers(self) -> bool:
        """Whether the destination is there, in half a minute at most; nothing is sent to it."""
        ...

    def check(self) -> list[str]:
        """What the destination says of itself; DestinationError when results would not arrive."""
        ...


SENDERS: dict[type[DestinationSection], Callable[[Any, str], Sender]] = {
    DimseDestination: DimseSender,
    WebDestination: WebSender,
    FolderDestination: FolderSender,
    Hl7Destination: Hl7Sender,
    FhirDestination: FhirSender,
}
"""Each is made of the destination and our AE title."""


def sender(destination: DestinationSection, calling_ae: str) -> Sender:
    """The sender for a destination, of any kind but ``reply``.

    Raises
    ------
    ConfigError
        When a file that the destination names is missing or wrong.
    """
    return SENDERS[type(destination)](destination, calling_ae)


def tried(destination: DestinationSection, calling_ae: str) -> Checked:
    """Connect to a destination as a delivery would: what it takes, or why nothing would arrive."""
    try:
        says, good = sender(destination, calling_ae).check(), True
    except (ConfigError, DestinationError) as error:
        says, good = list(error.lines), False
    return {"name": destination.name, "good": good, "says": says}

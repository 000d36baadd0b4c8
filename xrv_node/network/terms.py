"""What is agreed on an association that this node opens, and how long its peer may take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from xrv_node.network.negotiation import Answered, Proposed

CONNECT_SECONDS = 10
"""An unreachable host is known after this, not after the system's two minutes."""
ANSWER_SECONDS = 60
RELEASE_SECONDS = 10

SLOWEST = 1024
"""Bytes a second that a peer takes of an object, beside the time for its answer."""

_PLAIN = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
"""What we can write even where it was not proposed."""

Context = tuple[str, Sequence[str]]
"""An abstract syntax and the transfer syntaxes that it is offered in."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A presentation context that the peer accepted."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


Handler = Callable[[Accepted, Dataset, Iterator[memoryview]], int]
"""Answers a request of the peer's with a status: its context, its command and its data set in pieces."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to call."""

    ae_title: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a peer may do on an association, and for how long."""

    seconds: float = field(default_factory=lambda: ANSWER_SECONDS)
    """Each answer."""
    total: float | None = None
    """Everything; None: any time."""
    most: int | None = None
    """Bytes that it may send altogether; None: any number."""
    handlers: Mapping[int, Handler] = field(default_factory=dict)
    """What it may ask us, by Command Field."""
    scp_of: tuple[str, ...] = ()
    """Abstract syntaxes that we offer to be the SCP of (PS3.7 D.3.3.4)."""


class RejectedError(Exception):
    """The peer answered A-ASSOCIATE-RJ: result, source and reason (PS3.8 table 9-21)."""

    def __init__(self, result: int, source: int, reason: int) -> None:
        super().__init__(result, source, reason)
        self.result, self.source, self.reason = result, source, reason


def proposal(contexts: Sequence[Context]) -> list[Proposed]:
    """Number the presentation contexts: odd numbers from 1 (PS3.8 9.3.2.2)."""
    return [Proposed(2 * n + 1, uid, tuple(map(str, s))) for n, (uid, s) in enumerate(contexts)]


def accepted(proposed: Sequence[Proposed], answers: Iterable[Answered]) -> Iterator[Accepted]:
    """Yield what the peer has accepted of what was proposed. Where it names no transfer syntax, it is the
    default (PS3.5 10.1) or the first; where it names one that was not proposed, that if we can write it."""
    by_id = {answer.context_id: answer for answer in answers}
    for one in proposed:
        answer = by_id.get(one.context_id)
        if answer is None or answer.result != 0:
            continue
        default = next((s for s in one.transfer_syntaxes if s == ImplicitVRLittleEndian), "")
        syntax = answer.transfer_syntax or default or one.transfer_syntaxes[0]
        if syntax in (*one.transfer_syntaxes, *_PLAIN):
            yield Accepted(one.context_id, one.abstract_syntax, syntax)

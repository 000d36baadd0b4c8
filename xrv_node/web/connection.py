"""One HTTP connection, with an end to everything that a client may let last.

uvicorn waits for ever for the rest of a header, of a body, and for a client that reads nothing: each such
connection would hold its memory and its place until the node is restarted.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address
from time import monotonic
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from xrv_node.receive.peer_limits import Crowd
from xrv_node.settings.web import WebSection

log = structlog.get_logger("web")

MAX_HEADER_BYTES = 32 << 10
"""Request line and header fields together."""
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class _Body:
    """What came of one request's body."""

    size: int = 0
    reading: float = 0.0
    """Seconds in which we were ready to read: where our disk is slow, the client is not to blame."""
    looked: float = field(default_factory=monotonic)


class Connection(H11Protocol):
    """uvicorn's, counted and looked at by its server every now and then.

    Parameters
    ----------
    limits
        How many there may be, and how long they may take.
    crowd
        All connections of the server.
    """

    def __init__(self, *, limits: WebSection, crowd: Crowd, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self.limits, self.crowd = limits, crowd
        self._place = ExitStack()
        self._since: float | None = monotonic()
        """When a header was first waited for, or begun; None where none is."""
        self._heard = monotonic()
        self._unread: float | None = None
        self._body = _Body()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, if there is a place for it."""
        super().connection_made(transport)
        address = str(self.client[0]) if self.client else ""
        if self._place.enter_context(self.crowd.visit(address, self._judge(address))):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give its place away."""
        self._place.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note when something came, and take it in."""
        self._heard = monotonic()
        if self.conn.their_state is h11.IDLE and self._since is None:
            self._since, self._body = self._heard, _Body()
        self._body.size += len(data)
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._since = None

    def on_response_complete(self) -> None:
        """Wait for another request; uvicorn's own timer ends that."""
        self._body = _Body()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Remember since when the client has read nothing."""
        self._unread = monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        self._unread = None
        super().resume_writing()

    def look(self, now: float) -> None:
        """End the connection if its client takes too long."""
        if self.transport is None or self.transport.is_closing():
            return
        if self._unread is not None and now > self._unread + self.limits.body_seconds:
            self._end("an answer is not read")
        elif self._since is not None and now > self._since + self.limits.header_seconds:
            self._end("a request was begun and not ended")
        elif self.conn.their_state is h11.SEND_BODY and (why := self._body_overdue(now)):
            self._end(why)

    def _body_overdue(self, now: float) -> str | None:
        body, limits = self._body, self.limits
        passed, body.looked = now - body.looked, now
        if self.flow.read_paused:
            self._heard = now
            return None
        body.reading += passed
        if now > self._heard + limits.body_seconds:
            return "silent in the middle of a body"
        least = limits.min_kb_per_second * 1024 * body.reading
        if body.reading > limits.body_seconds and body.size < least:
            return "a body comes too slowly"
        return None

    def _end(self, why: str) -> None:
        log.info("a client took too long", why=why, address=self.client[0] if self.client else None)
        answering = self.cycle is not None and self.cycle.response_started
        if answering and not self.cycle.response_complete:
            self.transport.abort()
            return
        self.transport.write(_TOO_LATE)
        self.transport.close()

    def _judge(self, address: str) -> Any:
        most, of_one = self.limits.max_connections, self.limits.max_connections_per_address

        def judge(everybody: int, its_own: int) -> bool | None:
            return everybody > most or (its_own > of_one and not self._is_proxy(address)) or None

        return judge

    def _is_proxy(self, address: str) -> bool:
        """Whether everybody comes from there."""
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(found in network for network in self.limits.trusted_proxies)

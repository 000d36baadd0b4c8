"""How many come from one peer, and how fast."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Network, ip_address
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

ALLOWANCE_SECONDS = 60.0
"""What a peer has saved up at most: a minute's worth may come at once."""

_MANY = 1000


def neighbourhood(address: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits, of which one host can have all (RFC 4291).

    Examples
    --------
    >>> neighbourhood("10.0.0.7"), neighbourhood("::ffff:10.0.0.7"), neighbourhood("2001:db8::5:1%eth0")
    ('10.0.0.7', '10.0.0.7', '2001:db8::/64')
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or IPv6Network((int(found), 128)).supernet(new_prefix=64))


class Crowd:
    """How many there are, of associations or of connections, by the :func:`neighbourhood` they come from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    @contextmanager
    def visit(self, address: str, judge: Callable[[int, int], T | None]) -> Iterator[T | None]:
        """Count one more for a while, if it may come.

        Parameters
        ----------
        judge
            Told how many there would be with it, and how many from its neighbourhood; why it may not come, or
            None. One that may not is not counted, so that it takes nobody's place while it is told.

        Yields
        ------
        object
            What `judge` said.
        """
        near = neighbourhood(address)
        with self._lock:
            its_own = self._counts.get(near, 0) + 1
            refusal = judge(sum(self._counts.values()) + 1, its_own)
            if refusal is None:
                self._counts[near] = its_own
        try:
            yield refusal
        finally:
            if refusal is None:
                self._leave(near)

    def _leave(self, near: str) -> None:
        with self._lock:
            self._counts[near] -= 1
            if not self._counts[near]:
                del self._counts[near]

    @property
    def size(self) -> int:
        """How many there are."""
        with self._lock:
            return sum(self._counts.values())


class Waiting:
    """Connections without an association, of which there are so many at most.

    Each holds a thread and a file, may say nothing until ARTIM ends, and costs its peer nothing. Where one
    more comes, the oldest one of the neighbourhood that has most is shut down. Who came to work is through
    before that is his.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._near: dict[socket.socket, str] = {}
        """By age: a dict keeps the order in which they came."""

    def add(self, connection: socket.socket, address: str) -> None:
        """Take one more in; another one may have to go for it."""
        with self._lock:
            if len(self._near) >= self.most:
                self._shut_one()
            self._near[connection] = neighbourhood(address)

    def remove(self, connection: socket.socket) -> bool:
        """Let it go, for it has an association or is at its end; False where it was shut down meanwhile."""
        with self._lock:
            return self._near.pop(connection, None) is not None

    def _shut_one(self) -> None:
        counts = Counter(self._near.values())
        greediest = max(counts.values())
        victim = next(one for one, near in self._near.items() if counts[near] == greediest)
        del self._near[victim]
        with suppress(OSError):
            victim.shutdown(socket.SHUT_RDWR)  # its thread wakes up, and closes it


class Pace:
    """Turns by address, so many a minute (the generic cell rate algorithm of ITU-T I.371, as a delay).

    What comes faster waits and is not refused: a sender that gets its answer late keeps what it has, one that
    is refused may give up.

    Parameters
    ----------
    per_minute
        Turns; 0: as many as come.
    """

    def __init__(self, per_minute: int) -> None:
        self._each = 60 / per_minute if per_minute else 0.0
        self._lock = threading.Lock()
        self._paid_until: dict[str, float] = {}

    def turn(self, address: str) -> float:
        """Take a turn.

        Returns
        -------
        float
            Seconds to wait before it is used.
        """
        if not self._each:
            return 0.0
        now, address = monotonic(), neighbourhood(address)
        with self._lock:
            if len(self._paid_until) > _MANY:
                self._paid_until = {a: until for a, until in self._paid_until.items() if until > now}
            until = max(self._paid_until.get(address, now), now) + self._each
            self._paid_until[address] = until
        return max(0.0, until - now - max(ALLOWANCE_SECONDS, self._each))

"""How many come from one peer, and how fast."""

from __future__ import annotations

import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Network, ip_address
from time import monotonic
from typing import Protocol, TypeVar

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

    def has(self, address: str) -> bool:
        """Whether one is from there."""
        with self._lock:
            return neighbourhood(address) in self._counts

    @property
    def size(self) -> int:
        """How many there are."""
        with self._lock:
            return sum(self._counts.values())


class Line(Protocol):
    """A connection, or what stands for one."""

    def shutdown(self, how: int, /) -> None:
        """Wake up whoever waits on it."""


class Waiting:
    """Connections that do nothing, of which there are so many at most.

    Each holds a thread and a file and costs its peer nothing. Where one more comes, or a place is wanted, the
    oldest of the neighbourhood that has most is shut down. Who came to work is through before it is his turn.
    """

    def __init__(self, most: int = sys.maxsize) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._lines: dict[Line, tuple[str, float]] = {}
        """Neighbourhood and since when, by age: a dict keeps the order in which they came."""

    def add(self, line: Line, address: str) -> None:
        """Take one more in; another one may have to go for it."""
        with self._lock:
            if len(self._lines) >= self.most:
                self._shut(monotonic())
            self._lines[line] = neighbourhood(address), monotonic()

    def remove(self, line: Line) -> bool:
        """Let it go, for it works or is at its end; False where it is not there any more."""
        with self._lock:
            return self._lines.pop(line, None) is not None

    def shut_one(self, seconds: float) -> bool:
        """Shut one down that has done nothing for so long; False where there is none."""
        with self._lock:
            return self._shut(monotonic() - seconds)

    def _shut(self, latest: float) -> bool:
        old = {line: near for line, (near, since) in self._lines.items() if since <= latest}
        if not old:
            return False
        counts = Counter(old.values())
        greediest = max(counts.values())
        victim = next(line for line, near in old.items() if counts[near] == greediest)
        del self._lines[victim]
        with suppress(OSError):
            victim.shutdown(socket.SHUT_RDWR)  # its thread wakes up, and closes it
        return True


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

"""How many come from one peer, and how fast."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

ALLOWANCE_SECONDS = 60.0
"""What a peer has saved up at most: a minute's worth may come at once."""

_MANY = 1000


class Crowd:
    """How many there are, of associations or of connections, by the address they come from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    @contextmanager
    def visit(self, address: str) -> Iterator[tuple[int, int]]:
        """Count one more for a while; hands over how many there are with it, and how many from `address`."""
        with self._lock:
            self._counts[address] = self._counts.get(address, 0) + 1
            present = sum(self._counts.values()), self._counts[address]
        try:
            yield present
        finally:
            with self._lock:
                self._counts[address] -= 1
                if not self._counts[address]:
                    del self._counts[address]

    @property
    def size(self) -> int:
        """How many there are."""
        with self._lock:
            return sum(self._counts.values())


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
        now = monotonic()
        with self._lock:
            if len(self._paid_until) > _MANY:
                self._paid_until = {a: until for a, until in self._paid_until.items() if until > now}
            until = max(self._paid_until.get(address, now), now) + self._each
            self._paid_until[address] = until
        return max(0.0, until - now - max(ALLOWANCE_SECONDS, self._each))

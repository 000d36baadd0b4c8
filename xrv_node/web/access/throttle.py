"""How often somebody may try a password."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

MOST_KEYS = 10_000
"""Addresses and names that are told apart; beyond them the oldest are forgotten."""


class Throttle:
    """So many tries within so long, by key. For many threads.

    Parameters
    ----------
    most
        Tries.
    seconds
        After which one is forgotten.
    clock
        Seconds, of any beginning.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._lock = threading.Lock()
        self._tries: dict[str, list[float]] = {}

    def turn(self, key: str) -> float:
        """Count a try.

        Returns
        -------
        float
            0 where it may go on, else how many seconds to wait; that one is not counted.
        """
        with self._lock:
            now = self._clock()
            tries = [at for at in self._tries.pop(key, ()) if at > now - self._seconds]
            self._tries[key] = tries  # the newest key comes last
            while len(self._tries) > MOST_KEYS:
                del self._tries[next(iter(self._tries))]
            if len(tries) >= self._most:
                return tries[0] + self._seconds - now
            tries.append(now)
            return 0.0

    def forget(self, key: str) -> None:
        """Let a key begin anew: it was right."""
        with self._lock:
            self._tries.pop(key, None)

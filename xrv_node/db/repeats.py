"""Events that come again and again: of those of a minute the trail has the first, and how many more came.

What a peer can bring about hundreds of times a second would else fill the disk, and hide what else happens.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import structlog

from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.reasons import Reason

log = structlog.get_logger("trail")

SECONDS = 60.0
"""How long repeats are counted before the count is on record."""

MOST_KINDS = 1000
"""Peers and reasons that are told apart; what is beyond them counts as one peer's."""

MOST_INSTANCES = 50
"""SOP Instance UIDs that a count names."""


@dataclass
class _Kind:
    """What repeats: an event, of one peer for one reason."""

    detail: dict[str, Any]
    """Of the first."""
    since: str
    end: float
    count: int = 0
    """How many there were after the first."""
    instances: list[str] = field(default_factory=list)


_Key = tuple[str, str, str]
"""Event, peer and the reason's key: not what a peer can choose, which would make new kinds without end."""


class Repeats:
    """Records events, and counts those that repeat. For many threads.

    Parameters
    ----------
    store
        The trail's database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kinds: dict[_Key, _Kind] = {}
        self._stopped = threading.Event()
        self._sweeper: threading.Thread | None = None

    def record(
        self, event: str, *, peer: str, key: Reason, instance: str | None = None, **detail: Any
    ) -> bool:
        """Record an event, unless it is one more of its kind within the minute: then it is counted.

        Parameters
        ----------
        peer
            Whom it is of: an address.
        key
            Its reason; its values, which the peer may choose, tell no kinds apart.
        instance
            The SOP Instance UID.
        detail
            What else is to be kept of the first one; it stands beside the count too.

        Returns
        -------
        bool
            Whether it was the first, so that the log can tell it once too.
        """
        which = (event, peer, key.key)
        with self._lock:
            if which not in self._kinds and len(self._kinds) >= MOST_KINDS:
                which = (event, "", "")
            if (kind := self._kinds.get(which)) is not None:
                kind.count += 1
                if instance and len(kind.instances) < MOST_INSTANCES:
                    kind.instances.append(instance)
                return False
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._kinds[which] = _Kind(detail, now, monotonic() + SECONDS)
            self._sweep()
        with self._store.begin() as db:
            trail.record(db, event, instance=instance, **detail)
        return True

    def flush(self) -> None:
        """Put every count on record now; what comes afterwards is counted anew."""
        self._over(monotonic() + SECONDS)

    def _sweep(self) -> None:
        """See to it that counts are recorded when their minute is over."""
        if self._sweeper is None or not self._sweeper.is_alive():
            self._sweeper = threading.Thread(target=self._run, name="repeats", daemon=True)
            self._sweeper.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._kinds:
                    self._sweeper = None
                    return
                end = min(kind.end for kind in self._kinds.values())
            self._stopped.wait(max(0.0, end - monotonic()))
            try:
                self._over(monotonic())
            except Exception:  # the database is locked, full or away: the rows are lost, the node goes on
                log.exception("counts of repeated events could not be recorded")

    def _over(self, now: float) -> None:
        with self._lock:
            over = {key: kind for key, kind in self._kinds.items() if kind.end <= now}
            self._kinds = {key: kind for key, kind in self._kinds.items() if key not in over}
        counted = {key: kind for key, kind in over.items() if kind.count}
        if not counted:
            return
        with self._store.begin() as db:
            for (event, _, _), kind in counted.items():
                named = {"instances": kind.instances} if kind.instances else {}
                again = {"repeated": kind.count, "since": kind.since} | named
                trail.record(db, event, **(kind.detail | again))
        for (event, peer, why), kind in counted.items():
            log.warning("again", what=event, address=peer, why=why, times=kind.count, since=kind.since)

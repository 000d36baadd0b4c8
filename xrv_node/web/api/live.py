"""What happens, as it happens: the trail as server-sent events, read once for everybody who listens."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from time import monotonic

import structlog
from fastapi.sse import ServerSentEvent
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from xrv_node import documents
from xrv_node.db import queries
from xrv_node.db.rows import EventRow
from xrv_node.db.store import Store
from xrv_node.db.tables import AuditHead

log = structlog.get_logger("web")

LOOK_SECONDS = 1.0
"""Between two looks at the trail, while somebody listens."""
SILENT_SECONDS = 15.0
"""After which a comment is sent: a proxy takes a silent connection for a dead one."""
LONGEST_SECONDS = 600.0
"""A connection is ended then; the browser opens another, and who it is, is asked again."""
KEPT = 1000
"""Events in memory for who comes back; of older ones the newest so many are read."""


class Live:
    """Reads the trail while somebody listens, and wakes all who do.

    Parameters
    ----------
    store
        The node's record.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events: deque[EventRow] = deque(maxlen=KEPT)
        self._last = 0
        self._news = asyncio.Event()
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self._start = asyncio.Lock()

    async def listen(self, after: int | None) -> AsyncIterator[ServerSentEvent]:
        """Yield the events behind one, by its number; None: what happens from now on."""
        self._listeners += 1
        try:
            async with self._start:
                if self._task is None or self._task.done():
                    self._last = await run_in_threadpool(self._newest)
                    self._events.clear()
                    self._task = asyncio.create_task(self._look())
            seen = self._last if after is None else after
            yield ServerSentEvent(comment="listening", retry=2000)
            if after is not None:
                for event in await run_in_threadpool(self._behind, after):
                    seen = event["id"]
                    yield _told(event)
            end, spoken = monotonic() + LONGEST_SECONDS, monotonic()
            while monotonic() < end:
                news = self._news
                for event in [e for e in self._events if e["id"] > seen]:
                    seen, spoken = event["id"], monotonic()
                    yield _told(event)
                if monotonic() - spoken > SILENT_SECONDS:
                    spoken = monotonic()
                    yield ServerSentEvent(comment="still here")
                try:
                    await asyncio.wait_for(news.wait(), SILENT_SECONDS / 3)
                except TimeoutError:
                    continue
        finally:
            self._listeners -= 1
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                new = await run_in_threadpool(self._behind, self._last)
            except Exception:  # the database may be locked, or gone for a while
                log.exception("the trail could not be read")
                continue
            if new:
                self._events.extend(new)
                self._last = new[-1]["id"]
                self._news, woken = asyncio.Event(), self._news
                woken.set()

    def _newest(self) -> int:
        with self._store.read() as db:
            return db.scalars(select(AuditHead.count)).first() or 0

    def _behind(self, after: int) -> list[EventRow]:
        with self._store.read() as db:
            return list(queries.events(db, after=after, limit=KEPT))


def _told(event: EventRow) -> ServerSentEvent:
    return ServerSentEvent(raw_data=documents.dumps(event), id=str(event["id"]))

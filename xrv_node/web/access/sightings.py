"""Who saw, fetched or searched what, on record before it is shown: once a person, study and hour."""

from __future__ import annotations

import re
import threading
import time

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope, Send

from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Study
from xrv_node.web.access.identity import Identity

log = structlog.get_logger("web")

HOUR = 3600
MOST = 100_000
"""Of what is remembered; then it is told again."""

_WATCHED = tuple(
    (re.compile(pattern), event)
    for pattern, event in (
        (r"/dicom-web/(studies|series|instances)", "studies.searched"),
        (r"/dicom-web/studies/(?P<study>[0-9.]{1,64})/(series|instances)", "studies.searched"),
        (r"/dicom-web/studies/(?P<study>[0-9.]{1,64})/series/[0-9.]{1,64}/instances", "studies.searched"),
        (r"/dicom-web/studies/(?P<study>[0-9.]{1,64})(/.*)?", "study.fetched"),
        (r"(/api/v1)?/studies", "studies.searched"),
        (r"(/api/v1)?/studies/(?P<study>[0-9.]{1,64})(/.*)?", "study.seen"),
    )
)
"""Which addresses show a patient, and the event that tells of it; the first that fits counts."""

SHOWN = range(200, 300)
"""Answers that show something, and 304, by which a client shows what it has."""


class Sightings:
    """One for a process; a new one tells again what the last one told in the same hour."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._hour = 0
        self._told: set[tuple[str, str, str]] = set()

    def watching(self, found: Identity, scope: Scope, send: Send) -> Send:
        """A `send` that records what an answer shows before it goes out; without the record it does not."""
        if scope["method"] not in ("GET", "HEAD") or (what := watched(scope["path"])) is None:
            return send
        event, study = what
        withheld = False

        async def recorded(message: Message) -> None:
            nonlocal withheld
            if message["type"] == "http.response.start" and (
                message["status"] in SHOWN or message["status"] == 304
            ):
                withheld = not await self._record(event, study, found)
                if withheld:
                    refusal = PlainTextResponse("the trail cannot be written; nothing is shown\n", 503)
                    await refusal(scope, _nothing, send)
            if not withheld:
                await send(message)

        return recorded

    async def _record(self, event: str, study: str | None, found: Identity) -> bool:
        person = found.who.name or found.who.address
        key, hour = (event, study or "", f"{found.way} {person}"), int(time.time()) // HOUR
        with self._lock:
            if hour != self._hour or len(self._told) >= MOST:
                self._hour, self._told = hour, set()
            if key in self._told:
                return True
            self._told.add(key)
        try:
            await run_in_threadpool(self._write, event, study, person, found)
        except SQLAlchemyError:
            log.exception("who saw a study is not on record")
            with self._lock:
                self._told.discard(key)
            return False
        return True

    def _write(self, event: str, study: str | None, person: str, found: Identity) -> None:
        about = {"by": person, "way": found.way, "address": found.who.address}

        def tell(db: Session) -> None:
            # A search below a study that never came shows nobody, and anybody can invent any number of these.
            if study is None or db.scalar(select(Study.id).where(Study.study_instance_uid == study)):
                trail.record(db, event, study=study, **about)

        self._store.together(tell)


def watched(path: str) -> tuple[str, str | None] | None:
    """What is told of an address that shows a patient: event and study; None of any other."""
    for pattern, event in _WATCHED:
        if match := pattern.fullmatch(path):
            return event, match.groupdict().get("study")
    return None


async def _nothing() -> Message:
    return {"type": "http.disconnect"}

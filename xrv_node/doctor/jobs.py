"""The queue: what nobody does until a person does something. Cheap: ``status`` says it too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from xrv_node.db import waiting
from xrv_node.db.tables import JobState
from xrv_node.doctor.diagnosis import Examined, Found, State
from xrv_node.settings import Settings


@dataclass(frozen=True, slots=True)
class Amiss:
    """One thing that waits for a person."""

    what: Literal["parked", "fetch", "strange", "away", "room"]
    """Jobs that were given up; fetches that were, or that nobody will do; jobs that nobody will do; a
    destination that takes nothing; no room."""
    says: str
    remedy: str
    """On the command line."""
    kind: str = ""
    """Of the jobs, where it is about some."""
    destination: str = ""
    """Where it is about one."""


def jobs(node: Examined) -> Found:
    """The check of the doctor."""
    if not node.has_record:
        return
    with node.store.read() as db:
        found = list(look(db, node.settings))
    wrong = [(State.FAIL, one.says, one.remedy) for one in found]
    yield from wrong or [(State.OK, "no job waits for a person, no destination is away", "")]


def look(db: Session, settings: Settings) -> Iterator[Amiss]:
    """Jobs that are parked or that nobody will do, and destinations that take nothing."""
    for kind, to, number in waiting.parked(db):
        remedy = "`xrv-node jobs list --state parked` says why; then `xrv-node jobs retry --parked`"
        says = f"{number} parked: {kind}" + (f" to {to}" if to else "")
        yield Amiss("parked", says, remedy, kind, to or "")
    yield from _fetches(db, [archive.name for archive in settings.all_archives])
    names = [destination.name for destination in settings.destinations]
    for name, number in waiting.strange(db, names).items():
        says = f"{number} jobs wait for {name}, which is not configured: nobody does them"
        remedy = f"configure it again, or `xrv-node jobs cancel --destination {name}`"
        yield Amiss("strange", says, remedy, "deliver", name)
    for one in waiting.away(db):
        if one.destination in names:
            since = f"{one.since:%Y-%m-%d %H:%M} UTC"
            says = f"{one.destination} takes nothing since {since}, {one.jobs} waiting: {one.why}"
            remedy = f"`xrv-node destinations check {one.destination}`; they are sent when it is back"
            yield Amiss("away", says, remedy, "deliver", one.destination)


def _fetches(db: Session, archives: list[str]) -> Iterator[Amiss]:
    """Fetches that are parked or that nobody will do."""
    for archive, state, number in waiting.fetches(db):
        if state == JobState.PARKED:
            remedy = "`xrv-node fetch list --state parked` says why; then `xrv-node fetch retry ID`"
            yield Amiss("fetch", f"{number} parked: fetch from {archive}", remedy)
        elif archive not in archives:
            says = f"{number} fetches wait for {archive}, which is not configured: nobody does them"
            yield Amiss("fetch", says, "configure it again, or `xrv-node fetch cancel ID`")

"""The queue: what nobody does until a person does something. Cheap: ``status`` says it too."""

from __future__ import annotations

from sqlalchemy.orm import Session

from xrv_node.db import waiting
from xrv_node.doctor.diagnosis import Examined, Found, State
from xrv_node.settings import Settings


def jobs(node: Examined) -> Found:
    """The check of the doctor."""
    if not node.has_record:
        return
    with node.store.read() as db:
        found = list(look(db, node.settings))
    yield from found or [(State.OK, "no job waits for a person, no destination is away", "")]


def look(db: Session, settings: Settings) -> Found:
    """Jobs that are parked or that nobody will do, and destinations that take nothing."""
    for kind, to, number in waiting.parked(db):
        remedy = "`xrv-node jobs list --state parked` says why; then `xrv-node jobs retry --parked`"
        yield State.FAIL, f"{number} parked: {kind}" + (f" to {to}" if to else ""), remedy
    names = [destination.name for destination in settings.destinations]
    for name, number in waiting.strange(db, names).items():
        says = f"{number} jobs wait for {name}, which is not configured: nobody does them"
        yield State.FAIL, says, f"configure it again, or `xrv-node jobs cancel --destination {name}`"
    for one in waiting.away(db):
        if one.destination in names:
            since = f"{one.since:%Y-%m-%d %H:%M} UTC"
            says = f"{one.destination} takes nothing since {since}, {one.jobs} waiting: {one.why}"
            remedy = f"`xrv-node destinations check {one.destination}`; they are sent when it is back"
            yield State.FAIL, says, remedy

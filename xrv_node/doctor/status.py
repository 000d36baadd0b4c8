"""What a node is doing, now, and what of it waits for a person."""

from __future__ import annotations

import shutil

from typing_extensions import TypedDict

from xrv_node import disk, role_locks
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.doctor import jobs
from xrv_node.doctor.jobs import Amiss
from xrv_node.product import VERSION
from xrv_node.reasons import Reason
from xrv_node.settings import Settings


class Status(TypedDict):
    """What the node is doing."""

    name: str
    """``node.name``."""
    version: str
    """Of xrv-node."""
    serving: bool
    """Whether it runs here."""
    receives: str
    """AE title, host and port."""
    commissioning: bool
    """Whether it was last started to answer for phantoms alone."""
    silent: list[str]
    """Destinations to which nothing leaves."""
    refuses: Reason | None
    """Why objects are refused for lack of room."""
    free_bytes: int
    """Of the file system of ``node.data_dir``."""
    studies: dict[str, int]
    """How many there are, by state."""
    instances: dict[str, int]
    """The same of images."""
    jobs: dict[str, int]
    """By kind and state, e.g. ``deliver queued``."""
    deliveries: dict[str, int]
    """By destination and state, e.g. ``pacs: waiting``."""
    audit_events: int
    """Of the trail."""
    amiss: list[dict[str, str]]
    """What waits for a person: each with what it ``says`` and the ``remedy``."""


def status(settings: Settings, store: Store) -> Status:
    """Look at the record, the disk and the processes."""
    receive = settings.receive
    with store.read() as db:
        counts = queries.counts(db)
        commissioning = queries.commissioning(db)
    found = amiss(settings, store)
    return {
        "name": settings.node.name,
        "version": VERSION,
        "serving": role_locks.is_serving(settings.data_dir),
        "receives": f"{receive.ae_title} at {receive.host}:{receive.port}",
        "commissioning": commissioning,
        "silent": [d.name for d in settings.destinations if settings.keeps_back(d)],
        "refuses": disk.why_paused(settings, store),
        "free_bytes": shutil.disk_usage(settings.data_dir).free,
        "studies": counts["studies"],
        "instances": counts["instances"],
        "jobs": counts["jobs"],
        "deliveries": counts["deliveries"],
        "audit_events": counts["audit_events"],
        "amiss": [{"says": one.says, "remedy": one.remedy} for one in found],
    }


def amiss(settings: Settings, store: Store) -> list[Amiss]:
    """What waits for a person: in the queue, and for lack of room."""
    with store.read() as db:
        found = list(jobs.look(db, settings))
    if paused := disk.why_paused(settings, store):
        remedy = "make room, or let [retention] keep less"
        found.append(Amiss("room", f"nothing is received: {paused}", remedy))
    return found

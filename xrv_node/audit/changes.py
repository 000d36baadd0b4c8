"""What a node runs with: each change of its configuration and of its models is an event of the trail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from xrv_node.db import queries, trail
from xrv_node.db.store import Store
from xrv_node.settings import Settings
from xrv_node.values import ModelSet

log = structlog.get_logger("node")

RESTARTED = "process.restarted"


def started(db: Session, settings: Settings, *, commissioning: bool, by: str) -> None:
    """Record a start, and before it the configuration, where it is not that of the last start.

    The configuration is kept whole, as it is in force, with what the environment says and without its
    secrets: the trail answers for what a node did, and this is why it did so.

    Parameters
    ----------
    by
        Who started it (`person.operator`). Who edited the file the node cannot know.
    """
    digest = _in_force(db, settings, by=by)
    name = settings.node.name
    trail.record(db, "node.started", by=by, commissioning=commissioning, name=name, configuration=digest)


def reloaded(db: Session, settings: Settings, restarted: Sequence[str]) -> None:
    """Record that a running node has taken another configuration.

    Parameters
    ----------
    restarted
        The roles of its processes that are started anew. Who told it to, a signal does not say.
    """
    digest = _in_force(db, settings)
    trail.record(db, "node.reloaded", restarted=list(restarted), configuration=digest)


def _in_force(db: Session, settings: Settings, **by: str) -> str:
    """Record the configuration, where it is another one than before; returns its digest."""
    now = json.loads(settings.model_dump_json(by_alias=True, exclude_none=True))
    digest = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).hexdigest()
    before = _last(db, "configuration.changed")
    if before.get("configuration") != now:
        changed = sorted(set(_differences(before.get("configuration", {}), now)))
        trail.record(db, "configuration.changed", **by, digest=digest, changed=changed, configuration=now)
    return digest


def restarted(store: Store, role: str) -> None:
    """Record that a process takes the place of one that had ended, if the database lets it: the process is to
    start in any case."""
    try:
        with store.begin() as db:
            trail.record(db, RESTARTED, role=role)
    except SQLAlchemyError:
        log.exception("a restart is not on record", role=role)
    store.close()


def models_loaded(db: Session, models: ModelSet, *, owner: str) -> None:
    """Record the networks that a worker has loaded, where they are not those that were loaded last.

    Parameters
    ----------
    owner
        The worker's name (`role_locks.hold_role`).
    """
    if _last(db, "models.changed").get("model_set") == models.digest:
        return
    trail.record(
        db,
        "models.changed",
        model_set=models.digest,
        models={m.role: m.name for m in models.models},
        weights={m.role: m.sha256 for m in models.models},
        site_thresholds=dict(models.classifier.site_thresholds),
        phantom=models.phantom,
        owner=owner,
    )


def runs_on(db: Session, machine: Mapping[str, str], *, owner: str) -> None:
    """Record what a worker runs on (`machine.facts`), where it is not what the last one ran on."""
    if _last(db, "machine.changed").get("machine") != machine:
        trail.record(db, "machine.changed", machine=dict(machine), owner=owner)


def _last(db: Session, event: str) -> dict[str, Any]:
    return next((row["detail"] for row in queries.events(db, event=event, limit=1)), {})


def _differences(before: Any, now: Any, key: str = "") -> list[str]:
    """The keys whose values differ; of lists only the list's."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [key]
    found: list[str] = []
    for name in before.keys() | now.keys():
        below = f"{key}.{name}" if key else name
        found += _differences(before.get(name), now.get(name), below)
    return found

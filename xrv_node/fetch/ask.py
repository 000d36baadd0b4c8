"""What a person, or a program, asks of fetches: a new one, how far it is, to give it up, to try it again."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from xrv_node.db import trail
from xrv_node.db.fetch_rows import FetchHistory, FetchRow
from xrv_node.db.fetch_tables import Fetch, FetchedState, FetchStudy
from xrv_node.db.queries import event_row
from xrv_node.db.store import Store
from xrv_node.db.tables import AuditEvent, JobState
from xrv_node.errors import ConfigError, QueueError, XrvNodeError
from xrv_node.fetch import keys
from xrv_node.fetch.keys import Key
from xrv_node.reasons import Reason
from xrv_node.settings import Settings
from xrv_node.spool import Spool

FINAL = (JobState.DONE, JobState.PARKED, JobState.CANCELLED)
"""States in which nothing more comes until a person says otherwise."""

_COUNTS = ("objects", "present", "fetched", "failed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    keys: tuple[Key, ...]
    archive: str
    """Its name."""
    all_series: bool = False
    """Whether also what the node does not analyse is wanted."""
    not_before: datetime | None = None
    """When it may begin; None: now."""


def only_archive(settings: Settings) -> str:
    """The name of the archive, where there is one and no other.

    Raises
    ------
    ConfigError
        There is none, or a choice.
    """
    names = [one.name for one in settings.all_archives]
    if not names:
        raise ConfigError("no archive is configured: add a table [[archives]]")
    if len(names) > 1:
        raise ConfigError(f"say which archive: {', '.join(names)}")
    return names[0]


def request(settings: Settings, store: Store, spool: Spool, wanted: Wanted) -> str:
    """Queue a fetch; a running node does it.

    Returns
    -------
    str
        Its identifier.

    Raises
    ------
    ConfigError
        No archive has this name.
    XrvNodeError
        Nothing is asked for, or too much.
    """
    archive = settings.archive(wanted.archive)
    if not 0 < len(wanted.keys) <= keys.MOST:
        raise XrvNodeError(f"one fetch asks for 1 to {keys.MOST} things, not for {len(wanted.keys)}")
    identifier, now = secrets.token_hex(6), datetime.now(UTC)
    known = all(key.study for key in wanted.keys)
    if not known:  # files before rows
        keys.write(spool, identifier, wanted.keys)
    with store.begin() as db:
        db.add(
            Fetch(
                id=identifier,
                archive=archive.name,
                all_series=wanted.all_series,
                asked=len(wanted.keys),
                looked_up=len(wanted.keys) if known else 0,
                not_before=wanted.not_before or now,
                created_at=now,
                updated_at=now,
            )
        )
        db.flush()
        if known:
            add_studies(db, identifier, [key.study for key in wanted.keys])
        trail.record(
            db,
            "fetch.requested",
            fetch=identifier,
            archive=archive.name,
            asked={name: n for name in keys.COLUMNS.values() if (n := _saying(wanted.keys, name))},
            all_series=wanted.all_series,
        )
    return identifier


def add_studies(db: Session, identifier: str, studies: Iterable[str]) -> None:
    """Write down which studies a fetch is of, each once."""
    of_it = select(FetchStudy.study_instance_uid).where(FetchStudy.fetch_id == identifier)
    new = dict.fromkeys(studies).keys() - set(db.scalars(of_it))
    state = FetchedState.WAITING
    rows = [{"fetch_id": identifier, "study_instance_uid": uid, "state": state} for uid in sorted(new)]
    if rows:
        db.execute(insert(FetchStudy), rows)


def fetches(db: Session, *, state: str | None = None, limit: int | None = 100) -> list[FetchRow]:
    """Fetches, newest first."""
    query = select(Fetch).order_by(Fetch.created_at.desc(), Fetch.id).limit(limit)
    if state is not None:
        query = query.where(Fetch.state == state)
    return [_row(db, fetch) for fetch in db.scalars(query)]


def progress(db: Session, identifier: str) -> FetchRow:
    """How far one fetch is.

    Raises
    ------
    QueueError
        When there is no such fetch.
    """
    return _row(db, _found(db, identifier))


def show(db: Session, identifier: str) -> FetchHistory:
    """One fetch with its studies and its events.

    Raises
    ------
    QueueError
        When there is no such fetch.
    """
    fetch = _found(db, identifier)
    studies = db.scalars(select(FetchStudy).where(FetchStudy.fetch_id == fetch.id).order_by(FetchStudy.id))
    events = db.scalars(
        select(AuditEvent)
        .where(AuditEvent.event.like("fetch.%"), AuditEvent.detail.contains(f'"fetch":"{fetch.id}"'))
        .order_by(AuditEvent.id)
    )
    return {
        **_row(db, fetch),
        "found": [
            {
                "study": one.study_instance_uid,
                "state": one.state,
                "objects": one.objects,
                "present": one.present,
                "fetched": one.fetched,
                "failed": one.failed,
                "error": one.error,
            }
            for one in studies
        ],
        "events": [event_row(event) for event in events],
    }


def cancel(store: Store, spool: Spool, identifier: str) -> None:
    """Give a fetch up; what came is kept. One that is under way ends behind the object in hand.

    Raises
    ------
    QueueError
        When there is no such fetch, or it is done or cancelled.
    """
    with store.begin() as db:
        fetch = _found(db, identifier)
        if fetch.state in (JobState.DONE, JobState.CANCELLED):
            raise QueueError(f"fetch {identifier} is {fetch.state}; what is not done can be cancelled")
        _set(fetch, JobState.CANCELLED, Reason("cancelled-by-person"))
        trail.record(db, "fetch.cancelled", fetch=identifier, archive=fetch.archive)
    keys.forget(spool, identifier)


def retry(store: Store, identifier: str) -> None:
    """Queue a fetch now that is parked or waits; of its studies those that are not here as a whole.

    Raises
    ------
    QueueError
        When there is no such fetch, or it is neither parked nor queued.
    """
    with store.begin() as db:
        fetch = _found(db, identifier)
        if fetch.state not in (JobState.PARKED, JobState.QUEUED):
            raise QueueError(f"fetch {identifier} is {fetch.state}: only what is parked or queued is retried")
        _set(fetch, JobState.QUEUED, None)
        fetch.attempts, fetch.not_before = 0, datetime.now(UTC)
        again = (FetchedState.FAILED, FetchedState.MISSING)
        of_it = FetchStudy.fetch_id == identifier, FetchStudy.state.in_(again)
        db.execute(update(FetchStudy).where(*of_it).values(state=FetchedState.WAITING, failed=0, error=None))
        trail.record(db, "fetch.retried", fetch=identifier, archive=fetch.archive)


def _found(db: Session, identifier: str) -> Fetch:
    fetch = db.get(Fetch, identifier, with_for_update=True)
    if fetch is None:
        raise QueueError("there is no such fetch; `xrv-node fetch list` shows them")
    return fetch


def _set(fetch: Fetch, state: JobState, error: Reason | None) -> None:
    fetch.state, fetch.error, fetch.updated_at = state, error, datetime.now(UTC)
    fetch.lease, fetch.lease_until = None, None


def _saying(asked: Iterable[Key], name: str) -> int:
    return sum(bool(getattr(key, name)) for key in asked)


def _row(db: Session, fetch: Fetch) -> FetchRow:
    of_it = FetchStudy.fetch_id == fetch.id
    states = db.execute(select(FetchStudy.state, func.count()).where(of_it).group_by(FetchStudy.state))
    sums = [func.coalesce(func.sum(getattr(FetchStudy, name)), 0) for name in _COUNTS]
    counts = dict(zip(_COUNTS, db.execute(select(*sums).where(of_it)).one(), strict=True))
    return {
        "id": fetch.id,
        "archive": fetch.archive,
        "state": fetch.state,
        "asked": fetch.asked,
        "looked_up": fetch.looked_up,
        "unmatched": fetch.unmatched,
        "studies": {state: count for state, count in states},
        "objects": counts["objects"],
        "present": counts["present"],
        "fetched": counts["fetched"],
        "failed": counts["failed"],
        "all_series": fetch.all_series,
        "attempts": fetch.attempts,
        "error": fetch.error,
        "not_before": fetch.not_before,
        "created_at": fetch.created_at,
        "updated_at": fetch.updated_at,
    }

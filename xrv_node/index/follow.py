"""The index follows the audit trail: every change of a study's objects is an event of it, in the transaction
of the change and in one order for all processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from time import monotonic

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from xrv_node.db.store import Store
from xrv_node.db.tables import AuditEvent, AuditHead, Study
from xrv_node.errors import ConfigError
from xrv_node.index import rows
from xrv_node.index.index import Index
from xrv_node.index.tables import State
from xrv_node.settings import Settings
from xrv_node.spool import Spool

log = structlog.get_logger("index")

EVENTS = ("instance.received", "instance.conflict", "study.reported", "study.purged")
"""That change which objects there are."""

LONGEST = 5.0
"""Seconds that a query waits for an index that is far behind, as while it is made anew; it is answered with
what is there then."""

_FORGETTING = 60.0
_MARKED = 20
_BATCH = 500
"""Events, or studies, that are looked at at once."""

Told = Callable[[int, int], None]


def catch_up(index: Index, store: Store, spool: Spool, *, seconds: float | None = LONGEST) -> bool:
    """Have the index say what the audit database says. It costs two small reads where nothing is new, may be
    run by any number of threads and processes, and goes on where it was killed.

    Parameters
    ----------
    seconds
        After which it is left for the next time; None: never.

    Returns
    -------
    bool
        Whether all is there.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        When the audit database or the index is locked (`db.store.is_busy`).
    """
    end = None if seconds is None else monotonic() + seconds
    index.mend()
    try:
        return _is_up(index, store) or _caught_up(index, store, spool, end)
    except DBAPIError:
        if not index.mend():
            raise
    return _caught_up(index, store, spool, end)


def _caught_up(index: Index, store: Store, spool: Spool, end: float | None) -> bool:
    if not index.turn.acquire(timeout=-1 if end is None else max(end - monotonic(), 0)):
        return False
    try:
        return _events(index, store, spool, end) and _all(index, store, spool, end)
    finally:
        index.turn.release()


def rebuild(index: Index, store: Store, spool: Spool, told: Told | None = None) -> None:
    """Make the index anew, from the audit database and the files.

    Parameters
    ----------
    told
        Told how many studies of how many are done.
    """
    index.renew()
    with index.turn:
        _events(index, store, spool, None)
        _all(index, store, spool, None, told)
        _events(index, store, spool, None)


def forget(settings: Settings, store: Store, spool: Spool) -> None:
    """Have an index that there is let go of what was purged: it holds patients' data. Where that fails, the
    next search does it."""
    if not settings.web.index_url and not settings.index_file.exists():
        return
    try:
        with contextlib.closing(Index.open(settings)) as index, index.turn:
            _events(index, store, spool, monotonic() + _FORGETTING)
    except (ConfigError, DBAPIError) as error:
        log.warning("the index still has what was purged", why=str(getattr(error, "orig", error)))


def _is_up(index: Index, store: Store) -> bool:
    """Whether there is nothing to do, which is soon told where this process has seen so before and the trail
    has gained nothing since that matters."""
    with store.read() as audit:
        head, removed = audit.execute(select(AuditHead.count, AuditHead.removed)).one()
        seen = index.seen
        if seen is None:
            state = _state(index)
            done = state.study is None and state.style == index.chosen.key
            if not done or not removed <= state.event <= head:
                return False
            seen = state.event
        if not removed <= seen <= head or head - seen >= _BATCH:
            return False
        if head != seen and _changed(audit, seen, head)[1]:
            return False
    index.seen = head
    return True


def _state(index: Index) -> State:
    with index.read() as db:
        return db.scalars(select(State)).one()


def _follows(audit: Session, state: State, head: int) -> bool:
    """Whether the trail goes on where the index stopped: it may have been cut, or be one of before."""
    removed = audit.scalars(select(AuditHead.removed)).one()
    return removed <= state.event <= head


def _changed(audit: Session, after: int, head: int) -> tuple[int, list[str]]:
    """The last of the next events, and the Study Instance UIDs that they are about."""
    last = min(after + _BATCH, head)
    found = audit.scalars(
        select(AuditEvent.study_instance_uid)
        .where(AuditEvent.id > after, AuditEvent.id <= last, AuditEvent.event.in_(EVENTS))
        .order_by(AuditEvent.id)
    )
    return last, list(dict.fromkeys(uid for uid in found if uid))


def _events(index: Index, store: Store, spool: Spool, end: float | None) -> bool:
    """Follow the trail to its end; False when time is over before."""
    while True:
        state = _begun(index, store)
        with store.read() as audit:
            head = audit.scalars(select(AuditHead.count)).one()
            last, uids = _changed(audit, state.event, head)
            ids = select(Study.study_instance_uid, Study.id).where(Study.study_instance_uid.in_(uids))
            studies = {uid: study for uid, study in audit.execute(ids)}
        if last == state.event:
            return True
        for uid in uids:
            if uid in studies and not _settled(index, store, spool, studies[uid], end):
                return False
        with index.begin() as db:
            db.execute(update(State).where(State.event < last).values(event=last))


def _begun(index: Index, store: Store) -> State:
    """Where the index stands; from the beginning, where it cannot go on from there."""
    state = _state(index)
    with store.read() as audit:
        head = audit.scalars(select(AuditHead.count)).one()
        follows = _follows(audit, state, head)
    if state.event > head:
        log.warning("the audit database is of before the index, which is made anew")
        index.renew()
    if state.event == 0 and state.study == 0:
        follows = False
    if not follows or state.style != index.chosen.key:
        with index.begin() as db:
            begin = {"event": head} if not follows else {}
            db.execute(update(State).values(study=0, style=index.chosen.key, **begin))
        state = _state(index)
    return state


def _settled(index: Index, store: Store, spool: Spool, study: int, end: float | None) -> bool:
    """Settle a study; False when time is over before."""
    while not _over(end):
        if rows.settle(index, store, spool, study):
            return True
    return False


def _over(end: float | None) -> bool:
    return end is not None and monotonic() > end


def _all(index: Index, store: Store, spool: Spool, end: float | None, told: Told | None = None) -> bool:
    """Go over all studies where the index is new, the newest first; False when time is over before."""
    while (before := _state(index).study) is not None:
        with store.read() as audit:
            left = select(Study.id).where(Study.id < before) if before else select(Study.id)
            studies = audit.scalars(left.order_by(Study.id.desc()).limit(_BATCH)).all()
            total = audit.scalar(select(func.count()).select_from(Study)) or 0
            done = total - (audit.scalar(select(func.count()).select_from(left.subquery())) or 0)
        for number, study in enumerate(studies, 1):
            if not _settled(index, store, spool, study, end):
                return False
            if number % _MARKED == 0 or number == len(studies) or _over(end):
                _mark(index, study)
            if told is not None:
                told(done + number, total)
        if not studies:
            _mark(index, None)
    return True


def _mark(index: Index, study: int | None) -> None:
    """Keep how far it has come, unless another process goes by another style."""
    still = State.study.is_not(None), State.style == index.chosen.key
    with index.begin() as db:
        db.execute(update(State).where(*still).values(study=study))

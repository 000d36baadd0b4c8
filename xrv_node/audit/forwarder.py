"""Sends the trail to the audit repository, from where it last came to."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import structlog
from sqlalchemy.orm import Session

from xrv_node.audit import atna, syslog
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.db.tables import AuditSent
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.settings import Settings
from xrv_node.spool import Spool

log = structlog.get_logger("audit")

EVERY_SECONDS = 5
"""Between two looks at the trail."""
BATCH = 1000
"""Events over one connection; of them at most so many are sent twice after a crash."""


class Forwarder:
    """The courier's part in the audit trail: each event's message is sent at least once, in order.

    What was sent is kept in the database, so that a backup that is restored knows no more of it than of the
    trail itself.
    """

    def __init__(self, settings: Settings, store: Store, stop: threading.Event) -> None:
        self._settings, self._store, self._stop = settings, store, stop
        self._away = False

    def run(self) -> None:
        """Send what is new; never raises. A repository that is away is tried again at the next call."""
        repository = self._settings.audit.repository
        try:
            while not self._stop.is_set() and self._batch():
                pass
        except (ConfigError, DestinationError) as error:
            if not self._away:
                log.warning("the audit repository is away; the trail waits", why=str(error))
            self._away = True
        except Exception:
            log.exception("the trail could not be sent; it is tried again")
        else:
            if self._away:
                log.info("the audit repository takes the trail again", repository=repository)
            self._away = False

    def _batch(self) -> bool:
        """Send the next events; whether there may be more."""
        settings = self._settings
        spool = Spool(settings.data_dir) if settings.audit.with_patient else None
        with self._store.read() as db:
            events = list(queries.events(db, after=sent(db, settings.audit.repository), first=BATCH))
            made = [syslog.line(m) for m in atna.messages(db, settings, events, patients_from=spool)]
        if not events:
            return False
        if made:
            syslog.send(settings.audit, made)
        with self._store.begin() as db:
            db.merge(AuditSent(repository=settings.audit.repository, event=events[-1]["id"]))
        return len(events) == BATCH


def sent(db: Session, repository: str) -> int:
    """The last event that a repository has, or that there was no message for; 0 before the first."""
    row = db.get(AuditSent, repository)
    return 0 if row is None else row.event


def lag_seconds(db: Session, repository: str) -> float:
    """How long the oldest event waits that the repository does not have; 0 when it has all."""
    oldest = next(queries.events(db, after=sent(db, repository), first=1), None)
    if oldest is None:
        return 0.0
    return max((datetime.now(UTC) - datetime.fromisoformat(oldest["at"])).total_seconds(), 0.0)

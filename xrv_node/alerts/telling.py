"""The courier's part in alerts: a thread each, so that a mail server that hangs delays nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import or_, select
from sqlalchemy.exc import SQLAlchemyError

from xrv_node import reasons
from xrv_node.alerts import mail, patient, webhook
from xrv_node.alerts.collect import collect, forget
from xrv_node.alerts.content import PatientOf
from xrv_node.alerts.notes import Message, Note, load
from xrv_node.db import trail
from xrv_node.db.queue import POLICIES
from xrv_node.db.store import Store
from xrv_node.db.tables import AlertMessage
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.reasons import Reason
from xrv_node.settings import Settings
from xrv_node.settings.alerts import Alert, MailAlert
from xrv_node.spool import Spool

log = structlog.get_logger("alerts")

EVERY_SECONDS = 5.0
"""Between two looks at the trail."""
END_SECONDS = 5.0
"""How long the process waits at its end for a message that is being sent; it is sent again otherwise."""
_FAR_AHEAD = timedelta(hours=1)
"""What is to wait longer was put off by a clock that was ahead."""
SENT, GIVEN_UP = "alert.sent", "alert.given_up"

Send = Callable[[Message], None]


@contextmanager
def running(settings: Settings, store: Store, spool: Spool, stop: threading.Event) -> Iterator[None]:
    """Tell until `stop` is set, within this; its end waits for no thread longer than `END_SECONDS`."""
    try:
        forget(store, [alert.name for alert in settings.alerts])
    except SQLAlchemyError:  # results are to be sent in any case
        log.exception("what waits for alerts that are gone is kept until the next start")
    threads = [
        threading.Thread(
            target=_run,
            args=(store, alert, sender(settings, alert, partial(patient.of, store, spool)), stop),
            name=f"{alert.name} alert",
            daemon=True,
        )
        for alert in settings.heard
    ]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(END_SECONDS)


def sender(settings: Settings, alert: Alert, patient_of: PatientOf = None) -> Send:
    """What sends a message of an alert; it raises ConfigError or DestinationError where that fails."""
    patient_of, node = patient_of if alert.with_patient else None, settings.node.name

    def send(message: Message) -> None:
        if isinstance(alert, MailAlert):
            mail.send(alert, message, node, patient_of)
        else:
            webhook.send(alert, message, node, patient_of)

    return send


def test_message(alert: Alert) -> Message:
    """A message that says that it is a test."""
    now = datetime.now(UTC)
    note = Note("test", 0, now.isoformat(), Reason("alert-test", alert=alert.name))
    return Message(f"{alert.name}-test-{now:%Y%m%d%H%M%S}", alert.name, (note,), now, 0)


def _run(store: Store, alert: Alert, send: Send, stop: threading.Event) -> None:
    while not stop.wait(EVERY_SECONDS):
        try:
            tell(store, alert, send, stop, datetime.now().astimezone())
        except Exception:
            log.exception("an alert could not be looked after; it is tried again", alert=alert.name)


def tell(store: Store, alert: Alert, send: Send, stop: threading.Event, now: datetime) -> None:
    """Make messages of what is new, and send those that are due; each is tried once."""
    while not stop.is_set() and collect(store, alert, now):
        pass
    with store.read() as db:
        late = or_(AlertMessage.not_before <= now, AlertMessage.not_before > now + _FAR_AHEAD)
        waiting = select(AlertMessage).where(AlertMessage.alert == alert.name, late)
        messages = [
            Message(row.id, row.alert, load(row.notes), row.made_at, row.attempts)
            for row in db.scalars(waiting.order_by(AlertMessage.made_at, AlertMessage.id))
        ]
    for message in messages:
        if stop.is_set():
            return
        _try(store, message, send, now)


def _try(store: Store, message: Message, send: Send, now: datetime) -> None:
    try:
        send(message)
    except (ConfigError, DestinationError) as error:
        _failed(store, message, reasons.of(error), now)
        return
    with store.begin() as db:
        if (row := db.get(AlertMessage, message.id)) is not None:
            db.delete(row)
        told: dict[str, Any] = {"message": message.id, "notes": len(message.notes)}
        trail.record(db, SENT, alert=message.alert, **told, attempts=message.attempts + 1)
    log.info("told", alert=message.alert, **told)


def _failed(store: Store, message: Message, why: Reason, now: datetime) -> None:
    """Try it again later, as often as a delivery, with its pauses."""
    policy, attempts = POLICIES["deliver"], message.attempts + 1
    given_up = attempts >= policy.max_attempts
    wait = min(policy.first_wait * 2 ** min(message.attempts, 30), policy.longest_wait)
    with store.begin() as db:
        row = db.get(AlertMessage, message.id)
        if row is None:
            return
        row.attempts, row.not_before = attempts, now + timedelta(seconds=wait)
        if given_up:
            db.delete(row)
            trail.record(db, GIVEN_UP, alert=message.alert, message=message.id, attempts=attempts, error=why)
    if given_up or attempts == 1:
        says = "not told, and given up" if given_up else "not told; it is tried again"
        log.warning(says, alert=message.alert, message=message.id, why=str(why))

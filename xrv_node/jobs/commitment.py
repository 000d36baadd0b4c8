"""Asking for storage commitment. The answer comes on the same association, or on one of the peer's own
(``receive.dimse.event_report``)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import structlog
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from xrv_node import reasons
from xrv_node.db import commitments
from xrv_node.db.commitments import REQUEST, WELL_KNOWN_INSTANCE
from xrv_node.db.store import Store
from xrv_node.deliver.association import NotNowError, open_to
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.jobs import presence
from xrv_node.network import command, datasets
from xrv_node.network.terms import Accepted, Terms
from xrv_node.network.wire import BrokenOffError
from xrv_node.reasons import Reason
from xrv_node.receive import commitment_report
from xrv_node.settings.destinations import DimseDestination
from xrv_node.values import STORAGE_COMMITMENT

log = structlog.get_logger("deliver")

_ABOUT: dict[int, str | int] = {0x0003: STORAGE_COMMITMENT, 0x1001: WELL_KNOWN_INSTANCE, 0x1008: REQUEST}
"""Requested SOP Class and Instance UID, and Action Type ID (PS3.4 J.3.2)."""

LOOK_SECONDS = 5.0
"""Between two looks for what is to be asked: the results of a study are asked for together."""
ANSWER_SECONDS = 10.0
"""How long an association is kept for its answer; many archives answer over one of their own instead."""
FAILED_SECONDS = 60.0
"""Until a peer that could not be asked is tried again."""


def run(destination: DimseDestination, calling_ae: str, store: Store, stop: threading.Event) -> None:
    """Ask a destination for what is due, until `stop` is set. For a thread of its own: an answer that is
    waited for must keep no object waiting, nor come between an object and its status."""
    wait = timedelta(minutes=destination.commitment_minutes)
    said = ""
    while not stop.wait(LOOK_SECONDS):
        try:
            with store.read() as db:
                away = presence.away_since(db, destination.name) is not None
                wanted = [] if away else commitments.due(db, destination.name, wait)
            if not wanted:
                continue
            ask(destination, calling_ae, store, wanted)
            said = ""
        except (NotNowError, DestinationError, ConfigError) as error:
            if said != (said := str(error)):  # once, however often it is tried
                log.warning("commitment cannot be asked for", destination=destination.name, why=said)
            stop.wait(FAILED_SECONDS)
        except Exception:
            # The database is locked, full or away: nothing is lost by asking later.
            log.exception("commitment cannot be asked for", destination=destination.name)
            stop.wait(FAILED_SECONDS)


def ask(
    destination: DimseDestination, calling_ae: str, store: Store, wanted: list[commitments.Wanted]
) -> None:
    """N-ACTION for these objects, and stay for the answer a while.

    Raises
    ------
    DestinationError
        The peer refuses us, or offers no storage commitment.
    NotNowError
        It cannot be reached, or did not take the request.
    """
    heard = False

    def reported(context: Accepted, _command: Dataset, fragments: Iterator[memoryview]) -> int:
        nonlocal heard
        encoded = commitment_report.whole(fragments)
        heard = True
        return commitment_report.take(store, encoded, context.transfer_syntax, destination.ae_title)

    association = open_to(
        destination,
        calling_ae,
        [(STORAGE_COMMITMENT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])],
        Terms(handlers={command.N_EVENT_REPORT: reported}),
    )
    try:
        (context, *_) = association.accepted
        request = datasets.encode(commitments.asked(store, destination.name, wanted), context.transfer_syntax)
        answer = association.ask(context, command.N_ACTION, _ABOUT, (request,), size=len(request))
        status = command.number(answer, "Status")
        if status != commitments.SUCCESS:
            words = "no status" if status is None else f"0x{status:04X}"
            raise NotNowError(f"{destination.ae_title} does not take the request ({words})")
        association.listen(ANSWER_SECONDS, lambda: heard)
    except BrokenOffError as error:
        why = reasons.of(error)
        raise NotNowError(Reason("association-ended", peer=destination.ae_title, why=why)) from error
    finally:
        association.release()

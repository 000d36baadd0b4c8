"""Asking for storage commitment. The answer comes on the same association, or on one of the peer's own
(``receive.dimse.event_report``)."""

from __future__ import annotations

import threading
from datetime import timedelta

import structlog
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.events import Event

from xrv_node.db import commitments
from xrv_node.db.commitments import REQUEST, WELL_KNOWN_INSTANCE
from xrv_node.db.store import Store
from xrv_node.deliver.association import NotNowError, open_to
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.settings.destinations import DimseDestination
from xrv_node.values import STORAGE_COMMITMENT

log = structlog.get_logger("deliver")

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
    while not stop.wait(LOOK_SECONDS):
        try:
            with store.read() as db:
                wanted = commitments.due(db, destination.name, wait)
            if not wanted:
                continue
            ask(destination, calling_ae, store, wanted)
        except (NotNowError, DestinationError, ConfigError) as error:
            log.warning("commitment cannot be asked for", destination=destination.name, why=str(error))
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
    heard = threading.Event()
    association = open_to(
        destination,
        calling_ae,
        [(STORAGE_COMMITMENT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])],
        [(evt.EVT_N_EVENT_REPORT, handle_event_report, [store, heard])],
    )
    try:
        request = commitments.asked(store, destination.name, wanted)
        answer, _ = association.send_n_action(request, REQUEST, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)
        status = answer.get("Status")
        if status != commitments.SUCCESS:
            words = "no answer" if status is None else f"0x{status:04X}"
            raise NotNowError(f"{destination.ae_title} does not take the request ({words})")
        heard.wait(ANSWER_SECONDS)
    except (RuntimeError, ValueError) as error:  # the association ended
        raise NotNowError(f"{destination.ae_title} ended the association") from error
    finally:
        if association.is_established:
            association.release()


def handle_event_report(event: Event, store: Store, heard: threading.Event) -> tuple[int, None]:
    """N-EVENT-REPORT: record what the peer commits to. Never raises: bytes from outside may be anything.

    Returns
    -------
    tuple
        A status as `commitments.answered` has it, or 0x0110 for what cannot be read or recorded; no dataset.
    """
    try:
        return commitments.answered(store, event.event_information), None
    except Exception:
        log.exception("an answer on storage commitment cannot be recorded")
        return commitments.PROCESSING_FAILURE, None
    finally:
        heard.set()

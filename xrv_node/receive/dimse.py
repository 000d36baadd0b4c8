"""The Storage and Verification SCP: pynetdicom's events in, DIMSE statuses out.

Handlers are plain functions ``(event, receiver) -> status``. They never raise: an object that breaks
something answers a failure status, and the association goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, cast
from weakref import WeakKeyDictionary

import structlog
from pynetdicom import AE, _config, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import ThreadedAssociationServer
from sqlalchemy import select

from xrv_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from xrv_node.audit import trail
from xrv_node.audit.store import Store
from xrv_node.audit.tables import Study
from xrv_node.deliver import commitment_scu
from xrv_node.errors import ConfigError, RefusedError
from xrv_node.jobs import progress
from xrv_node.receive import intake
from xrv_node.receive.spool import Spool
from xrv_node.settings import Settings
from xrv_node.values import VERIFICATION

log = structlog.get_logger("receive")

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
"""PS3.7 C.5.18: something of ours broke; the sender keeps the object and may try again."""

MAXIMUM_PDU = 131072
"""dcmtk's largest; eight times fewer PDUs an image than pynetdicom's default, and twice as fast."""


@dataclass(frozen=True)
class Receiver:
    """What the handlers need."""

    settings: Settings
    store: Store
    spool: Spool
    views_from_pixels: bool = False
    """Whether the worker can tell a view that the header leaves open."""
    touched: WeakKeyDictionary[Any, set[str]] = field(default_factory=WeakKeyDictionary)
    """Studies that came over each association, for ``close_on_release``."""
    lock: threading.Lock = field(default_factory=threading.Lock)


def handle_echo(event: Event) -> int:
    """C-ECHO: always Success."""
    log.info("echo", calling_ae=event.assoc.requestor.ae_title)
    return SUCCESS


def handle_store(event: Event, receiver: Receiver) -> int:
    """C-STORE: Success only once file and row are on disk.

    Returns
    -------
    int
        0x0000 stored (or known already), 0xA700 no room, 0xA900 not the object that was announced,
        0xC000 cannot be understood, 0x0110 a fault of ours.
    """
    request = cast(C_STORE, event.request)
    incoming = intake.Incoming(
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        transfer_syntax_uid=str(event.context.transfer_syntax),
        calling_ae=str(event.assoc.requestor.ae_title),
        data=event.encoded_dataset(include_meta=False),
    )
    try:
        accepted = intake.accept(
            receiver.store,
            receiver.spool,
            receiver.settings.frontal,
            incoming,
            views_from_pixels=receiver.views_from_pixels,
        )
    except RefusedError as error:
        log.warning("refused", status=f"0x{error.status:04X}", why=str(error), calling_ae=incoming.calling_ae)
        _guarded(intake.refused, receiver.store, incoming, error)
        return error.status
    except Exception:
        log.exception("store failed", calling_ae=incoming.calling_ae)
        return PROCESSING_FAILURE
    with receiver.lock:
        receiver.touched.setdefault(event.assoc, set()).add(accepted.study_instance_uid)
    decision = accepted.decision
    log.info(
        "stored",
        outcome=accepted.outcome,
        study=accepted.study_instance_uid,
        instance=incoming.sop_instance_uid,
        calling_ae=incoming.calling_ae,
        verdict=decision.verdict.value if decision else None,
        view=decision.view if decision else None,
    )
    return SUCCESS


def handle_released(event: Event, receiver: Receiver) -> None:
    """The sender is done: close what it sent, where the site says that this is the end of a study.

    An association that breaks instead says nothing of the kind: there the quiet period decides.
    """
    with receiver.lock:
        studies = receiver.touched.pop(event.assoc, set())
    if receiver.settings.study.close_on_release:
        _guarded(_close, receiver.store, studies)


def handle_rejected(event: Event, receiver: Receiver) -> None:
    """Say which line of the configuration would have let the caller in."""
    request = cast(A_ASSOCIATE, event.assoc.requestor.primitive)
    calling, called = str(request.calling_ae_title).strip(), str(request.called_ae_title).strip()
    ours = receiver.settings.receive
    if called != ours.ae_title:
        remedy = f"it called {called}, this node is {ours.ae_title} (receive.ae_title)"
    elif ours.allowed_calling_ae and calling not in ours.allowed_calling_ae:
        remedy = f'add "{calling}" to receive.allowed_calling_ae'
    else:
        remedy = "too many associations at once; it will try again"
    log.warning("association refused", calling_ae=calling, remedy=remedy)
    _guarded(_record_refusal, receiver.store, calling, called, remedy)


def start(
    settings: Settings, store: Store, spool: Spool, *, views_from_pixels: bool = False
) -> ThreadedAssociationServer:
    """Listen in threads of this process.

    Parameters
    ----------
    views_from_pixels
        As ``intake.accept`` takes it.

    Returns
    -------
    ThreadedAssociationServer
        Listening; :func:`drain` stops it.

    Raises
    ------
    ConfigError
        When the address cannot be bound.
    """
    # Any storage class, private ones too, in the first transfer syntax that its sender offers: objects are
    # kept as they come, and a study with an odd object must not fail as a whole.
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    _config.LOG_HANDLER_LEVEL = "none"
    receive = settings.receive
    ae = AE(ae_title=receive.ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = MAXIMUM_PDU
    ae.maximum_associations = 32
    ae.require_called_aet = True
    ae.require_calling_aet = list(receive.allowed_calling_ae)
    ae.add_supported_context(VERIFICATION)
    receiver = Receiver(settings, store, spool, views_from_pixels)
    handlers: list[Any] = [
        (evt.EVT_C_ECHO, handle_echo),
        (evt.EVT_C_STORE, handle_store, [receiver]),
        (evt.EVT_RELEASED, handle_released, [receiver]),
        (evt.EVT_REJECTED, handle_rejected, [receiver]),
        commitment_scu.listener(ae, store),
    ]
    try:
        server = ae.start_server((receive.host, receive.port), block=False, evt_handlers=handlers)
    except OSError as error:
        raise ConfigError(
            f"receive.host, receive.port: cannot listen on {receive.host}:{receive.port} ({error.strerror}); "
            "choose another or stop what listens there"
        ) from error
    return cast(ThreadedAssociationServer, server)


def drain(server: ThreadedAssociationServer, seconds: float) -> None:
    """Take no more associations, let the open ones end, abort what is left after `seconds`."""
    server.shutdown()
    deadline = monotonic() + seconds
    while server.ae.active_associations and monotonic() < deadline:
        sleep(0.05)
    server.ae.shutdown()


def _close(store: Store, studies: set[str]) -> None:
    with store.begin() as db:
        for study in db.scalars(select(Study).where(Study.study_instance_uid.in_(studies))):
            progress.close_study(db, study, "the sender released its association")


def _record_refusal(store: Store, calling: str, called: str, remedy: str) -> None:
    with store.begin() as db:
        trail.record(db, "association.refused", calling_ae=calling, called_ae=called, remedy=remedy)


def _guarded(action: Callable[..., None], *arguments: Any) -> None:
    """Run a step whose failure must not reach the association."""
    try:
        action(*arguments)
    except Exception:
        log.exception("could not be recorded")

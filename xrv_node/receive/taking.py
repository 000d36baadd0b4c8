"""One object of a peer, from its bytes to the status that it is answered: what C-STORE and STOW-RS share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import structlog
from sqlalchemy import select

from xrv_node import reasons
from xrv_node.db import progress
from xrv_node.db.store import Store, is_busy
from xrv_node.db.tables import Study
from xrv_node.errors import RefusedError
from xrv_node.network.wire import BrokenOffError
from xrv_node.reasons import Reason
from xrv_node.receive import intake
from xrv_node.receive.instance_rows import Accepted, Incoming
from xrv_node.receive.peer_limits import neighbourhood
from xrv_node.receive.receiver import Rooms, guarded
from xrv_node.receive.statuses import PROCESSING_FAILURE, SUCCESS

log = structlog.get_logger("receive")


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an object."""

    status: int
    """0x0000 stored (or known already), 0x0122 of a class that is not taken, 0xA700 no room, 0xA900 not the
    object that was announced, 0xC000 cannot be understood, 0x0110 a fault of ours."""
    why: Reason | None = None
    """Of a refusal."""
    accepted: Accepted | None = None
    """Of what is stored."""


def take(
    rooms: Rooms,
    incoming: Incoming,
    address: str,
    *,
    study: str | None = None,
    patient_id: str | None = None,
) -> Taken:
    """Take one object, and tell log and trail of it. Stored means: file and row are on disk.

    Parameters
    ----------
    address
        The peer's.
    study
        The Study Instance UID that it has to have; None: any.
    patient_id
        The same of Patient ID.

    Raises
    ------
    BrokenOffError
        When the connection ends in the middle of the object; nothing of it is kept.
    """
    receive = rooms.settings.receive
    try:
        accepted = intake.accept(
            rooms.store,
            rooms.spool,
            rooms.settings.frontal,
            incoming,
            views_from_pixels=rooms.views_from_pixels,
            max_bytes=receive.max_object_mb << 20,
            gate=rooms.gate,
            classes=intake.classes(receive),
            priorities=rooms.settings.priority,
            study=study,
            patient_id=patient_id,
        )
    except BrokenOffError:
        raise
    except RefusedError as error:
        return refused(rooms, incoming, error, address)
    except Exception:
        log.exception("store failed", calling_ae=incoming.calling_ae)
        return Taken(PROCESSING_FAILURE)
    _log_stored(accepted, incoming)
    return Taken(SUCCESS, accepted=accepted)


def refused(rooms: Rooms, incoming: Incoming, error: RefusedError, address: str) -> Taken:
    """Put it on record that an object is not taken."""
    told = False
    if not is_busy(error.__cause__):  # else the peer would wait as long again for its answer
        near = neighbourhood(address)
        told = guarded(intake.refused, rooms.repeats, incoming, error, near) is False
    if not told:
        log.warning("refused", status=f"0x{error.status:04X}", why=str(error), calling_ae=incoming.calling_ae)
    return Taken(error.status, reasons.of(error))


def close(rooms: Rooms, studies: Collection[str]) -> None:
    """Close what a peer has sent, where it has said that there is no more (``study.close_on_release``)."""
    if studies and rooms.settings.study.close_on_release:
        guarded(_close, rooms.store, studies)


def _close(store: Store, studies: Collection[str]) -> None:
    with store.begin() as db:
        for study in db.scalars(select(Study).where(Study.study_instance_uid.in_(studies))):
            progress.close_study(db, study, Reason("association-released"))


def _log_stored(accepted: Accepted, incoming: Incoming) -> None:
    if accepted.outcome == "conflict":
        log.warning(
            "other content under a SOP Instance UID that came before: kept, told in the report",
            study=accepted.study_instance_uid,
            instance=incoming.sop_instance_uid,
            remedy="of one UID the first radiograph is analysed; corrected ones need UIDs of their own",
        )
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

"""The trail as audit messages of PS3.15 A.5, the form that hospitals' audit repositories take (IHE ATNA).

One message an event that A.5.3 has a message for:

==========================  =================================================
instance.received,          DICOM Instances Transferred (A.5.3.7), from the sender to this node
.conflict, .duplicate,
.own_result
result.delivered            the same, from this node to the destination; to a folder: Data Export (A.5.3.5)
association.refused         Security Alert (A.5.3.11), Node Authentication
configuration.changed,      Security Alert, Software Configuration
models.changed
user.added, .changed,       Security Alert, User Security Attributes Changed
.removed; token.added,
.revoked
user.signed_in, .refused,   User Authentication (A.5.3.13)
.signed_out
study.seen                  DICOM Instances Accessed (A.5.3.6)
study.fetched               DICOM Instances Transferred, from this node to whoever asked
studies.searched            Query (A.5.3.10), without its keys, which the trail does not hold
study.purged                DICOM Study Deleted (A.5.3.8)
study.exported              Data Export (A.5.3.5), by the person who did it
node.started, .stopped      Application Activity (A.5.3.1)
==========================  =================================================

The others, of what the node does within itself, have none. Nor has ``instance.refused``, which may be of no
study, and Begin Transferring (A.5.3.3): the trail knows of a transfer when it is done.

A.5.3.7 wants the patient in a message. The trail holds none, so that it may be kept for years and handed on;
whoever needs the patient asks for it, and it is read from the spool while the images are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node import reasons
from xrv_node.attributes import text
from xrv_node.audit.message import MINOR_FAILURE, SUCCESS, AuditedStudy, AuditMessage, Code, Participant, xml
from xrv_node.db.queries import Row
from xrv_node.db.rows import EventRow
from xrv_node.db.tables import Instance, ResultRow, Study
from xrv_node.errors import ImageError
from xrv_node.radiograph.header import read_header
from xrv_node.settings import Settings
from xrv_node.settings.destinations import DimseDestination, FolderDestination
from xrv_node.spool import Spool

APPLICATION_ACTIVITY: Code = ("110100", "Application Activity")
STUDY_DELETED: Code = ("110105", "DICOM Study Deleted")
INSTANCES_TRANSFERRED: Code = ("110104", "DICOM Instances Transferred")
EXPORT: Code = ("110106", "Export")
INSTANCES_ACCESSED: Code = ("110103", "DICOM Instances Accessed")
QUERY: Code = ("110112", "Query")
USER_AUTHENTICATION: Code = ("110114", "User Authentication")
SECURITY_ALERT: Code = ("110113", "Security Alert")
APPLICATION_START: Code = ("110120", "Application Start")
APPLICATION_STOP: Code = ("110121", "Application Stop")
LOGIN: Code = ("110122", "Login")
LOGOUT: Code = ("110123", "Logout")
NODE_AUTHENTICATION: Code = ("110126", "Node Authentication")
SOFTWARE_CONFIGURATION: Code = ("110131", "Software Configuration")
USER_CHANGED: Code = ("110137", "User Security Attributes Changed")
APPLICATION: Code = ("110150", "Application")
APPLICATION_LAUNCHER: Code = ("110151", "Application Launcher")
DESTINATION: Code = ("110152", "Destination Role ID")
SOURCE: Code = ("110153", "Source Role ID")
DESTINATION_MEDIA: Code = ("110154", "Destination Media")


@dataclass(frozen=True, slots=True)
class Written:
    """An audit message, and what its envelope needs."""

    at: str
    """When the event happened: ISO 8601, UTC."""
    alert: bool
    """Whether something was not as it should be."""
    xml: str


@dataclass(frozen=True, slots=True)
class _Node:
    """Who writes the messages."""

    settings: Settings
    db: Session
    spool: Spool | None
    """Where patients are read; None leaves them out."""
    patients: dict[str, tuple[str, str] | None] = field(default_factory=dict)
    """By Study Instance UID: the last one read."""

    def ourselves(self, *roles: Code, requestor: bool = False) -> Participant:
        return Participant(self.settings.node.name, roles, self.settings.receive.ae_title, requestor)


def messages(
    db: Session, settings: Settings, events: Iterable[EventRow], *, patients_from: Spool | None = None
) -> Iterator[Written]:
    """The messages of those events that have one, in order.

    Parameters
    ----------
    events
        As `queries.events` gives them.
    patients_from
        Read Patient ID and name from the images here; None leaves the patient out.
    """
    node = _Node(settings, db, patients_from)
    for event in events:
        make = _MESSAGES.get(event["event"])
        if make is not None:
            made = make(node, reasons.revived(event["detail"]))
            line = xml(made, event["at"], settings.node.name, _subject(node, event))
            yield Written(event["at"], made.outcome != SUCCESS, line)


def _received(action: str) -> Callable[[_Node, Row], AuditMessage]:
    """`action`: C when the object is new here, R when it was here already (table A.5.3.7-1)."""

    def message(node: _Node, detail: Row) -> AuditMessage:
        sender = str(detail.get("calling_ae") or "unknown")
        source = Participant(sender, (SOURCE,), sender, requestor=True)
        return AuditMessage(INSTANCES_TRANSFERRED, action, (source, node.ourselves(DESTINATION)))

    return message


def _delivered(node: _Node, detail: Row) -> AuditMessage:
    name = str(detail["destination"])
    found = next((d for d in node.settings.destinations if d.name == name), None)
    us = node.ourselves(SOURCE, requestor=True)
    if isinstance(found, FolderDestination):
        folder = Participant(found.path.as_uri(), (DESTINATION, DESTINATION_MEDIA), media=True)
        return AuditMessage(EXPORT, "R", (us, folder))
    ae_title = found.ae_title if isinstance(found, DimseDestination) else None
    peer = Participant(name, (DESTINATION,), ae_title)
    # R: whether the receiver had them before is not ours to know (table A.5.3.7-1).
    return AuditMessage(INSTANCES_TRANSFERRED, "R", (us, peer), says=str(detail.get("remark") or ""))


def _refused(node: _Node, detail: Row) -> AuditMessage:
    caller = str(detail.get("calling_ae") or "unknown")
    who = (node.ourselves(), Participant(caller, ae_title=caller))
    says = str(detail.get("remedy") or "") + (f" ({again})" if (again := _again(detail)) else "")
    return AuditMessage(SECURITY_ALERT, "E", who, (NODE_AUTHENTICATION,), MINOR_FAILURE, says)


def _changed(node: _Node, detail: Row) -> AuditMessage:
    """Success stands for an alert that only informs (A.5.3.11)."""
    names = detail.get("changed") or detail.get("models") or ()
    says = ", ".join(sorted(names.values() if isinstance(names, dict) else names))
    return AuditMessage(
        SECURITY_ALERT, "E", (node.ourselves(), *_person(detail)), (SOFTWARE_CONFIGURATION,), says=says
    )


def _purged(node: _Node, detail: Row) -> AuditMessage:
    person = _person(detail)
    who = (node.ourselves(requestor=not person), *person)
    return AuditMessage(STUDY_DELETED, "D", who, says=str(detail.get("what") or ""))


def _exported(node: _Node, detail: Row) -> AuditMessage:
    """The medium is a folder that the trail does not name: people name folders after patients."""
    folder = Participant("folder", (DESTINATION, DESTINATION_MEDIA), media=True)
    who = (node.ourselves(SOURCE), *_person(detail), folder)
    how = "de-identified" if detail.get("deidentified") else "identified"
    return AuditMessage(
        EXPORT, "R", who, says=f"{detail.get('images')} images, {detail.get('results')} results, {how}"
    )


def _started(node: _Node, detail: Row) -> AuditMessage:
    who = (node.ourselves(APPLICATION), *_person(detail, APPLICATION_LAUNCHER))
    return AuditMessage(APPLICATION_ACTIVITY, "E", who, (APPLICATION_START,))


def _stopped(node: _Node, detail: Row) -> AuditMessage:
    outcome = SUCCESS if detail.get("clean", True) else MINOR_FAILURE
    return AuditMessage(
        APPLICATION_ACTIVITY, "E", (node.ourselves(APPLICATION),), (APPLICATION_STOP,), outcome
    )


def _account(node: _Node, detail: Row) -> AuditMessage:
    says = " ".join(str(detail[key]) for key in ("name", "what", "role") if detail.get(key))
    who = (node.ourselves(), *_person(detail))
    return AuditMessage(SECURITY_ALERT, "E", who, (USER_CHANGED,), says=says)


def _signs(how: Code, outcome: str = SUCCESS) -> Callable[[_Node, Row], AuditMessage]:
    def message(node: _Node, detail: Row) -> AuditMessage:
        where = str(detail.get("address") or "")
        name = str(detail.get("name") or where or "unknown")
        who = (Participant(name, requestor=True, address=where), node.ourselves())
        return AuditMessage(USER_AUTHENTICATION, "E", who, (how,), outcome, _again(detail))

    return message


def _shown(event: Code, action: str) -> Callable[[_Node, Row], AuditMessage]:
    def message(node: _Node, detail: Row) -> AuditMessage:
        where = str(detail.get("address") or "")
        asks, us = (SOURCE, DESTINATION) if event == QUERY else (DESTINATION, SOURCE)
        roles = ((), ()) if event == INSTANCES_ACCESSED else ((asks,), (us,))
        person = Participant(str(detail["by"]), roles[0], requestor=True, address=where)
        return AuditMessage(event, action, (person, node.ourselves(*roles[1])))

    return message


def _again(detail: Row) -> str:
    """How often more, of an event that stands for several."""
    return f"{detail['repeated']} times more since {detail['since']}" if "repeated" in detail else ""


def _person(detail: Row, *roles: Code) -> tuple[Participant, ...]:
    """Who asked for it, where the trail has that."""
    return (Participant(str(detail["by"]), roles, requestor=True),) if "by" in detail else ()


_MESSAGES: dict[str, Callable[[_Node, Row], AuditMessage]] = {
    "instance.received": _received("C"),
    "instance.conflict": _received("C"),
    "instance.duplicate": _received("R"),
    "instance.own_result": _received("R"),
    "result.delivered": _delivered,
    "association.refused": _refused,
    "configuration.changed": _changed,
    "models.changed": _changed,
    **dict.fromkeys(("user.added", "user.changed", "user.removed", "token.added", "token.revoked"), _account),
    "user.signed_in": _signs(LOGIN),
    "user.refused": _signs(LOGIN, MINOR_FAILURE),
    "user.signed_out": _signs(LOGOUT),
    "study.seen": _shown(INSTANCES_ACCESSED, "R"),
    "study.fetched": _shown(INSTANCES_TRANSFERRED, "R"),
    "studies.searched": _shown(QUERY, "E"),
    "study.purged": _purged,
    "study.exported": _exported,
    "node.started": _started,
    "node.stopped": _stopped,
}


def _subject(node: _Node, event: EventRow) -> AuditedStudy | None:
    if not event["study"]:
        return None
    instance = event["instance"]
    return AuditedStudy(
        event["study"], instance, _sop_class(node.db, instance), _patient_of(node, event["study"])
    )


def _sop_class(db: Session, instance: str | None) -> str | None:
    columns: Iterable[Any] = (Instance, ResultRow)
    for table in columns:
        query = select(table.sop_class_uid).where(table.sop_instance_uid == instance).limit(1)
        if found := db.scalar(query):
            return str(found)
    return None


def _patient_of(node: _Node, study: str) -> tuple[str, str] | None:
    """Patient ID and name of a study; None where they are not wanted, not there or empty."""
    if node.spool is None:
        return None
    if study not in node.patients:
        node.patients.clear()  # events of a study lie together: one is enough
        node.patients[study] = _read(node.db, node.spool, study)
    return node.patients[study]


def _read(db: Session, spool: Spool, study: str) -> tuple[str, str] | None:
    paths = select(Instance.path).join(Study).where(Study.study_instance_uid == study)
    for path in db.scalars(paths):
        try:
            header = read_header(spool.absolute(path))
        except (ImageError, OSError):
            continue
        if identity := text(header, "PatientID"):
            return identity, text(header, "PatientName")
    return None

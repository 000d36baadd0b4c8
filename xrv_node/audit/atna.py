"""The trail as audit messages of PS3.15 A.5, the form that hospitals' audit repositories take (IHE ATNA).

One message an event that A.5.3 has a message for:

==========================  =================================================
instance.received,          DICOM Instances Transferred (A.5.3.7), from the sender to this node
.conflict, .duplicate,
.own_result
result.delivered            the same, from this node to the destination; to a folder: Data Export (A.5.3.5)
association.refused         Security Alert (A.5.3.11), Node Authentication
node.started, .stopped      Application Activity (A.5.3.1)
==========================  =================================================

The others, of what the node does within itself, have none. Nor has ``instance.refused``, which may be of no
study, and Begin Transferring (A.5.3.3): the trail knows of a transfer when it is done.

A.5.3.7 wants the patient in a message. The trail holds none, so that it may be kept for years and handed on;
whoever needs the patient asks for it, and it is read from the spool while the images are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from sqlalchemy import select
from sqlalchemy.orm import Session

from xrv_node.attributes import text
from xrv_node.audit.queries import Row, events
from xrv_node.audit.tables import Instance, ResultRow, Study
from xrv_node.errors import ImageError
from xrv_node.radiograph.header import read_header
from xrv_node.receive.spool import Spool
from xrv_node.settings import Settings

Code = tuple[str, str]
"""Value and meaning of a code of the DICOM controlled terminology (PS3.16 annex D)."""

APPLICATION_ACTIVITY: Code = ("110100", "Application Activity")
INSTANCES_TRANSFERRED: Code = ("110104", "DICOM Instances Transferred")
EXPORT: Code = ("110106", "Export")
SECURITY_ALERT: Code = ("110113", "Security Alert")
APPLICATION_START: Code = ("110120", "Application Start")
APPLICATION_STOP: Code = ("110121", "Application Stop")
NODE_AUTHENTICATION: Code = ("110126", "Node Authentication")
APPLICATION: Code = ("110150", "Application")
DESTINATION: Code = ("110152", "Destination Role ID")
SOURCE: Code = ("110153", "Source Role ID")
DESTINATION_MEDIA: Code = ("110154", "Destination Media")
STUDY_UID: Code = ("110180", "Study Instance UID")
URI: Code = ("110037", "URI")

PATIENT_NUMBER = "2"
"""Participant Object ID Type Code of RFC 3881 for a Patient ID (A.5.1.2.4)."""

SUCCESS, MINOR_FAILURE = "0", "4"
"""Event Outcome Indicator (A.5.1)."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold (its section 2.2)."""


@dataclass(frozen=True, slots=True)
class Participant:
    """Who took part."""

    user: str
    roles: tuple[Code, ...] = ()
    ae_title: str | None = None
    requestor: bool = False
    media: bool = False
    """Whether it is a place that is not an application entity."""


@dataclass(frozen=True, slots=True)
class Message:
    """What makes one message."""

    event: Code
    action: str
    """Event Action Code: C, R, U, D or E."""
    participants: tuple[Participant, ...]
    types: tuple[Code, ...] = ()
    outcome: str = SUCCESS
    says: str = ""


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
    db: Session, settings: Settings, *, study: str | None = None, patients_from: Spool | None = None
) -> Iterator[str]:
    """Each event of the trail that has a message, as XML in a line, in order.

    Parameters
    ----------
    study
        Only of this Study Instance UID.
    patients_from
        Read Patient ID and name from the images here; None leaves the patient out.
    """
    node = _Node(settings, db, patients_from)
    for event in events(db, study=study):
        made = _MESSAGES.get(event["event"])
        if made is not None:
            yield tostring(_xml(node, event, made(node, event["detail"])), encoding="unicode")


def _received(action: str) -> Callable[[_Node, Row], Message]:
    """`action`: C when the object is new here, R when it was here already (table A.5.3.7-1)."""

    def message(node: _Node, detail: Row) -> Message:
        sender = str(detail.get("calling_ae") or "unknown")
        source = Participant(sender, (SOURCE,), sender, requestor=True)
        return Message(INSTANCES_TRANSFERRED, action, (source, node.ourselves(DESTINATION)))

    return message


def _delivered(node: _Node, detail: Row) -> Message:
    name = str(detail["destination"])
    found = next((d for d in node.settings.destinations if d.name == name), None)
    us = node.ourselves(SOURCE, requestor=True)
    if found is not None and found.path is not None:
        folder = Participant(found.path.as_uri(), (DESTINATION, DESTINATION_MEDIA), media=True)
        return Message(EXPORT, "R", (us, folder))
    peer = Participant(name, (DESTINATION,), found.ae_title if found else None)
    # R: whether the receiver had them before is not ours to know (table A.5.3.7-1).
    return Message(INSTANCES_TRANSFERRED, "R", (us, peer), says=str(detail.get("remark") or ""))


def _refused(node: _Node, detail: Row) -> Message:
    caller = str(detail.get("calling_ae") or "unknown")
    who = (node.ourselves(), Participant(caller, ae_title=caller))
    return Message(
        SECURITY_ALERT, "E", who, (NODE_AUTHENTICATION,), MINOR_FAILURE, str(detail.get("remedy") or "")
    )


def _started(node: _Node, detail: Row) -> Message:
    return Message(APPLICATION_ACTIVITY, "E", (node.ourselves(APPLICATION),), (APPLICATION_START,))


def _stopped(node: _Node, detail: Row) -> Message:
    outcome = SUCCESS if detail.get("clean", True) else MINOR_FAILURE
    return Message(APPLICATION_ACTIVITY, "E", (node.ourselves(APPLICATION),), (APPLICATION_STOP,), outcome)


_MESSAGES: dict[str, Callable[[_Node, Row], Message]] = {
    "instance.received": _received("C"),
    "instance.conflict": _received("C"),
    "instance.duplicate": _received("R"),
    "instance.own_result": _received("R"),
    "result.delivered": _delivered,
    "association.refused": _refused,
    "node.started": _started,
    "node.stopped": _stopped,
}


def _xml(node: _Node, event: Row, message: Message) -> Element:
    """The message by the schema of A.5.1; the order of its elements is the schema's."""
    root = Element("AuditMessage")
    about = SubElement(
        root,
        "EventIdentification",
        EventActionCode=message.action,
        EventDateTime=event["at"],
        EventOutcomeIndicator=message.outcome,
    )
    _coded(about, "EventID", message.event)
    for code in message.types:
        _coded(about, "EventTypeCode", code)
    if message.says:
        SubElement(about, "EventOutcomeDescription").text = _clean(message.says)
    for participant in message.participants:
        _participant(root, participant)
    source = SubElement(root, "AuditSourceIdentification", AuditSourceID=_clean(node.settings.node.name))
    SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})  # an application server
    if event["study"]:
        _study(root, event["study"], event["instance"], _sop_class(node.db, event["instance"]))
        _patient(root, _of(node, event["study"]))
    return root


def _participant(root: Element, participant: Participant) -> None:
    one = SubElement(root, "ActiveParticipant", UserID=_clean(participant.user))
    if participant.ae_title:
        one.set("AlternativeUserID", _clean(f"AETITLES={participant.ae_title}"))  # A.5.2.2
    one.set("UserIsRequestor", str(participant.requestor).lower())
    for role in participant.roles:
        _coded(one, "RoleIDCode", role)
    if participant.media:
        _coded(SubElement(one, "MediaIdentifier"), "MediaType", URI)


def _study(root: Element, study: str, instance: str | None, sop_class: str | None) -> None:
    found = _object(root, study, kind="2", role="3")  # system object, report: A.5.3.7's for a study
    _coded(found, "ParticipantObjectIDTypeCode", STUDY_UID)
    SubElement(found, "ParticipantObjectName").text = "Study"
    if sop_class and instance:
        description = SubElement(found, "ParticipantObjectDescription")
        objects = SubElement(description, "SOPClass", UID=sop_class, NumberOfInstances="1")
        SubElement(objects, "Instance", UID=instance)


def _patient(root: Element, patient: tuple[str, str] | None) -> None:
    if patient is None:
        return
    found = _object(root, patient[0], kind="1", role="1")
    coded = {"csd-code": PATIENT_NUMBER, "codeSystemName": "RFC-3881", "originalText": "Patient Number"}
    SubElement(found, "ParticipantObjectIDTypeCode", coded)
    SubElement(found, "ParticipantObjectName").text = _clean(patient[1])


def _object(root: Element, identity: str, *, kind: str, role: str) -> Element:
    return SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_clean(identity),
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )


def _coded(parent: Element, tag: str, code: Code) -> None:
    value, meaning = code
    SubElement(parent, tag, {"csd-code": value, "codeSystemName": "DCM", "originalText": meaning})


def _clean(value: str) -> str:
    """One line of what XML can hold: an AE title is what a stranger sent."""
    return " ".join(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value).split())


def _sop_class(db: Session, instance: str | None) -> str | None:
    columns: Iterable[Any] = (Instance, ResultRow)
    for table in columns:
        query = select(table.sop_class_uid).where(table.sop_instance_uid == instance).limit(1)
        if found := db.scalar(query):
            return str(found)
    return None


def _of(node: _Node, study: str) -> tuple[str, str] | None:
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

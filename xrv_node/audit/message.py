"""An audit message as XML, by the schema of PS3.15 A.5.1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

Code = tuple[str, str]
"""Value and meaning of a code of the DICOM controlled terminology (PS3.16 annex D)."""

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
    address: str = ""
    """The IP address from where it took part."""


@dataclass(frozen=True, slots=True)
class AuditMessage:
    """What happened, and who took part in it."""

    event: Code
    action: str
    """Event Action Code: C, R, U, D or E."""
    participants: tuple[Participant, ...]
    types: tuple[Code, ...] = ()
    outcome: str = SUCCESS
    says: str = ""


@dataclass(frozen=True, slots=True)
class AuditedStudy:
    """The study that it happened to."""

    study: str
    instance: str | None = None
    sop_class: str | None = None
    patient: tuple[str, str] | None = None
    """Patient ID and name."""


def xml(message: AuditMessage, at: str, source: str, subject: AuditedStudy | None) -> str:
    """Write a message in the order of the schema's elements.

    Parameters
    ----------
    at
        When it happened: ISO 8601 with the offset from UTC.
    source
        The name of the node that tells.

    Returns
    -------
    str
        One line of ASCII, other characters as references, so that a syslog message needs no byte order mark
        (RFC 5424 section 6.4).
    """
    root = Element("AuditMessage")
    about = SubElement(
        root,
        "EventIdentification",
        EventActionCode=message.action,
        EventDateTime=at,
        EventOutcomeIndicator=message.outcome,
    )
    _coded(about, "EventID", message.event)
    for code in message.types:
        _coded(about, "EventTypeCode", code)
    if message.says:
        SubElement(about, "EventOutcomeDescription").text = _clean(message.says)
    for participant in message.participants:
        _participant(root, participant)
    told = SubElement(root, "AuditSourceIdentification", AuditSourceID=_clean(source))
    SubElement(told, "AuditSourceTypeCode", {"csd-code": "4"})  # an application server
    if subject is not None:
        _study(root, subject)
        _patient(root, subject.patient)
    encoded: bytes = tostring(root, encoding="us-ascii", xml_declaration=False)
    return encoded.decode("ascii")


def _participant(root: Element, participant: Participant) -> None:
    one = SubElement(root, "ActiveParticipant", UserID=_clean(participant.user))
    if participant.ae_title:
        one.set("AlternativeUserID", _clean(f"AETITLES={participant.ae_title}"))  # A.5.2.2
    one.set("UserIsRequestor", str(participant.requestor).lower())
    if participant.address:
        one.set("NetworkAccessPointID", _clean(participant.address))
        one.set("NetworkAccessPointTypeCode", "2")  # an IP address (A.5.1)
    for role in participant.roles:
        _coded(one, "RoleIDCode", role)
    if participant.media:
        _coded(SubElement(one, "MediaIdentifier"), "MediaType", URI)


def _study(root: Element, subject: AuditedStudy) -> None:
    found = _object(root, subject.study, kind="2", role="3")  # system object, report: A.5.3.7's for a study
    _coded(found, "ParticipantObjectIDTypeCode", STUDY_UID)
    SubElement(found, "ParticipantObjectName").text = "Study"
    if subject.sop_class and subject.instance:
        description = SubElement(found, "ParticipantObjectDescription")
        objects = SubElement(description, "SOPClass", UID=subject.sop_class, NumberOfInstances="1")
        SubElement(objects, "Instance", UID=subject.instance)


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

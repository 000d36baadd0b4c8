"""Audit messages by the schema of PS3.15 A.5.1 and the tables of A.5.3."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest
from made import SECRET, incoming, radiograph
from pydicom.sr._concepts_dict import concepts
from typer.testing import CliRunner

from xrv_node.audit import atna
from xrv_node.audit import message as form
from xrv_node.cli import app
from xrv_node.db import queries, trail
from xrv_node.db.store import Store
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection, Settings, load
from xrv_node.spool import Spool

CODED = (("csd-code", "codeSystemName", "originalText"), ())
SCHEMA: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "AuditMessage": (
        (),
        (
            "EventIdentification",
            "ActiveParticipant+",
            "AuditSourceIdentification",
            "ParticipantObjectIdentification*",
        ),
    ),
    "EventIdentification": (
        ("EventActionCode", "EventDateTime", "EventOutcomeIndicator"),
        ("EventID", "EventTypeCode*", "EventOutcomeDescription?"),
    ),
    "EventID": CODED,
    "EventTypeCode": CODED,
    "EventOutcomeDescription": ((), ()),
    "ActiveParticipant": (
        (
            *("UserID", "AlternativeUserID?", "UserIsRequestor"),
            *("NetworkAccessPointID?", "NetworkAccessPointTypeCode?"),
        ),
        ("RoleIDCode*", "MediaIdentifier?"),
    ),
    "RoleIDCode": CODED,
    "MediaIdentifier": ((), ("MediaType",)),
    "MediaType": CODED,
    "AuditSourceIdentification": (("AuditSourceID",), ("AuditSourceTypeCode*",)),
    "AuditSourceTypeCode": (("csd-code",), ()),
    "ParticipantObjectIdentification": (
        ("ParticipantObjectID", "ParticipantObjectTypeCode", "ParticipantObjectTypeCodeRole"),
        ("ParticipantObjectIDTypeCode", "ParticipantObjectName", "ParticipantObjectDescription*"),
    ),
    "ParticipantObjectIDTypeCode": CODED,
    "ParticipantObjectName": ((), ()),
    "ParticipantObjectDescription": ((), ("SOPClass*",)),
    "SOPClass": (("UID?", "NumberOfInstances"), ("Instance*",)),
    "Instance": (("UID",), ()),
}
"""Of the RELAX NG schema of A.5.1 what may come here: attributes, and children in order with how many."""

MANY = {"?": (0, 1), "*": (0, 99), "+": (1, 99)}


def check(element: Element) -> None:
    """Assert that an element and all below it are as the schema has them."""
    attributes, children = SCHEMA[element.tag]
    needed = {a for a in attributes if not a.endswith("?")}
    assert needed <= set(element.attrib) <= {a.rstrip("?") for a in attributes}, element.tag
    there = [child.tag for child in element]
    for child in children:
        name = child.rstrip("?*+")
        least, most = MANY.get(child[-1], (1, 1))
        assert least <= there.count(name) <= most, f"{element.tag}/{name}"
    order = [c.rstrip("?*+") for c in children]
    assert there == sorted(there, key=order.index)
    for one in element:
        check(one)


@pytest.fixture
def node(store: Store, spool: Spool, tmp_path: Path) -> Settings:
    """A node whose trail has an event of each kind that there is a message for."""
    for image in (radiograph(1), radiograph(1), radiograph(1, PatientAge="070Y")):
        intake.accept(store, spool, FrontalSection(), incoming(image))
    with store.begin() as db:
        trail.record(db, "configuration.changed", by="anna@host", changed=["receive.port"])
        trail.record(db, "node.started", commissioning=False, name="n", by="anna@host")
        for destination in ("pacs", "out", "gone"):
            trail.record(
                db, "result.delivered", study="1.2.3.1", instance="1.2.3.1.1.1", destination=destination
            )
        trail.record(db, "association.refused", calling_ae='A\x00<&"\x1b', called_ae="X", remedy="add it")
        trail.record(db, "instance.own_result", study="1.2.3.1", instance="1.2.9", calling_ae="PACS")
        trail.record(db, "study.purged", study="1.2.3.1", what="inputs", files=1)
        trail.record(db, "job.started", job=1, kind="analyse")
        trail.record(db, "user.changed", by="anna@host", name="bert", what="role", role="admin")
        where = {"address": "10.0.0.9"}
        trail.record(db, "user.refused", way="password", name="bert", **where)
        trail.record(db, "user.refused", way="token", repeated=7, since="2026-01-01T00:00:00+00:00", **where)
        trail.record(db, "user.signed_in", by="bert", name="bert", role="admin", **where)
        trail.record(db, "studies.searched", by="bert", way="session", **where)
        trail.record(db, "study.seen", study="1.2.3.1", by="bert", way="session", **where)
        trail.record(db, "study.fetched", study="1.2.3.1", by="ohif", way="token", **where)
        trail.record(db, "user.signed_out", by="bert", name="bert", **where)
        trail.record(db, "node.stopped", clean=False)
    file = tmp_path / "node.toml"
    file.write_text(
        f'[node]\ndata_dir = "."\nname = "node-7"\n[database]\nurl = "sqlite:///{tmp_path}/audit.sqlite"\n'
        '[[destinations]]\nname = "pacs"\nkind = "dimse"\nae_title = "ARCHIVE"\nhost = "h"\nport = 104\n'
        '[[destinations]]\nname = "out"\nkind = "folder"\npath = "out"\n'
    )
    return load(file)


def exported(store: Store, settings: Settings, spool: Spool | None = None) -> list[Element]:
    with store.read() as db:
        made = atna.messages(db, settings, queries.events(db), patients_from=spool)
        return [fromstring(m.xml) for m in made]


def attribute(message: Element, path: str, name: str) -> str:
    """An attribute of the first element at a path."""
    return next(message.iterfind(path)).attrib[name]


def event(message: Element) -> str:
    return attribute(message, "EventIdentification/EventID", "csd-code")


def roles(message: Element) -> dict[str, str]:
    """Who took part, by the first role."""
    return {
        role.attrib["originalText"]: who.attrib["UserID"]
        for who in message.iter("ActiveParticipant")
        for role in who.findall("RoleIDCode")[:1]
    }


def users(message: Element) -> dict[str, str]:
    return {p.attrib["UserID"]: p.attrib["UserIsRequestor"] for p in message.iter("ActiveParticipant")}


def test_every_message_is_by_the_schema(store: Store, spool: Spool, node: Settings) -> None:
    messages = exported(store, node) + exported(store, node, spool)
    assert len(messages) == 2 * 20
    for message in messages:
        check(message)
        assert attribute(message, "EventIdentification", "EventActionCode") in set("CRUDE")
        requestors = [p for p in message.iter("ActiveParticipant") if p.attrib["UserIsRequestor"] == "true"]
        assert len(requestors) <= 1  # A.5.2, User Is Requestor


def test_every_code_is_dicoms(store: Store, spool: Spool, node: Settings) -> None:
    meanings = {code: meaning for named in concepts["DCM"].values() for code, (meaning, _) in named.items()}
    used = [e for m in exported(store, node, spool) for e in m.iter() if e.get("codeSystemName") == "DCM"]
    named = (vars(atna) | vars(form)).items()
    ours = {value[0] for name, value in named if name.isupper() and isinstance(value, tuple)}
    assert {e.attrib["csd-code"] for e in used} == ours
    for element in used:
        assert element.attrib["originalText"] == meanings[element.attrib["csd-code"]]


def test_who_sent_and_who_received(store: Store, node: Settings) -> None:
    first, again, other, *_ = exported(store, node)
    assert roles(first) == {"Source Role ID": "PACS", "Destination Role ID": "node-7"}
    actions = [attribute(m, "EventIdentification", "EventActionCode") for m in (first, again, other)]
    assert actions == ["C", "R", "C"]
    (study,) = first.iter("ParticipantObjectIdentification")
    assert study.attrib["ParticipantObjectID"] == "1.2.3.1"
    (sop_class,) = first.iter("SOPClass")
    assert sop_class.attrib["UID"] == radiograph().SOPClassUID
    assert [i.attrib["UID"] for i in sop_class] == ["1.2.3.1.1.1"]


def test_what_was_delivered_where(store: Store, node: Settings) -> None:
    pacs, out, gone, _ = [m for m in exported(store, node) if roles(m).get("Source Role ID") == "node-7"]
    assert (event(pacs), roles(pacs)["Destination Role ID"]) == ("110104", "pacs")
    assert [p.get("AlternativeUserID") for p in pacs.iter("ActiveParticipant")] == [
        "AETITLES=XRVNODE",
        "AETITLES=ARCHIVE",
    ]
    assert event(out) == "110106"
    assert roles(out)["Destination Role ID"].endswith("/out")
    assert roles(gone)["Destination Role ID"] == "gone"  # no longer configured, but it was sent


def test_a_stranger_is_an_alert_whatever_he_calls_himself(store: Store, node: Settings) -> None:
    _, alert, _ = [m for m in exported(store, node) if event(m) == "110113"]
    assert attribute(alert, "EventIdentification/EventTypeCode", "csd-code") == "110126"
    us, stranger = alert.iter("ActiveParticipant")
    assert us.attrib["UserID"] == "node-7"
    assert stranger.attrib["UserID"] == 'A\N{REPLACEMENT CHARACTER}<&"\N{REPLACEMENT CHARACTER}'


def test_a_person_is_named_who_changed_or_started_something(store: Store, node: Settings) -> None:
    changed, started, account = [m for m in exported(store, node) if users(m).get("anna@host") == "true"]
    assert attribute(changed, "EventIdentification/EventTypeCode", "csd-code") == "110131"
    assert attribute(changed, "EventIdentification", "EventOutcomeIndicator") == "0"
    assert changed.findtext("EventIdentification/EventOutcomeDescription") == "receive.port"
    assert attribute(account, "EventIdentification/EventTypeCode", "csd-code") == "110137"
    assert account.findtext("EventIdentification/EventOutcomeDescription") == "bert role admin"
    assert roles(started) == {"Application": "node-7", "Application Launcher": "anna@host"}


def test_who_signed_in_and_who_saw_what(store: Store, node: Settings) -> None:
    wrong, many, came, searched, saw, fetched, left = exported(store, node)[-8:-1]
    kinds = [event(m) for m in (wrong, many, came, searched, saw, fetched, left)]
    assert kinds == ["110114", "110114", "110114", "110112", "110103", "110104", "110114"]
    outcomes = [
        attribute(m, "EventIdentification", "EventOutcomeIndicator") for m in (wrong, many, came, left)
    ]
    assert outcomes == ["4", "4", "0", "0"]
    assert users(wrong) == {"bert": "true", "node-7": "false"}
    assert users(many) == {"10.0.0.9": "true", "node-7": "false"}
    assert "7 times more" in str(many.findtext("EventIdentification/EventOutcomeDescription"))
    assert roles(searched) == {"Source Role ID": "bert", "Destination Role ID": "node-7"}
    assert roles(fetched) == {"Destination Role ID": "ohif", "Source Role ID": "node-7"}
    assert attribute(saw, "ActiveParticipant", "NetworkAccessPointID") == "10.0.0.9"
    for seen in (saw, fetched):
        assert attribute(seen, "ParticipantObjectIdentification", "ParticipantObjectID") == "1.2.3.1"


def test_the_patient_is_there_only_when_asked_for(store: Store, spool: Spool, node: Settings) -> None:
    with store.read() as db:
        assert SECRET not in "".join(m.xml for m in atna.messages(db, node, queries.events(db)))
    first = exported(store, node, spool)[0]
    _, patient = first.iter("ParticipantObjectIdentification")
    assert patient.attrib == {
        "ParticipantObjectID": f"{SECRET}-4711",
        "ParticipantObjectTypeCode": "1",
        "ParticipantObjectTypeCodeRole": "1",
    }
    for path in (spool.root / "spool" / "inputs").rglob("*.dcm"):
        path.write_bytes(b"broken")
    assert len(list(exported(store, node, spool)[0].iter("ParticipantObjectIdentification"))) == 1


def test_the_command_writes_one_message_a_line(store: Store, node: Settings, tmp_path: Path) -> None:
    arguments = ["audit", "export", "--format", "atna", "--config", str(tmp_path / "node.toml")]
    done = CliRunner().invoke(app, arguments)
    lines = done.stdout.splitlines()
    assert (done.exit_code, len(lines)) == (0, 20)
    for line in lines:
        check(fromstring(line))
    assert SECRET in CliRunner().invoke(app, [*arguments, "--with-patient"]).stdout

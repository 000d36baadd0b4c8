"""The trail comes to an audit repository: the envelope, the framing, and every event at least once."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
import structlog
from certificates import Pair, pair
from syslog_server import HEADER, Repository
from test_audit_atna import check

from xrv_node.audit import forwarder as forward
from xrv_node.audit import syslog
from xrv_node.audit.atna import Written
from xrv_node.db import queries, trail
from xrv_node.db.store import Store
from xrv_node.doctor import database
from xrv_node.doctor.diagnosis import Examined, State
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.settings import Settings
from xrv_node.settings.audit import AuditSection
from xrv_node.settings.tls import TlsClientSection

STRANGER = "Ünknown<&"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("ours"), "node")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("theirs"), "repository")


def section(port: int, theirs: Pair, ours: Pair | None = None) -> AuditSection:
    files = {} if ours is None else {"certificate": ours.certificate, "key": ours.key}
    return AuditSection(host="127.0.0.1", port=port, tls=TlsClientSection(ca=theirs.certificate, **files))


def forwarder(store: Store, audit: AuditSection) -> forward.Forwarder:
    return forward.Forwarder(Settings(audit=audit), store, threading.Event())


def happened(store: Store, number: int) -> None:
    """Events with a message and, after each, one without."""
    with store.begin() as db:
        for _ in range(number):
            trail.record(db, "association.refused", calling_ae=STRANGER, remedy="add it")
            trail.record(db, "job.started", job=1)


def sent(store: Store, audit: AuditSection) -> int:
    with store.read() as db:
        return forward.sent(db, audit.repository)


def test_an_envelope_is_as_the_standards_have_it() -> None:
    at = "2026-01-02T03:04:05.678901+00:00"
    for alert, priority in ((False, b"85"), (True, b"84")):
        found = HEADER.fullmatch(syslog.line(Written(at, alert, "<AuditMessage/>")))
        assert found
        assert (found["priority"], found["app"], found["id"]) == (priority, b"xrv-node", b"DICOM+RFC3881")
        assert datetime.fromisoformat(found["at"].decode()) == datetime.fromisoformat(at)
        assert found["message"] == b"<AuditMessage/>"


@pytest.mark.parametrize("manner", ["orderly", "curt"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_trail_arrives_once_and_in_order(
    store: Store, ours: Pair, theirs: Pair, manner: str, version: ssl.TLSVersion
) -> None:
    context = theirs.context(ours)
    context.maximum_version = version
    with Repository(context, manner) as repository:
        audit = section(repository.port, theirs, ours)
        work = forwarder(store, audit)
        happened(store, 3)
        for _ in range(2):
            work.run()
        happened(store, 1)
        work.run()
    assert set(repository.versions) == {version.name.replace("_", ".")}
    assert len(repository.connections) == 2  # nothing new, no connection
    events = []
    for message in repository.messages:
        found = HEADER.fullmatch(message)
        assert found
        root = fromstring(found["message"])
        check(root)
        assert [p.attrib["UserID"] for p in root.iter("ActiveParticipant")][1] == STRANGER
        events.append(root.find("EventIdentification").attrib["EventDateTime"])
    with store.read() as db:
        assert events == [e["at"] for e in queries.events(db, event="association.refused")]
    assert sent(store, audit) == 8


def test_a_repository_that_talks_without_end_is_not_listened_to(
    store: Store, theirs: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog, "WHOLE_SECONDS", 0.5)
    happened(store, 1)
    with Repository(theirs.context(), "talks") as repository:
        audit = section(repository.port, theirs)
        with pytest.raises(DestinationError, match="no answer in time"):
            syslog.send(audit, [b"<85>1 - - - - - - x"])
        forwarder(store, audit).run()
    assert sent(store, audit) == 0  # it is sent again


def test_a_large_trail_goes_in_several_connections(
    store: Store, theirs: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "BATCH", 40)
    happened(store, 50)
    with Repository(theirs.context()) as repository:
        audit = section(repository.port, theirs)
        forwarder(store, audit).run()
    assert (len(repository.connections), len(repository.messages), sent(store, audit)) == (3, 50, 100)


@pytest.mark.parametrize("manner", ["reset", "leaves"])
def test_a_repository_that_breaks_down_gets_it_again(store: Store, theirs: Pair, manner: str) -> None:
    happened(store, 2000)  # more than the buffers hold
    with Repository(theirs.context(), manner) as repository:
        audit = section(repository.port, theirs)
        forwarder(store, audit).run()
    assert sent(store, audit) == 0
    with Repository(theirs.context(), port=audit.port) as repository:
        forwarder(store, audit).run()
    assert (len(repository.messages), sent(store, audit)) == (2000, 4000)


def test_that_it_goes_and_comes_is_one_line_each(store: Store, theirs: Pair) -> None:
    with Repository(theirs.context()) as repository:
        audit = section(repository.port, theirs)
    work = forwarder(store, audit)
    happened(store, 1)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            work.run()
        with store.read() as db:
            assert forward.lag_seconds(db, audit.repository) > 0
        with Repository(theirs.context(), port=audit.port):
            for _ in range(3):
                work.run()
    assert [line["log_level"] for line in logs] == ["warning", "info"]
    assert "is it there, does it speak TLS on audit.port" in logs[0]["why"]
    with store.read() as db:
        assert forward.lag_seconds(db, audit.repository) == 0


def test_another_repository_gets_the_whole_trail(store: Store, theirs: Pair) -> None:
    happened(store, 1)
    for _ in range(2):
        with Repository(theirs.context()) as repository:
            forwarder(store, section(repository.port, theirs)).run()
        assert len(repository.messages) == 1


def test_what_is_wrong_with_tls_is_named(ours: Pair, theirs: Pair, tmp_path: Path) -> None:
    with Repository(theirs.context(ours)) as repository:
        with pytest.raises(DestinationError, match=r"see \[audit.tls\] ca"):
            syslog.send(section(repository.port, ours), ())
        with pytest.raises(DestinationError, match=r"does it trust \[audit.tls\] certificate"):
            syslog.send(section(repository.port, theirs), ())
        missing = TlsClientSection(ca=tmp_path / "none.pem")
        with pytest.raises(ConfigError, match=r"audit.tls.ca: .*none.pem cannot be read"):
            syslog.send(AuditSection(host="127.0.0.1", port=repository.port, tls=missing), ())


def test_udp_sends_a_message_a_datagram(store: Store) -> None:
    happened(store, 2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        audit = AuditSection(host="127.0.0.1", port=listener.getsockname()[1], protocol="udp")
        forwarder(store, audit).run()
        for _ in range(2):
            assert HEADER.fullmatch(listener.recv(65536))
    with pytest.raises(ValueError, match="leave"):
        AuditSection(protocol="udp", tls=TlsClientSection())


def test_the_doctor_looks_at_it(store: Store, theirs: Pair) -> None:
    def looked(audit: AuditSection) -> list[State]:
        return [state for state, *_ in database.repository(Examined(Settings(audit=audit), store, False))]

    with Repository(theirs.context()) as repository:
        audit = section(repository.port, theirs)
        assert looked(audit) == [State.OK]
    assert looked(audit) == [State.FAIL]
    assert looked(AuditSection(host="127.0.0.1", protocol="udp")) == [State.WARN]
    assert looked(AuditSection()) == [State.OK]

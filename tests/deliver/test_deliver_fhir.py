"""FHIR R4 to a server that keeps to the standard and to one that does not: what each answer makes of a delivery."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from certificates import pair
from deliver_cases import deliver, states
from deliver_peer import only
from pydicom import dcmread

pytest.importorskip("fhir.resources", reason="the extra fhir is not installed")

from fhir_peer import outcome, server

from xrv_node.db.store import Store
from xrv_node.db.tables import ResultRow
from xrv_node.deliver.attempt import Outcome
from xrv_node.deliver.fhir import FhirSender
from xrv_node.doctor import configuration
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.hl7 import fhir
from xrv_node.settings import Settings
from xrv_node.settings.destinations import FhirDestination
from xrv_node.settings.tls import TlsClientSection
from xrv_node.spool import Spool
from xrv_node.values import StoredResult


def sender(port: int, scheme: str = "http", **keys: Any) -> FhirSender:
    fields = {"name": "ehr", "url": f"{scheme}://127.0.0.1:{port}/fhir/", "timeout_seconds": 20}
    return FhirSender(FhirDestination(**(fields | keys)), "XRVNODE")


def test_a_report_that_is_sent_twice_is_there_once(stored: StoredResult) -> None:
    with server() as peer:
        ehr = sender(peer.port)
        assert [a.outcome for a in ehr.send([stored])] == [Outcome.DELIVERED]
        held = json.dumps(peer.held)
        assert [a.outcome for a in ehr.send([stored])] == [Outcome.DELIVERED]
        ehr.close()
        assert json.dumps(peer.held) == held
        assert sum(key.startswith("DiagnosticReport?") for key in peer.held) == 1
        assert f"DiagnosticReport?urn:dicom:uid|urn:oid:{stored.sop_instance_uid}" in peer.held
        patient = str(dcmread(stored.path).PatientID)
        assert not [path for _, path, _, _ in peer.requests if patient in path]


def test_a_server_that_is_to_find_the_patient_refuses_the_report_of_another(stored: StoredResult) -> None:
    patient = f"urn:oid:1.2|{dcmread(stored.path).PatientID}"
    keys = {"patient_system": "urn:oid:1.2", "find_patient": True}
    with server() as peer:
        attempt = only(sender(peer.port, **keys).send([stored]))
        assert (attempt.outcome, str(attempt.reason)) == (
            Outcome.REJECTED,
            "the server refuses the report (HTTP 412 Precondition Failed; error not-found "
            "Bundle.entry[0].resource.subject)",
        )
        peer.patients = (patient,)
        assert only(sender(peer.port, **keys).send([stored])).outcome == Outcome.DELIVERED


@pytest.mark.parametrize(
    ("code", "body", "outcome", "words"),
    [
        (400, outcome("invalid", "DOE"), Outcome.REJECTED,
         "the server refuses the report (HTTP 400 Bad Request; error invalid)"),
        (422, outcome("required", "DOE", "DiagnosticReport.code"), Outcome.REJECTED,
         "the server refuses the report (HTTP 422 Unprocessable Entity; error required DiagnosticReport.code)"),
        (404, b"<html>", Outcome.REJECTED, "there is no FHIR server at `url` (HTTP 404 Not Found)"),
        (404, outcome("not-found"), Outcome.REJECTED,
         "the server refuses the report (HTTP 404 Not Found; error not-found)"),
        (401, b"", Outcome.REJECTED, "it does not accept our token or password (HTTP 401 Unauthorized)"),
        (403, outcome("forbidden"), Outcome.REJECTED,
         "our token or user may not store there (HTTP 403 Forbidden; error forbidden)"),
        (415, b"", Outcome.REJECTED, "it does not take FHIR as JSON (HTTP 415 Unsupported Media Type)"),
        (429, b"", Outcome.TRANSIENT, "too many requests (HTTP 429 Too Many Requests)"),
        (500, outcome("exception", "DOE"), Outcome.TRANSIENT,
         "HTTP 500 Internal Server Error; error exception"),
        (503, b"", Outcome.TRANSIENT, "HTTP 503 Service Unavailable"),
        (200, b"<html>Please log in", Outcome.TRANSIENT,
         "its answer is none to a transaction: is it a FHIR server?"),
        (302, b"", Outcome.REJECTED, "HTTP 302 Found"),
    ],
)  # fmt: skip
def test_what_an_answer_means(
    stored: StoredResult, code: int, body: bytes, outcome: Outcome, words: str
) -> None:
    with server(code=code, body=body) as peer:
        attempt = only(sender(peer.port).send([stored]))
        assert (attempt.outcome, str(attempt.reason)) == (outcome, words)
        assert len(peer.requests) == 1  # the queue tries again


@pytest.mark.parametrize(
    ("code", "state"), [(None, ("delivered", None, "done")), (422, ("rejected", None, "parked")),
                        (503, ("waiting", None, "queued"))],
)  # fmt: skip
def test_the_outbox_records_what_was_said(
    store: Store,
    spool: Spool,
    queued: tuple[int, ...],
    stored: StoredResult,
    code: int | None,
    state: tuple[Any, ...],
) -> None:
    data = stored.path.read_bytes()
    with store.begin() as db:
        for row in db.query(ResultRow):
            spool.absolute(row.path).write_bytes(data)
            row.kind, row.sha256 = "report", sha256(data).hexdigest()
    with server(code=code) as peer:
        ehr = sender(peer.port)
        deliver(store, spool, ehr)
        ehr.close()
    assert states(store) == [state] * 2


def test_it_logs_in_as_web_does(stored: StoredResult, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("Kingfisher")
    with server() as peer:
        keys = {"token_file": tmp_path / "token"}
        assert only(sender(peer.port, **keys).send([stored])).outcome == Outcome.DELIVERED
        assert peer.requests[0][2]["Authorization"] == "Bearer Kingfisher"
        (tmp_path / "token").unlink()
        with pytest.raises(ConfigError, match=r"destinations\.ehr\.token_file"):
            sender(peer.port, **keys)


def test_a_report_goes_over_tls(stored: StoredResult, tmp_path: Path) -> None:
    ours, theirs = pair(tmp_path, "node"), pair(tmp_path, "ehr")
    with server(theirs.context(ours)) as peer:
        files = TlsClientSection(ca=theirs.certificate, certificate=ours.certificate, key=ours.key)
        assert only(sender(peer.port, "https", tls=files).send([stored])).outcome == Outcome.DELIVERED
        wrong = sender(peer.port, "https", tls=TlsClientSection(ca=ours.certificate))
        attempt = only(wrong.send([stored]))
        assert (attempt.outcome, "no TLS" in str(attempt.reason)) == (Outcome.TRANSIENT, True)


def test_check_asks_what_the_server_is(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("Kingfisher")
    with server() as peer:
        assert sender(peer.port).check() == ["FHIR 4.0.1: it says what it is; no report was sent"]
        peer.version, peer.interactions = "4.3.0", ()
        assert sender(peer.port, token_file=tmp_path / "token").check() == [
            "FHIR 4.3.0: it says what it is; no report was sent",
            "caution: it does not say that it takes transactions, which reports go as",
            "caution: token or password go over the network in the clear; use https",
        ]
        peer.version = "5.0.0"
        with pytest.raises(DestinationError, match=r"it speaks FHIR 5\.0\.0; reports go as R4"):
            sender(peer.port).check()
        peer.body = b"<html>"
        with pytest.raises(DestinationError, match="there is no FHIR server at `url`"):
            sender(peer.port).check()
        peer.code = 401
        with pytest.raises(DestinationError, match="token or password"):
            sender(peer.port).check()
        assert {command for command, *_ in peer.requests} == {"GET"}


def test_who_is_away_is_noticed_and_who_is_back(stored: StoredResult) -> None:
    with server(seconds=30) as peer:
        ehr = sender(peer.port, timeout_seconds=0.2)
        attempt = only(ehr.send([stored]))
        assert (attempt.outcome, str(attempt.reason)) == (
            Outcome.TRANSIENT, "no answer in time; see `timeout_seconds`"
        )  # fmt: skip
        assert not ehr.answers()
        peer.seconds = 0
        ehr = sender(peer.port)
        for code, there in ((502, False), (503, False), (401, True), (None, True)):
            peer.code = code
            assert ehr.answers() == there
        assert only(ehr.send([stored])).outcome == Outcome.DELIVERED
        ehr.close()


def test_a_file_that_is_no_report_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "r.dcm").write_bytes(b"nothing")
    attempt = only(sender(1).send([StoredResult("report", "1.2", "1.2.3", tmp_path / "r.dcm")]))
    assert (attempt.outcome, str(attempt.reason)) == (Outcome.TRANSIENT, "our own file: InvalidDicomError")


@pytest.mark.parametrize(
    ("keyword", "outcome"),
    [
        ("ContentSequence", Outcome.TRANSIENT),
        ("PatientName", Outcome.DELIVERED),
        ("Manufacturer", Outcome.DELIVERED),
    ],
)
def test_a_report_that_lacks_something_stops_nothing(
    stored: StoredResult, tmp_path: Path, keyword: str, outcome: Outcome
) -> None:
    damaged = dcmread(stored.path)
    delattr(damaged, keyword)
    damaged.save_as(tmp_path / "r.dcm")
    lacking = StoredResult("report", stored.sop_class_uid, stored.sop_instance_uid, tmp_path / "r.dcm")
    with server() as peer:
        first, second = sender(peer.port).send([lacking, stored])
    assert (first.outcome, second.outcome) == (outcome, Outcome.DELIVERED)


def test_without_the_extra_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir, "installed", lambda: False)
    with pytest.raises(ConfigError, match=r'destinations.ehr.kind: "fhir" needs an extra.*: pip install'):
        sender(1)
    settings = Settings(destinations=(FhirDestination(name="ehr", url="http://x/fhir"),))
    assert 'destinations.ehr.kind: "fhir" needs an extra, which is not installed' in [
        says for _, says, _ in configuration.look(settings)
    ]

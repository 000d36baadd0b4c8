"""A message as a signed POST: what is in it, who could have made it, and that it is tried until it arrives."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from certificates import pair
from deliver_cases import Service, service
from ports import free_port

from xrv_node import settings
from xrv_node.alerts import telling, webhook
from xrv_node.alerts.notes import MOST, Message, Note
from xrv_node.db import queries, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import AlertMessage
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.reasons import Reason, as_is
from xrv_node.settings.alerts import WHAT, WebhookAlert
from xrv_node.settings.tls import TlsClientSection

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
NOTE = Note(
    "parked", 3, NOON.isoformat(), Reason("alert-parked", job=7, kind="report", why=as_is("Ä")), "1.2.3"
)
MESSAGE = Message("it-3", "it", (NOTE,), NOON, 2)


def alert(tmp_path: Path, peer: Service | None, **changes: Any) -> WebhookAlert:
    (tmp_path / "secret").write_text("a secret\n")
    port = free_port() if peer is None else peer.port
    keys: dict[str, Any] = {
        "name": "it", "on": ["parked"], "url": f"http://127.0.0.1:{port}/hook?a=b",
        "secret_file": tmp_path / "secret", "timeout_seconds": 10, "at_most_minutes": 0,
    }  # fmt: skip
    return WebhookAlert(**keys | changes)


def schema() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(
        (files("dicom_config") / "alert.schema.json").read_text(encoding="utf-8")
    )
    return made


def conforms(value: Any, form: dict[str, Any]) -> None:
    """Hold a value to what the schema uses of JSON Schema."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int}
    if "type" in form:
        assert isinstance(value, kinds[form["type"]])
    assert value == form.get("const", value)
    assert value in form.get("enum", [value])
    if isinstance(value, dict) and "properties" in form:
        assert set(form["required"]) <= set(value) <= set(form["properties"])
        for name, one in value.items():
            conforms(one, form["properties"][name])
    if isinstance(value, list):
        assert form["minItems"] <= len(value) <= form["maxItems"]
        for one in value:
            conforms(one, form["items"])


def test_the_schema_knows_all_that_can_be_told() -> None:
    note = schema()["properties"]["notes"]["items"]["properties"]
    assert set(note["what"]["enum"]) == {*WHAT, "test"}


def test_the_body_is_of_the_schema_and_holds_no_patient(tmp_path: Path) -> None:
    with service() as peer:
        webhook.send(alert(tmp_path, peer, language="de"), MESSAGE, "node1", None)
    ((path, headers, body),) = peer.requests
    made = json.loads(body)
    conforms(made, schema())
    assert path == "/hook?a=b"
    assert (made["node"], made["alert"], made["id"], made["attempt"]) == ("node1", "it", "it-3", 3)
    assert (headers["X-Xrv-Node-Attempt"], headers["X-Xrv-Node-Id"]) == ("3", "it-3")
    assert made["notes"][0]["text"] == "Auftrag 7 (report) wartet auf einen Menschen: Ä"
    assert b"1.2.3" not in body


def test_a_patient_is_there_where_asked_for(tmp_path: Path) -> None:
    with service() as peer:
        who = {"patient_id": "P", "accession_number": "A"}
        webhook.send(alert(tmp_path, peer), MESSAGE, "n", lambda uid: {"study_instance_uid": uid, **who})
    made = json.loads(peer.requests[0][2])
    conforms(made, schema())
    assert made["notes"][0]["patient"] == {"study_instance_uid": "1.2.3", **who}


def test_more_notes_than_a_message_holds_are_counted(tmp_path: Path) -> None:
    with service() as peer:
        webhook.send(alert(tmp_path, peer), replace(MESSAGE, notes=(NOTE,) * (MOST + 5)), "n", None)
    made = json.loads(peer.requests[0][2])
    conforms(made, schema())
    assert made["left_out"] == 5


def test_openssl_makes_the_same_signature(tmp_path: Path) -> None:
    openssl = shutil.which("openssl") or pytest.skip("openssl is not installed")
    with service() as peer:
        webhook.send(alert(tmp_path, peer), MESSAGE, "n", None)
    _, headers, body = peer.requests[0]
    made = subprocess.run(
        [openssl, "dgst", "-sha256", "-hmac", "a secret", "-r"], input=body, capture_output=True, check=True
    )
    assert headers["X-Xrv-Node-Signature"] == f"sha256={made.stdout.decode().split()[0]}"


@pytest.mark.parametrize(
    ("code", "headers", "says"),
    [(500, {}, "HTTP 500"), (404, {}, "HTTP 404"), (302, {"Location": "http://127.0.0.1:1/"}, "elsewhere")],
)
def test_what_is_no_success_is_none(tmp_path: Path, code: int, headers: dict[str, str], says: str) -> None:
    with service() as peer:
        peer.code, peer.headers = code, headers
        with pytest.raises(DestinationError, match=says):
            webhook.send(alert(tmp_path, peer), MESSAGE, "n", None)
        assert len(peer.requests) == 1


def test_a_receiver_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    with service() as peer:
        peer.seconds = 20
        with pytest.raises(DestinationError, match="no answer in time"):
            webhook.send(alert(tmp_path, peer, timeout_seconds=0.3), MESSAGE, "n", None)


def test_the_address_is_in_no_error(tmp_path: Path) -> None:
    """It may be a secret of its own."""
    with pytest.raises(DestinationError) as told:
        webhook.send(alert(tmp_path, None), MESSAGE, "n", None)
    assert "hook" not in str(told.value)


def test_a_secret_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"alerts\.it\.secret_file: .*nothing cannot be read"):
        webhook.send(alert(tmp_path, None, secret_file=tmp_path / "nothing"), MESSAGE, "n", None)


def test_it_goes_over_tls(tmp_path: Path) -> None:
    theirs, other = pair(tmp_path, "hook"), pair(tmp_path, "other")
    with service(theirs.context()) as peer:
        url = f"https://127.0.0.1:{peer.port}/"
        webhook.send(
            alert(tmp_path, peer, url=url, tls=TlsClientSection(ca=theirs.certificate)), MESSAGE, "n", None
        )
        with pytest.raises(DestinationError, match="no TLS"):
            webhook.send(
                alert(tmp_path, peer, url=url, tls=TlsClientSection(ca=other.certificate)), MESSAGE, "n", None
            )
    assert len(peer.requests) == 1


def test_it_is_tried_until_it_arrives(tmp_path: Path, store: Store) -> None:
    stop, now = threading.Event(), NOON
    with service() as peer:
        own = alert(tmp_path, peer)
        send = telling.sender(settings.Settings(), own)
        telling.tell(store, own, send, stop, now)
        with store.begin() as db:
            trail.record(db, "job.parked", job=1, kind="report", error=as_is("x"))
        peer.code = 503
        for wait in (0, 1, 5, 1, 10):
            now += timedelta(seconds=wait)
            telling.tell(store, own, send, stop, now)
        assert [json.loads(body)["attempt"] for _, _, body in peer.requests] == [1, 2, 3]
        peer.code = 200
        telling.tell(store, own, send, stop, now + timedelta(minutes=15))
        telling.tell(store, own, send, stop, now + timedelta(minutes=30))
    bodies = [json.loads(body) for _, _, body in peer.requests]
    assert len({body["id"] for body in bodies}) == 1
    assert [body["attempt"] for body in bodies] == [1, 2, 3, 4]
    with store.read() as db:
        assert db.query(AlertMessage).all() == []
        (sent,) = queries.events(db, event="alert.sent")
    assert (sent["detail"]["alert"], sent["detail"]["attempts"], sent["detail"]["notes"]) == ("it", 4, 1)


def test_what_never_arrives_is_given_up_on_record(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, stop, now = alert(tmp_path, None), threading.Event(), NOON
    policy = replace(telling.POLICIES["deliver"], max_attempts=3)
    monkeypatch.setitem(telling.POLICIES, "deliver", policy)
    send = telling.sender(settings.Settings(), own)
    telling.tell(store, own, send, stop, now)
    with store.begin() as db:
        trail.record(db, "job.parked", job=1, kind="report", error=as_is("x"))
    for _ in range(5):
        now += timedelta(hours=1)
        telling.tell(store, own, send, stop, now)
    with store.read() as db:
        assert db.query(AlertMessage).all() == []
        (event,) = queries.events(db, event="alert.given_up")
        assert trail.verify(db) > 0
    assert event["detail"]["attempts"] == 3

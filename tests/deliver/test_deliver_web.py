"""STOW-RS to services that behave and services that do not."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from deliver_cases import Service, result, service
from deliver_peer import deflated
from deliver_web import answer, destination, send
from made import SECRET
from pydicom import FileDataset, dcmread
from worded import said

from xrv_node.deliver.attempt import Outcome
from xrv_node.deliver.web import WebSender
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.report.envelope import to_bytes

TOKEN = "Kingfisher"


@pytest.fixture
def web() -> Iterator[Service]:
    with service() as made:
        yield made


def posted(body: bytes) -> FileDataset:
    """The object in a request of one part."""
    return dcmread(BytesIO(body.split(b"\r\n\r\n", 1)[1].rpartition(b"\r\n--")[0]))


def test_objects_go_whole_over_one_connection_without_a_uid_in_the_address(
    tmp_path: Path, web: Service
) -> None:
    results = [result(tmp_path, n) for n in (1, 2)]
    sender = WebSender(destination(web.port), "XRVNODE")
    for stored in results:
        web.body = answer(stored)
        assert [a.outcome for a in sender.send([stored])] == [Outcome.DELIVERED]
    sender.close()
    assert len(web.connections) == 1
    for stored, (path, headers, body) in zip(results, web.requests, strict=True):
        assert path == "/dicom-web/studies"
        assert headers["Content-Type"].startswith('multipart/related; type="application/dicom"')
        assert to_bytes(posted(body)) == to_bytes(dcmread(stored.path))


@pytest.mark.parametrize(
    ("code", "reasons", "outcome", "status"),
    [
        (200, {}, Outcome.DELIVERED, 0),
        (202, {"warned": 0xB006}, Outcome.WARNING, 0xB006),
        (202, {"failed": 0xA700}, Outcome.TRANSIENT, 0xA700),
        (409, {"failed": 0xA700}, Outcome.TRANSIENT, 0xA700),
        (409, {"failed": 0x0122}, Outcome.REJECTED, 0x0122),
        (409, {"failed": 0xC122}, Outcome.REJECTED, 0xC122),
        (409, {"failed": 0x0111}, Outcome.DELIVERED, 0x0111),  # duplicate SOP instance: it is there
    ],
)
def test_the_answer_tells_of_each_object(
    tmp_path: Path, web: Service, code: int, reasons: dict[str, int], outcome: Outcome, status: int
) -> None:
    stored = result(tmp_path)
    web.code, web.body = code, answer(stored, **reasons)
    web.headers = {"Content-Type": "application/dicom+json; charset=utf-8"}
    attempt = send(web.port, stored)
    assert (attempt.outcome, attempt.status) == (outcome, status)


@pytest.mark.parametrize(
    ("code", "outcome", "words"),
    [
        (400, Outcome.REJECTED, "HTTP 400 Bad Request"),
        (401, Outcome.REJECTED, "it does not accept our token or password (HTTP 401 Unauthorized)"),
        (404, Outcome.REJECTED, "there is no STOW-RS service at `url` (HTTP 404 Not Found)"),
        (409, Outcome.REJECTED, "it refused the object (HTTP 409 Conflict)"),
        (429, Outcome.TRANSIENT, "too many requests (HTTP 429 Too Many Requests)"),
        (500, Outcome.TRANSIENT, "HTTP 500 Internal Server Error"),
        (501, Outcome.REJECTED, "it cannot store (HTTP 501 Not Implemented)"),
        (503, Outcome.TRANSIENT, "HTTP 503 Service Unavailable"),
        (599, Outcome.TRANSIENT, "HTTP 599"),
    ],
)
def test_what_an_error_status_means(
    tmp_path: Path, web: Service, code: int, outcome: Outcome, words: str
) -> None:
    web.code, web.body = code, b"<html>"
    attempt = send(web.port, result(tmp_path))
    assert (attempt.outcome, said(attempt.reason)) == (outcome, words)
    assert len(web.requests) == 1  # the queue tries again, not the library


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b"{",
        b'{"00081198": {"vr": "SQ", "Value": [7]}}',
        b'{"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["9.9"]}}]}}',
    ],
)
def test_an_answer_that_does_not_name_the_object_proves_nothing(
    tmp_path: Path, web: Service, body: bytes
) -> None:
    web.body = body
    assert send(web.port, result(tmp_path)).outcome == Outcome.TRANSIENT


def test_a_page_to_log_in_at_is_no_success(tmp_path: Path, web: Service) -> None:
    web.headers, web.body = {"Content-Type": "text/html"}, b"<html>Please log in</html>"
    attempt = send(web.port, result(tmp_path))
    assert said(attempt.reason) == "its answer does not name the object: is it a STOW-RS service?"


def test_an_error_status_is_no_success_whatever_comes_with_it(tmp_path: Path, web: Service) -> None:
    stored = result(tmp_path)
    web.code, web.body = 409, answer(stored)
    assert send(web.port, stored).outcome == Outcome.REJECTED


def test_nobody_there_and_nobody_who_answers_are_transient(tmp_path: Path, web: Service) -> None:
    assert said(send(1, result(tmp_path)).reason).endswith("is it running and reachable?")
    web.seconds = 30
    attempt = send(web.port, result(tmp_path), timeout_seconds=0.2)
    assert (attempt.outcome, said(attempt.reason)) == (
        Outcome.TRANSIENT, "no answer in time; see `timeout_seconds`"
    )  # fmt: skip


def test_results_go_to_no_other_address(tmp_path: Path, web: Service) -> None:
    with service() as elsewhere:
        web.code, web.headers = 307, {"Location": f"http://127.0.0.1:{elsewhere.port}/studies"}
        attempt = send(web.port, result(tmp_path))
        assert (attempt.outcome, said(attempt.reason)) == (
            Outcome.REJECTED, "it sends us elsewhere: correct `url`"
        )  # fmt: skip
        assert elsewhere.requests == []


def test_a_token_from_a_file_is_read_again_for_a_new_connection(tmp_path: Path, web: Service) -> None:
    file, stored = tmp_path / "token", result(tmp_path)
    file.write_text(f"{TOKEN}\n")
    sender = WebSender(destination(web.port, token_file=file), "X")
    web.body = answer(stored)
    assert [a.outcome for a in sender.send([stored])] == [Outcome.DELIVERED]
    file.write_text("Heron")
    sender.close()
    assert [a.outcome for a in sender.send([stored])] == [Outcome.DELIVERED]
    file.unlink()
    sender.close()
    (attempt,) = sender.send([stored])
    assert attempt.outcome == Outcome.TRANSIENT
    assert said(attempt.reason).startswith(f"destinations.web.token_file: {file} cannot be read")
    assert [h["Authorization"] for _, h, _ in web.requests] == [f"Bearer {TOKEN}", "Bearer Heron"]


def test_a_token_of_the_environment_and_a_password(
    tmp_path: Path, web: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = result(tmp_path)
    with pytest.raises(ConfigError, match="the environment has no PACS_TOKEN"):
        WebSender(destination(web.port, token_variable="PACS_TOKEN"), "X")
    monkeypatch.setenv("PACS_TOKEN", TOKEN)
    send(web.port, stored, token_variable="PACS_TOKEN")
    (tmp_path / "password").write_text(TOKEN)
    send(web.port, stored, user="node", password_file=tmp_path / "password")
    basic = base64.b64encode(f"node:{TOKEN}".encode()).decode()
    assert [h["Authorization"] for _, h, _ in web.requests] == [f"Bearer {TOKEN}", f"Basic {basic}"]


def test_a_netrc_and_a_proxy_of_the_environment_are_not_used(
    tmp_path: Path, web: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    stored = result(tmp_path)
    web.body = answer(stored)
    assert send(web.port, stored).outcome == Outcome.DELIVERED
    assert "Authorization" not in web.requests[0][1]


@pytest.mark.parametrize("content", ["", "two\nlines", "Grün"])
def test_a_token_that_is_none_is_told_without_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="must hold one line of ASCII") as error:
        WebSender(destination(1, token_file=tmp_path / "token"), "X")
    assert not content or content not in str(error.value)


def test_no_message_has_the_token_or_the_patient(
    tmp_path: Path, web: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    told = []
    for code, body in ((200, b"{"), (409, b"["), (500, b""), (307, b"")):
        web.code, web.body = code, body
        told.append(said(send(web.port, result(tmp_path), token_file=tmp_path / "token").reason))
    told += [said(send(1, result(tmp_path), token_file=tmp_path / "token").reason), *capfd.readouterr()]
    assert not [s for s in told if TOKEN in s or SECRET in s]


def test_an_object_is_inflated_unless_asked_for(tmp_path: Path, web: Service) -> None:
    name = b"M\x1b-A\xfcller^Zo\x1b-A\xeb= "  # whose escape sequences pydicom would leave out
    stored = deflated(tmp_path, name=name)
    for deflate in (False, True):
        send(web.port, stored, deflate=deflate)
        sent = posted(web.requests[-1][2])
        assert sent.file_meta.TransferSyntaxUID.is_deflated == deflate
        assert sent.get_item("PatientName").value == name
        assert to_bytes(sent) == to_bytes(dcmread(stored.path))


def test_a_damaged_file_stays_in_the_outbox(tmp_path: Path, web: Service) -> None:
    stored = result(tmp_path)
    stored.path.write_bytes(b"damaged")
    attempt = send(web.port, stored)
    assert said(attempt.reason) == "our own file: InvalidDicomError"
    assert attempt.outcome == Outcome.TRANSIENT
    assert web.requests == []


def test_check_stores_nothing_and_says_what_is_wrong(tmp_path: Path, web: Service) -> None:
    (tmp_path / "token").write_text(TOKEN)
    sender = WebSender(destination(web.port, token_file=tmp_path / "token"), "X")
    web.code = 400
    assert sender.check() == [
        "STOW-RS: HTTP 400 to a request without an object",
        "caution: token or password go over the network in the clear; use https",
    ]
    assert web.requests[0][2] == b"--none--\r\n"
    for code, words in ((401, "token or password"), (404, "no STOW-RS service"), (502, "HTTP 502")):
        web.code = code
        with pytest.raises(DestinationError, match=words):
            sender.check()
    with pytest.raises(DestinationError, match="is it running and reachable"):
        WebSender(destination(1), "X").check()

"""What an archive answers by DICOMweb is not trusted."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from time import sleep
from typing import Any

import pytest
from made import SECRET
from priors_cases import BASIS, SCORES, find, present, ways
from priors_cases import section as section_of
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian
from structlog.testing import capture_logs

from xrv_node.priors import archive, web


@contextmanager
def service(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[dict[str, Any]]:
    """An archive by DICOMweb that answers as the test wants; yields the section that leads to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # the client hung up
                answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ways(server.server_address[1])[1]
        server.shutdown()


def body(data: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(data)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def pages(wado: Callable[[BaseHTTPRequestHandler], None]) -> Callable[[BaseHTTPRequestHandler], None]:
    """One study with one series, and this answer to WADO-RS."""
    study = [{"0020000D": {"vr": "UI", "Value": ["1.2.3.1"]}}]
    series = [{"0020000E": {"vr": "UI", "Value": ["1.2.3.1.9"]}, "00200011": {"vr": "IS", "Value": [9001]}}]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        if path.endswith("/studies"):
            body(json.dumps(study).encode())(handler)
        elif path.endswith("/series"):
            body(json.dumps(series).encode())(handler)
        else:
            wado(handler)

    return answer


def part(data: bytes) -> bytes:
    return b"--B\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--B--\r\n"


MULTIPART = {"Content_Type": 'multipart/related; type="application/dicom"; boundary=B'}


def test_a_report_comes_by_dicomweb_with_the_sites_token(earlier: bytes) -> None:
    tokens = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        tokens.append(handler.headers["Authorization"])
        pages(body(part(earlier), **MULTIPART))(handler)

    with service(answer) as section:
        assert [e.prior.scores for e in find(section | {"token": "abc"})] == [SCORES]
    assert tokens == ["Bearer abc"] * 3


@pytest.mark.parametrize(
    "answer",
    [
        body(b"[]"),
        body(b"", 204),
        body(b"not here", 404),
        body(b"[" * 100_000),
        body(b'[{"0020000D": {"vr": "??", "Value": 3}}, 7, null, {"x": 1}]'),
        body(b'{"00100020": []}'),
        pages(body(b"no parts at all", **MULTIPART)),
        pages(body(b"", **MULTIPART)),
        pages(body(part(b"\x00" * 200), **MULTIPART)),
        pages(body(part(b"\x00" * 128 + b"DICM" + b"\xff" * 500), **MULTIPART)),
        pages(body(b"x", Content_Type="text/plain")),
    ],
)
def test_an_answer_that_is_none_gives_no_priors(answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
    with service(answer) as section:
        assert find(section) == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (body(b"go away", 403), "HTTP 403"),
        (body(b"broken", 500), "HTTP 500"),
        (body(b"<html>Who are you?</html>"), "JSONDecodeError"),
        (body(b"", 302, Location="http://127.0.0.1:9/elsewhere"), "TooManyRedirects"),
        (body(gzip.compress(b"[]"), Content_Encoding="gzip"), "more than was asked for"),
        (body(b"[" + b" " * 300_000 + b"]"), "more than was asked for"),
        (pages(body(part(b"\x00" * 300_000), **MULTIPART)), "more than was asked for"),
    ],
)
def test_a_service_that_cannot_be_used_is_named_without_the_patient(
    answer: Callable[[BaseHTTPRequestHandler], None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_BYTES", 200_000)
    with service(answer) as section, pytest.raises(archive.DestinationError, match=message) as raised:
        find(section)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (body(b"not here", 404), "HTTP 404"),
        (body(b"go away", 403), "HTTP 403"),
        (body(b"<html>Who are you?</html>"), "JSONDecodeError"),
    ],
)
def test_a_check_finds_what_is_no_archive(
    answer: Callable[[BaseHTTPRequestHandler], None], message: str
) -> None:
    with service(answer) as section, pytest.raises(archive.DestinationError, match=message):
        archive.check(section_of(section), "XRVNODE")


@pytest.mark.parametrize("answer", [body(b"[]"), body(b"", 204)])
def test_a_check_is_content_with_an_archive_that_knows_nobody(
    answer: Callable[[BaseHTTPRequestHandler], None],
) -> None:
    with service(answer) as section:
        archive.check(section_of(section), "XRVNODE")


def test_what_is_deflated_is_not_inflated(earlier: bytes) -> None:
    deflated = dcmread(BytesIO(earlier))
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file = BytesIO()
    deflated.save_as(file, enforce_file_format=True)
    assert archive.read(dcmread(BytesIO(file.getvalue())), present(), BASIS) is not None
    with service(pages(body(part(file.getvalue()), **MULTIPART))) as section, capture_logs() as logs:
        assert find(section) == []
    assert [line["why"] for line in logs] == ["ValueError"]


def test_a_service_that_drips_is_not_waited_for() -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        body(b"", Content_Length="1000000")(handler)
        for _ in range(50):
            handler.wfile.write(b" ")
            sleep(0.1)

    with service(drip) as section, pytest.raises(archive.DestinationError, match=r"not done within 0\.5 s"):
        find(section | {"timeout_seconds": 0.5})


def test_no_proxy_of_the_environment_hears_of_the_patient(
    earlier: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []

    def proxy(handler: BaseHTTPRequestHandler) -> None:
        heard.append(handler.path)
        pages(body(part(earlier), **MULTIPART))(handler)

    with service(proxy) as other, service(pages(body(part(earlier), **MULTIPART))) as section:
        address = other["url"].removesuffix("/dicom-web").rstrip("/")
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
        assert [e.prior.scores for e in find(section)] == [SCORES]
        assert heard == []
        named = section | {"url": "http://archive.example/wado", "proxy": address}
        assert [e.prior.scores for e in find(named)] == [SCORES]
        assert heard
        assert all(path.startswith("http://archive.example/wado/") for path in heard)

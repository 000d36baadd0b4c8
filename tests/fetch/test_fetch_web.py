"""What an archive answers over HTTP is not trusted either."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fetching import Node
from http_peer import serving
from made import SECRET, radiograph
from pydicom import Dataset

from xrv_node.db.store import Store
from xrv_node.errors import DestinationError
from xrv_node.fetch import archive as asking
from xrv_node.fetch import connect, one_part
from xrv_node.fetch.keys import Key

STUDY = Key(study="1.2.3.1")
Answer = tuple[int, str, bytes]
KIND = 'multipart/related; type="application/dicom"; boundary=b'


def whole(one: Dataset) -> bytes:
    """The object as a file."""
    buffer = BytesIO()
    one.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def part(*bodies: bytes, end: bytes = b"\r\n--b--\r\n") -> bytes:
    """A multipart body of objects."""
    head = b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + body for body in bodies) + end


@dataclass
class Service:
    """A DICOMweb service that has one study, and what it was asked."""

    objects: list[Dataset]
    studies: int = 1
    gives: Callable[[str], Answer] | None = None
    """In place of an object: what WADO-RS answers for its UID."""
    says: Answer | None = None
    """In place of every answer to a question."""
    asked: list[tuple[str, dict[str, list[str]], str]] = field(default_factory=list)
    port: int = 0

    def answer(self, path: str, query: dict[str, list[str]]) -> Answer:
        parts = path.strip("/").split("/")[1:]
        if len(parts) == 6 and parts[4] == "instances":
            return self.give(parts[5])
        return self.says or (200, "application/dicom+json", self.found(parts, query))

    def give(self, uid: str) -> Answer:
        if self.gives is not None:
            return self.gives(uid)
        return 200, KIND, part(*(whole(one) for one in self.objects if one.SOPInstanceUID == uid))

    def found(self, parts: list[str], query: dict[str, list[str]]) -> bytes:
        begin, most = int(query["offset"][0]), int(query["limit"][0])
        first = self.objects[0]
        if parts[-1] == "studies":
            rows = [
                self.row(first, StudyInstanceUID=f"1.2.3.{number}") for number in range(1, self.studies + 1)
            ]
            wanted = query.get("StudyInstanceUID", query.get("0020000D", [""]))[0]
            rows = [row for row in rows if wanted in ("", row.StudyInstanceUID)]
        elif parts[-1] == "series":
            rows = [self.row(first, SeriesInstanceUID=first.SeriesInstanceUID, Modality="CR")]
        else:
            rows = [
                self.row(one, SOPInstanceUID=one.SOPInstanceUID, SOPClassUID=one.SOPClassUID)
                for one in self.objects
            ]
        return ("[" + ",".join(row.to_json() for row in rows[begin : begin + most]) + "]").encode()

    @staticmethod
    def row(one: Dataset, **told: str) -> Dataset:
        made = Dataset()
        for keyword, value in {"StudyInstanceUID": "1.2.3.1", "PatientID": one.PatientID, **told}.items():
            setattr(made, keyword, value)
        return made


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service([radiograph(1), radiograph(2)])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            found.asked.append((split.path, parse_qs(split.query), self.headers.get("Authorization", "")))
            code, kind, body = found.answer(split.path, parse_qs(split.query))
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with serving(Handler, threading.Event()) as found.port:
        yield found


@pytest.fixture
def node(service: Service, store: Store, tmp_path: Path) -> Node:
    (tmp_path / "token.txt").write_text("Bullfinch")
    url = f"http://127.0.0.1:{service.port}/dicom-web"
    way = {"kind": "web", "url": url, "token_file": tmp_path / "token.txt"}
    return Node(store, tmp_path, way, {"receive": {"max_object_mb": 1}})


def test_a_study_comes_with_the_token_and_from_a_sender_of_the_archives_name(
    node: Node, service: Service
) -> None:
    shown = node.fetch(STUDY)
    assert (shown["state"], shown["fetched"]) == ("done", 2)
    assert {login for *_, login in service.asked} == {"Bearer Bullfinch"}
    assert {event["detail"]["calling_ae"] for event in node.events("instance.received")} == {"pacs"}
    assert list((node.directory / "spool" / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((404, "text/plain", b""), "HTTP 404"),
        ((406, "text/plain", b""), "HTTP 406"),
        ((200, "text/html", b"<html>"), "not one DICOM object"),
        ((200, KIND, part(whole(radiograph(1)), end=b"")), "not one DICOM object"),
        ((200, KIND, part(whole(radiograph(1)), whole(radiograph(2)))), "not one DICOM object"),
        ((200, KIND, part(b"no DICOM")), "not one DICOM object"),
        ((200, KIND, part(whole(radiograph(1, PatientID="other")))), "Patient"),
        ((200, KIND, part(whole(radiograph(1, StudyInstanceUID="1.2")))), "Study"),
        ((200, KIND, part(whole(radiograph(1, SOPInstanceUID="1.2")))), "SOP"),
        ((200, KIND, part(bytes(3 << 20))), "more than was asked for"),
    ],
)
def test_an_answer_that_is_not_the_object_costs_that_object_only(
    node: Node, service: Service, answer: Answer, says: str
) -> None:
    fine = Service(service.objects)
    service.gives = lambda uid: answer if uid.endswith(".1.1") else fine.give(uid)
    shown = node.fetch(STUDY)
    assert (shown["state"], shown["fetched"], shown["failed"]) == ("parked", 1, 1)
    (study,) = shown["found"]
    assert says in str(study["error"])
    assert node.instances() == ["1.2.3.1.1.2"]
    assert SECRET not in str(shown)


@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
def test_an_archive_that_answers_for_nothing_is_asked_later(node: Node, service: Service, code: int) -> None:
    service.gives = lambda _: (code, "text/plain", b"")
    shown = node.fetch(STUDY)
    assert (shown["state"], shown["failed"], shown["attempts"]) == ("queued", 0, 1)
    assert f"HTTP {code}" in str(shown["error"])


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, "text/html", b"<html>"), "cannot be asked"),
        ((200, "application/dicom+json", b'{"a": 1'), "cannot be asked"),
        ((404, "text/plain", b""), "HTTP 404"),
        ((200, "application/dicom+json", b"[" + b" " * (17 << 20) + b"]"), "more than was asked for"),
    ],
)
def test_no_answer_is_not_taken_for_no_match(node: Node, service: Service, answer: Answer, says: str) -> None:
    service.says = answer
    shown = node.fetch(Key(patient=f"{SECRET}-4711"))
    assert (shown["state"], shown["unmatched"]) == ("queued", [])
    assert says in str(shown["error"])
    assert SECRET not in str(shown)
    with pytest.raises(DestinationError):
        connect.check(node.settings.archives[0], node.settings, node.directory)


def test_nothing_is_no_match(node: Node, service: Service) -> None:
    service.says = (204, "application/dicom+json", b"")
    shown = node.fetch(Key(accession="ACC1"))
    assert (shown["state"], shown["unmatched"]) == ("done", [1])


def test_answers_are_asked_for_page_by_page(node: Node, service: Service) -> None:
    service.studies = 230
    peer = connect.connect(node.settings.archives[0], node.settings, node.directory)
    assert len(asking.studies_of(peer, Key(accession="ACC1"), "pacs")) == 230
    peer.close()
    assert [query["offset"] for _, query, _ in service.asked] == [["0"], ["100"], ["200"]]


@pytest.mark.parametrize(
    ("kind", "body", "object_"),
    [
        ("application/dicom", b"DICM", b"DICM"),
        ('multipart/related; type="application/dicom"; boundary="b"', part(b"DICM"), b"DICM"),
        ("multipart/related; boundary=b", part(b"a\r\n--c\r\n-")[2:], b"a\r\n--c\r\n-"),
    ],
)
def test_one_part(kind: str, body: bytes, object_: bytes) -> None:
    into = BytesIO()
    one_part.extract(BytesIO(body), kind, into)
    assert into.getvalue() == object_


@pytest.mark.parametrize("body", [b"", b"--b--\r\n", b"\r\n--b\r\n", part(b"x" * 9, end=b"\r\n--b")])
def test_no_part(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        one_part.extract(BytesIO(body), "multipart/related; boundary=b", BytesIO())

"""What a stranger sends who knows DICOM and HTTP well: nothing of it stops what others ask for."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from made import radiograph
from stowing import Site, part10, related, site

from xrv_node.db.store import Store
from xrv_node.web.app import MOST_BODY


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Site]:
    """A node for all tests here, with one good radiograph."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copyfile(empty_database, folder / "audit.sqlite")
    store = Store(f"sqlite:///{folder / 'audit.sqlite'}")
    with site(store, folder) as made:
        assert made.post(related(part10(radiograph(1, 1)))).status == 200
        yield made
    store.close()


def ask(
    site: Site, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of an answer; with a body it is sent by POST."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def with_vr(file: bytes, tag: int, vr: bytes, value: bytes) -> bytes:
    """A file in which an attribute has another VR, and a value of that."""
    name = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    at = file.index(name, 132)
    behind = at + 8 + int.from_bytes(file[at + 6 : at + 8], "little")
    size = struct.pack("<HL", 0, len(value)) if vr == b"SQ" else struct.pack("<H", len(value))
    return file[:at] + name + vr + size + value + file[behind:]


ITEM = b"\xfe\xff\x00\xe0\x0a\x00\x00\x00" + b"\x08\x00\x60\x00CS\x02\x00CR"


OTHER_VRS = (
    (0x00200011, b"LO", b"--5 "),
    (0x00200013, b"LO", b"+-5 "),
    (0x00100010, b"LO", b"name"),
    (0x00100010, b"US", b"\1\0\2\0"),
    (0x00100020, b"PN", b"a^b "),
    (0x00080020, b"US", b"\1\0"),
    *((tag, b"SQ", ITEM) for tag in (0x00100010, 0x00100020, 0x00080020, 0x00080060, 0x00280010)),
)


@pytest.mark.parametrize("number", range(len(OTHER_VRS)))
def test_an_attribute_with_another_vr_does_not_stop_the_searches_and_pages(
    listening: Site, number: int
) -> None:
    study = 100 + number
    stored = listening.post(related(with_vr(part10(radiograph(1, study)), *OTHER_VRS[number])))
    assert stored.status == 200
    for path in (
        "/dicom-web/studies?includefield=all",
        f"/dicom-web/studies/1.2.3.{study}/instances?includefield=all",
        f"/dicom-web/studies/1.2.3.{study}/metadata",
        "/studies",
        f"/studies/1.2.3.{study}",
    ):
        assert ask(listening, path)[0] == 200, path


def test_a_sequence_that_came_as_text_does_not_stop_the_searches(listening: Site) -> None:
    hostile = radiograph(1, 8)
    hostile.add_new(0x00400275, "LO", "abc")
    listening.post(related(part10(hostile)))
    status, text = ask(listening, "/dicom-web/studies?StudyInstanceUID=1.2.3.8")
    assert status == 200
    assert len(json.loads(text)) == 1


BIG = "9" * 30


@pytest.mark.parametrize(
    "path",
    [
        f"/jobs/{BIG}",
        "/statistics?since=0001-01-01",
        "/statistics?until=9999-12-31",
        "/studies?since=0001-01-01",
        "/api/v1/statistics?until=9999-12-31",
        "/api/v1/studies?since=0001-01-01",
        "/dicom-web/studies?PatientID=" + "%5C".join(map(str, range(2000))),
        "/dicom-web/studies?ModalitiesInStudy=" + ",".join(map(str, range(2000))),
        "/dicom-web/studies?PatientName=" + "=".join(["a"] * 2000),
    ],
)
def test_what_no_database_and_no_calendar_has_is_a_mistake_of_who_asks(listening: Site, path: str) -> None:
    status, text = ask(listening, path)
    assert status == 400
    assert b"see the log" not in text


@pytest.mark.parametrize("path", ["/jobs/retry", "/jobs/cancel"])
def test_a_job_that_no_database_can_number_is_a_mistake_of_who_asks(listening: Site, path: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(listening, path, f"job={BIG}".encode(), form)[0] == 400


@pytest.mark.parametrize("path", ["/dicom-web/studies/1.2.3.1/metadata%0a", "/dicom-web/studies%0A"])
def test_a_line_end_behind_an_address_does_not_hide_it_from_the_record(listening: Site, path: str) -> None:
    assert ask(listening, path)[0] == 400


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/theme", "application/x-www-form-urlencoded"),
        ("/theme", "multipart/form-data; boundary=edge"),
        ("/api/v1/jobs/retry", "application/json"),
    ],
)
def test_a_body_that_would_fill_the_memory_is_refused(listening: Site, path: str, kind: str) -> None:
    """It is read until it is refused: the rest, which fits into the sockets, is never read."""
    begun = (
        b"--edge\r\nContent-Disposition: form-data; name=theme; filename=x\r\n\r\n" if "edge" in kind else b""
    )
    fields = (b"a=" + b"b" * (MOST_BODY >> 3) + b"&") * 8  # few, for of those there are limits too
    status, _ = ask(listening, path, begun + fields + b"theme", {"Content-Type": kind})
    assert status == 413


def test_a_body_with_two_lengths_ends_the_connection(listening: Site) -> None:
    head = (
        b"GET /studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    hidden = b"GET /settings HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", listening.port), 60) as connection:
        connection.sendall(head + b"0\r\n\r\n" + hidden)
        answers = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answers.startswith(b"HTTP/1.1 400")
    assert answers.count(b"HTTP/1.1 ") == 1

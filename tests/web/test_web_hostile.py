"""What a stranger sends who knows DICOM and HTTP well: nothing of it stops what others ask for."""

from __future__ import annotations

import http.client
import json
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from made import radiograph
from stowing import Site, part10, related, site

from xrv_node.db.store import Store


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

"""STOW-RS: what is kept, and what is answered of what is not."""

from __future__ import annotations

import errno
import http.client
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

import pytest
import structlog
from dicomweb_client.web import DICOMwebClient
from made import CR, SECRET, radiograph
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from requests import HTTPError
from sqlalchemy import select
from stowing import RELATED, Said, Site, dataset_of, file, part10, related, site

from xrv_node.db import store as audit_store
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Study
from xrv_node.receive import intake
from xrv_node.web.dicomweb import multipart_in, stow_answer

ONE, TWO, THREE = (f"1.2.3.1.1.{number}" for number in (1, 2, 3))
JSON = "application/dicom+json"


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Site]:
    """A node for all tests here: an application takes longer to make than most of them."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copyfile(empty_database, folder / "audit.sqlite")
    store = Store(f"sqlite:///{folder / 'audit.sqlite'}")
    with site(store, folder) as made:
        yield made
    store.close()


@pytest.fixture
def node(listening: Site, empty_database: Path) -> Site:
    """It, without anything."""
    listening.forget(empty_database)
    return listening


def saying(answer: Said, words: str) -> bool:
    """Whether a header Warning, all in ASCII, has these words."""
    return any(words in one and one.isascii() and one.startswith("299 xrv-node ") for one in answer.warnings)


def told(logs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The lines of a log beside the one that every request has."""
    return [line for line in logs if line["event"] != "asked"]


# ---------------------------------------------------------------- what is kept


def test_what_dicomweb_client_stores_is_kept_as_what_comes_by_c_store(node: Site) -> None:
    sent = [radiograph(1), radiograph(2)]
    for one in sent:
        part10(one)
    answer = DICOMwebClient(node.url).store_instances(sent)
    study = f"/dicom-web/studies/{sent[0].StudyInstanceUID}"
    assert answer.RetrieveURL.endswith(study)
    assert [
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID, item.RetrieveURL.partition(study)[2])
        for item in answer.ReferencedSOPSequence
    ] == [(CR, uid, f"/series/1.2.3.1.1/instances/{uid}") for uid in (ONE, TWO)]
    assert "FailedSOPSequence" not in answer
    assert node.instances() == [ONE, TWO]
    assert node.events() == ["instance.received"] * 2
    for path in node.files():
        kept = dcmread(path)
        assert kept.file_meta.SourceApplicationEntityTitle == "WEB"
        assert kept.PatientName == sent[0].PatientName
        assert path.read_bytes()[:128] == b"\0" * 128  # the preamble is ours
    with node.store.read() as db:
        assert {(i.state, i.verdict, i.calling_ae) for i in db.scalars(select(Instance))} == {
            ("queued", "frontal", "WEB")
        }


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_syntax_is_kept_byte_for_byte(node: Site, syntax: str) -> None:
    content = part10(radiograph(), syntax)
    assert node.post(related(content)).listed["stored"] == [ONE]
    (path,) = node.files()
    assert dcmread(path).file_meta.TransferSyntaxUID == syntax
    assert dataset_of(path.read_bytes()) == dataset_of(content)


def test_one_object_without_multipart(node: Site) -> None:
    answer = node.post(file(), "application/dicom; transfer-syntax=1.2.840.10008.1.2.1")
    assert (answer.status, answer.listed["stored"]) == (200, [ONE])


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/related; type=application/dicom; boundary=edge",
        'Multipart/Related; Boundary="edge"; TYPE="Application/DICOM"; start="<a;b>"',
        "multipart/related; boundary=edge",
    ],
)
@pytest.mark.parametrize("before", [b"", b"\r\n", b"This is MIME.\r\n"])
def test_all_ways_to_write_it(node: Site, kind: str, before: bytes) -> None:
    body = before + related(file(), header=b"content-type:\tapplication/dicom;transfer-syntax=*\r\nX: y\r\n")
    body = body.replace(b"--edge\r\n", b"--edge \t\r\n") + b"epilogue"
    answer = node.post((body[at : at + 7000] for at in range(0, len(body), 7000)), kind)  # chunked
    assert (answer.status, answer.listed["stored"]) == (200, [ONE])


def test_a_file_without_preamble_as_some_libraries_write_it(node: Site) -> None:
    assert node.post(related(file()[132:])).listed["stored"] == [ONE]


def test_a_boundary_within_pixels_is_none_unless_it_begins_a_line(node: Site) -> None:
    pixels = b"--edge\r--edge--\n--edge--" + b"\r\n--edg" * 9 + b"\r\n--edgy" + b"\r" * 9
    sent = file(Rows=1, Columns=54, PixelData=pixels.ljust(108, b"\n"))
    assert node.post(related(sent)).status == 200
    assert dataset_of(node.files()[0].read_bytes()) == dataset_of(sent)


def test_the_same_again_and_other_content_under_its_uid_are_answered_as_by_c_store(node: Site) -> None:
    for sent in (file(), file(), file(PatientID="OTHER")):
        assert node.post(related(sent)).status == 200
    assert node.events() == ["instance.received", "instance.duplicate", "instance.conflict"]


def test_several_clients_at_once(node: Site) -> None:
    answers: list[Said] = []

    def send(study: int) -> None:
        answers.append(node.post(related(*(file(number, study) for number in range(4)))))

    threads = [threading.Thread(target=send, args=(study,)) for study in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(answer.status, len(answer.listed["stored"])) for answer in answers] == [(200, 4)] * 6
    assert len(set(node.instances())) == len(node.files()) == 24


def test_objects_of_several_studies_have_no_common_address(node: Site) -> None:
    answer = node.post(related(file(study=1), file(study=2)))
    assert "Value" not in Dataset.from_json(answer.text).to_json_dict()["00081190"]
    assert len(answer.listed["stored"]) == 2


def test_the_end_of_a_request_is_that_of_an_association(store: Store, tmp_path: Path) -> None:
    def states() -> dict[str, str]:
        with store.read() as db:
            return {study.study_instance_uid: study.state for study in db.scalars(select(Study))}

    with site(store, tmp_path, study={"close_on_release": True}) as node:
        assert node.post(related(file(study=1))).status == 200
        assert node.post(related(file(study=2), end=False)).status == 400
    assert states()["1.2.3.1"] != "open"
    assert states().get("1.2.3.2", "open") == "open"  # of what broke off nobody knows whether there is more


# ---------------------------------------------------------------- PS3.18 tables 10.5.3-1 and I.2-1


MIXED = related(file(1), b"no DICOM", file(2, StudyInstanceUID="1.2.9"), file(3))


@pytest.mark.parametrize(
    ("body", "keys", "status", "listed", "says"),
    [
        (related(file(1), file(2)), {}, 200, {"stored": [ONE, TWO]}, ""),
        (related(file(1), file(2)), {"study": "1.2.3.1"}, 200, {"stored": [ONE, TWO]}, ""),
        (MIXED, {"study": "1.2.3.1"}, 202,
         {"stored": [ONE, THREE], "failed": {TWO: 0xA900}, "unnamed": [0xC000]}, "StudyInstanceUID"),
        (related(file(1)), {"study": "1.2.9"}, 409, {"failed": {ONE: 0xA900}}, "not the one of the request"),
        (related(part10(radiograph(), MediaStorageSOPInstanceUID="1.9")), {}, 409, {"failed": {"1.9": 0xA900}},
         "SOPInstanceUID"),
        (related(part10(radiograph(), MediaStorageSOPClassUID="1.9")), {}, 409, {"failed": {ONE: 0xA900}},
         "SOPClassUID"),
        (related(part10(radiograph(), MediaStorageSOPInstanceUID="../../x")), {}, 409, {"unnamed": [0xC000]},
         "not a UID"),
        (related(part10(radiograph(), TransferSyntaxUID="x")), {}, 409, {"failed": {ONE: 0xC000}},
         "TransferSyntaxUID"),
        (related(file(1, StudyInstanceUID="../../etc")), {}, 409, {"failed": {ONE: 0xC000}}, "not a UID"),
        (related(b""), {}, 409, {"unnamed": [0xC000]}, "PS3.10"),
        (related(bytes(128) + b"DICM"), {}, 409, {"unnamed": [0xC000]}, "PS3.10"),
        (related(file(1)[:200]), {}, 409, {"unnamed": [0xC000]}, "PS3.10"),
        (related(file(1)[:420]), {}, 409, {"failed": {ONE: 0xC000}}, ""),
        (related(file(1), end=False), {}, 400, None, "no closing boundary"),
        (related(file(1), file(2), end=False), {}, 400, {"stored": [ONE]}, "no closing boundary"),
        (related(file(1), file(2))[:-9000], {}, 400, {"stored": [ONE]}, "no closing boundary"),
        (related(file(1), end=False) + b"--edge\r\nbad\r\n", {}, 400, {"stored": [ONE]}, "RFC 2046"),
        (related(), {}, 400, None, "no part"),
        (b"", {}, 400, None, "no closing boundary"),
        (related(file(1), b"{}", header=b"Content-Type: application/dicom+json\r\n"), {}, 415, None, "no application/dicom"),
        (related(file(1), end=False) + related(b"<x/>", header=b"Content-Type: text/xml\r\n"), {}, 415,
         {"stored": [ONE]}, "no application/dicom"),
        (related(*[file(1)] * 5), {}, 413, {"stored": [ONE] * 4}, "several requests"),
        (b"", {"study": ".."}, 400, None, "names no study"),
        (b"", {"study": "1" * 65}, 400, None, "names no study"),
        (b"", {"kind": "multipart/related; type=application/dicom"}, 400, None, "no boundary"),
        (b"", {"kind": RELATED.format("b" * 71)}, 400, None, "no boundary"),
        (related(file(1), boundary="b" * 70), {"kind": RELATED.format("b" * 70)}, 200, {"stored": [ONE]}, ""),
        (b"", {"kind": ""}, 415, None, "multipart/related"),
        (b"", {"kind": "application/json"}, 415, None, "multipart/related"),
        (b"", {"kind": "multipart/form-data; boundary=edge"}, 415, None, "multipart/related"),
        (b"", {"kind": 'multipart/related; type="application/dicom+json"; boundary=edge'}, 415, None, "multipart/"),
        (b"", {"kind": 'multipart/related; type="application/dicom+xml"; boundary=edge'}, 415, None, "multipart/"),
        (b"", {"headers": {"Content-Encoding": "gzip"}}, 415, None, "Content-Encoding"),
        (b"", {"headers": {"Accept": "text/html"}}, 406, None, JSON),
        (b"", {"headers": {"Accept": f"{JSON};q=0, text/html"}}, 406, None, JSON),
        *((related(file(1)), {"headers": {"Accept": accept}}, 200, {"stored": [ONE]}, "")
          for accept in ("*/*", JSON, f"text/html, {JSON};q=0.5", "application/*")),
    ],
)  # fmt: skip
def test_every_row_of_the_tables(
    node: Site,
    monkeypatch: pytest.MonkeyPatch,
    body: bytes,
    keys: dict[str, Any],
    status: int,
    listed: dict[str, Any] | None,
    says: str,
) -> None:
    monkeypatch.setattr(multipart_in, "MOST_PARTS", 4)
    answer = node.post(body, **keys)
    assert answer.status == status, answer.text
    if listed is None:
        assert says in answer.text
        assert answer.headers.get_content_type() == "text/plain"
        assert node.instances() == []
    else:
        assert answer.headers["Content-Type"] == JSON
        assert answer.listed == {"stored": [], "failed": {}, "unnamed": []} | listed
        assert set(node.instances()) == set(listed.get("stored", ()))
        assert saying(answer, says) or not says
    assert [path for path in node.files() if path.suffix != ".dcm"] == []
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert SECRET not in answer.text + str(answer.headers)


def test_the_same_through_dicomweb_client(node: Site) -> None:
    sent = radiograph()
    part10(sent)
    with pytest.raises(HTTPError) as refused:
        DICOMwebClient(node.url).store_instances([sent], study_instance_uid="1.2.9")
    assert refused.value.response.status_code == 409
    assert node.events() == ["instance.refused"]


def test_refusals_are_on_record_with_their_words(node: Site) -> None:
    with structlog.testing.capture_logs() as logs:
        node.post(related(file(1), b"?"), study="1.2.9")
    assert [(line["event"], line["status"], line["calling_ae"]) for line in told(logs)] == [
        ("refused", "0xA900", "WEB"),
        ("refused", "0xC000", "WEB"),
    ]
    assert node.events() == ["instance.refused"] * 2


def test_what_the_receiver_does_not_take_is_not_taken_here(store: Store, tmp_path: Path) -> None:
    receive = {"other_storage": "refuse", "max_object_mb": 1}
    with site(store, tmp_path, receive=receive) as node:
        other = node.post(related(file(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), file(2)))
        assert (other.status, other.listed["failed"]) == (202, {ONE: 0x0122})
        large = node.post(related(file(3, PixelData=bytes(1 << 20))))
        assert (large.status, large.listed["failed"]) == (409, {THREE: 0xC000})
        assert saying(large, "receive.max_object_mb")
        assert len(node.files()) == 1


def test_addresses_that_are_not_let_in(store: Store, tmp_path: Path) -> None:
    with site(store, tmp_path, receive={"allowed_addresses": ["10.0.0.0/8"]}) as node:
        answer = node.post(related(file()))
        assert (answer.status, node.instances()) == (403, [])
        assert answer.text == 'add "127.0.0.1" to receive.allowed_addresses\n'
        assert node.events() == ["association.refused"]


def test_a_client_is_paced_as_a_peer(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("xrv_node.web.dicomweb.stow.sleep", waited.append)
    with site(store, tmp_path, receive={"max_objects_per_minute": 2}) as node:
        assert node.post(related(*(file(number) for number in range(1, 5)))).status == 200
    assert [round(seconds, -1) for seconds in waited] == [0, 0, 30, 60]


# ---------------------------------------------------------------- no room, and faults


def full(_handle: int) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_where_only_room_is_lacking_the_client_may_try_again(
    node: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        answer = node.post(related(file(1), file(2)))
        assert (answer.status, answer.listed["failed"]) == (503, {ONE: 0xA700, TWO: 0xA700})
        assert int(answer.headers["Retry-After"]) > 0
        assert saying(answer, "the disk of node.data_dir is full")
        mixed = node.post(related(file(1), b"?"))
        assert (mixed.status, mixed.listed) == (
            409,
            {"stored": [], "failed": {ONE: 0xA700}, "unnamed": [0xC000]},
        )
    assert node.files() == []
    assert node.post(related(file(1), file(2))).status == 200


def test_below_the_low_mark_nothing_is_taken(store: Store, tmp_path: Path) -> None:
    marks = {"min_free_mb": 1 << 40, "resume_free_mb": 1 << 40}
    with site(store, tmp_path, receive=marks) as node:
        answer = node.post(related(file()))
        assert (answer.status, answer.listed["failed"]) == (503, {ONE: 0xA700})
        assert saying(answer, "receive.min_free_mb")


def test_a_locked_database_acknowledges_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_store, "BUSY_SECONDS", 0.3)
    hasty = Store(store.engine.url.render_as_string())
    other = sqlite3.connect(store.engine.url.database or "", isolation_level=None)
    with site(hasty, tmp_path) as node:
        assert node.post(related(file(1))).status == 200
        other.execute("BEGIN IMMEDIATE")
        answer = node.post(related(file(2)))
        assert (answer.status, answer.listed["failed"]) == (503, {TWO: 0xA700})
        assert "Retry-After" in answer.headers
        assert saying(answer, "lock of the database")
        other.execute("ROLLBACK")
        assert node.post(related(file(2))).status == 200
    other.close()
    hasty.close()


def test_a_fault_of_ours_is_no_500(node: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> NoReturn:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(intake.header_facts, "read", broken)
    answer = node.post(related(file()))
    assert (answer.status, answer.listed["failed"]) == (503, {ONE: 0x0110})
    assert SECRET not in answer.text + str(answer.headers)
    assert node.files() == []


# ---------------------------------------------------------------- clients that are slow, or gone


def test_of_a_client_that_goes_away_what_was_whole_is_kept(node: Site) -> None:
    with structlog.testing.capture_logs() as logs:
        body = related(file(1), file(2))[:-5000]
        with node.begun(body, len(body) + 10_000):
            _until(lambda: node.instances() == [ONE])
            _until(lambda: any(path.suffix == ".part" for path in node.files()))
        _until(lambda: len(node.files()) == 1)
        _until(lambda: any(line["event"] == "request broken off" for line in logs))
    assert node.instances() == [ONE]
    assert [line["event"] for line in told(logs)] == ["stored", "request broken off"]
    assert node.post(related(file(2))).status == 200


@pytest.mark.parametrize("length", [b"-1", b"x", b"10\r\nContent-Length: 20"])
def test_lengths_that_are_none(node: Site, length: bytes) -> None:
    with _connected(node) as connection:
        head = b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\nContent-Length: "
        connection.sendall(head + length + b"\r\n\r\nabc")
        assert connection.recv(65536)[9:12] in (b"400", b"409")
    assert node.instances() == []
    assert node.post(related(file(1))).status == 200


def test_a_client_that_falls_silent_is_let_go_and_what_was_whole_is_kept(
    store: Store, tmp_path: Path
) -> None:
    with site(store, tmp_path, web={"body_seconds": 0.3}) as node:
        body = related(file(1), file(2))[:-5000]
        with node.begun(body, len(body) + 10_000) as connection:
            assert connection.recv(65536).startswith(b"HTTP/1.1 408")
        _until(lambda: len(node.files()) == 1)
        assert node.instances() == [ONE]


def test_the_node_reads_no_faster_than_it_writes(node: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import select as system

    release, written = threading.Event(), intake.durable.draft

    def slowly(directory: Path, chunks: Iterator[bytes]) -> Path:
        def held() -> Iterator[bytes]:
            for number, chunk in enumerate(chunks):
                if number == 3:
                    release.wait(60)
                yield chunk

        return written(directory, held())

    monkeypatch.setattr(intake.durable, "draft", slowly)
    body = related(file(PixelData=bytes(64 << 20)))
    with node.begun(b"", len(body)) as connection:
        connection.setblocking(False)
        sent = 0
        while system.select([], [connection], [], 0.5)[1]:
            sent += connection.send(body[sent : sent + (1 << 16)])
        assert sent < 16 << 20  # the buffers of the system hold some
        release.set()
        connection.setblocking(True)
        connection.sendall(body[sent:])
        assert b"200" in connection.recv(20)


def test_a_request_is_never_whole_in_memory(node: Site) -> None:
    import tracemalloc

    image = file(PixelData=bytes(48 << 20))
    body = related(image)
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
    tracemalloc.start()
    try:
        connection.request("POST", "/dicom-web/studies", body, {"Content-Type": RELATED.format("edge")})
        assert connection.getresponse().status == 200
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()
        connection.close()


# ---------------------------------------------------------------- the answer


def test_it_comes_as_xml_where_that_is_wanted(node: Site) -> None:
    answer = node.post(MIXED, headers={"Accept": "application/dicom+xml"})
    assert (answer.status, answer.headers["Content-Type"]) == (202, "application/dicom+xml")
    found = {
        attribute.get("keyword"): [value.text for value in attribute.findall(".//{*}Value")]
        for attribute in ElementTree.fromstring(answer.text)  # our own
    }
    assert found["ReferencedSOPSequence"][1::3] == [ONE, TWO, THREE]
    assert found["OtherFailuresSequence"] == [str(0xC000)]


def test_a_header_has_few_warnings_and_nothing_that_ends_it() -> None:
    assert stow_answer.warning('a "b"\\\r\nX: y \u00e9') == '299 xrv-node "a \\"b\\"\\\\  X: y \\\\xe9"'
    assert len(stow_answer.warning("x" * 10_000)) < 400


def test_it_is_compressed_images_too(node: Site) -> None:
    sent = radiograph(
        Rows=2, Columns=2, PixelData=b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0\xff\xd8\xff\xd9"
    )
    sent["PixelData"].VR, sent["PixelData"].is_undefined_length = "OB", True
    content = part10(sent, JPEGBaseline8Bit)
    assert node.post(related(content)).status == 200
    assert dataset_of(node.files()[0].read_bytes()) == dataset_of(content)


def _connected(node: Site) -> Any:
    import socket

    return socket.create_connection(("127.0.0.1", node.port), 60)


def _until(holds: Any) -> None:
    from serving import wait

    wait(holds, 30, "it to hold")

"""What an archive answers is not trusted, and an archive that does not answer costs no report."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from analysed import BEFORE, CLASSIFIER, NOW, Networks, Site, image
from hypothesis import given, settings, strategies
from made import SECRET
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pynetdicom import AE, evt
from structlog.testing import capture_logs

from xrv_node import report
from xrv_node.audit.store import Store
from xrv_node.priors import archive, dimse, web
from xrv_node.priors.subject import Basis, Earlier, Subject, subject_of
from xrv_node.receive.spool import Spool
from xrv_node.report import codes
from xrv_node.report.kinds import KINDS
from xrv_node.values import Prior

BASIS = Basis(CLASSIFIER, False, "linear")
SCORES = {"Effusion": 0.25, "Mass": 0.75}
ENHANCED_SR = KINDS["report"].sop_classes[0]


def present() -> Subject:
    found = subject_of([image(9, NOW)])
    assert found is not None
    return found


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of an earlier study's report."""
    directory: Path = tmp_path_factory.mktemp("earlier")
    store = Store(f"sqlite:///{directory / 'audit.sqlite'}")
    store.migrate()
    site = Site(store, Spool(directory))
    site.analyse(image(1, BEFORE))
    (made,) = site.report(1)
    store.close()
    return report.to_bytes(made)


@pytest.fixture
def document(earlier: bytes) -> Dataset:
    return dcmread(BytesIO(earlier))


def items(document: Dataset) -> Iterator[Dataset]:
    for child in document.get("ContentSequence", []):
        yield child
        yield from items(child)


def concept(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def test_our_own_report_of_an_earlier_study_is_read(document: Dataset) -> None:
    found = archive.read(document, present(), BASIS)
    assert found is not None
    assert found.earlier == Earlier(Prior("1.2.3.1", BEFORE, SCORES), "101010", "archive")
    assert (found.uid, found.supersedes) == (document.SOPInstanceUID, frozenset())


@pytest.mark.parametrize("language", ["de", "fr", "es", "pt"])
def test_it_is_read_in_every_language(store: Store, spool: Spool, language: str) -> None:
    site = Site(store, spool)
    site.analyse(image(1, BEFORE))
    (made,) = site.report(1, language=language)
    found = archive.read(made, present(), BASIS)
    assert found is not None
    assert found.earlier.prior.scores == SCORES


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Manufacturer", "ACME"),
        ("ManufacturerModelName", "Other"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33"),
        ("SeriesNumber", 1),
        ("PatientID", "somebody else"),
        ("PatientID", ""),
        ("IssuerOfPatientID", "another hospital"),
        ("PatientBirthDate", "19600102"),
        ("StudyDate", "20260102"),
        ("StudyDate", ""),
        ("SeriesDescription", "AI findings - COMMISSIONING - NOT A RESULT"),
        ("ContentSequence", []),
    ],
)
def test_an_object_that_is_not_one_of_ours_is_none(document: Dataset, keyword: str, value: Any) -> None:
    setattr(document, keyword, value)
    assert archive.read(document, present(), BASIS) is None


@pytest.mark.parametrize(
    "basis",
    [
        Basis("9f" * 32, False, "linear"),
        Basis(CLASSIFIER, True, "linear"),
        Basis(CLASSIFIER, False, "cubic"),
        Basis(CLASSIFIER[:-2], False, "linear"),
        Basis(CLASSIFIER, False, "linear", (("Mass", 0.2),)),
    ],
)
def test_scores_that_were_made_otherwise_do_not_compare(document: Dataset, basis: Basis) -> None:
    assert archive.read(document, present(), basis) is None


@pytest.mark.parametrize("language", ["en", "fr"])
def test_scores_compare_by_the_operating_points_that_made_them(
    store: Store, spool: Spool, language: str
) -> None:
    own = (("Effusion", 1e-05), ("Mass", 0.25))
    networks = Networks(site_thresholds=own)
    site = Site(store, spool)
    site.analyse(image(1, BEFORE), networks=networks)
    (made,) = site.report(1, networks, language=language)
    found = archive.read(made, present(), Basis(CLASSIFIER, False, "linear", own))
    assert found is not None
    assert found.earlier.prior.scores == SCORES
    for other in ((), own[1:], (("Effusion", 1e-05), ("Mass", 0.2500001))):
        assert archive.read(made, present(), Basis(CLASSIFIER, False, "linear", other)) is None


@pytest.mark.parametrize("score", [-1.0, 100.1, float("nan"), float("inf")])
def test_a_score_that_is_none_spoils_the_report(document: Dataset, score: float) -> None:
    for item in items(document):
        if item.ValueType == "NUM" and concept(item).endswith("-SCORE"):
            item.MeasuredValueSequence[0].FloatingPointValue = score
    assert archive.read(document, present(), BASIS) is None


def test_a_tree_without_end_is_left(document: Dataset) -> None:
    deepest = document.ContentSequence[0]
    for _ in range(2000):
        child = Dataset()
        child.ValueType, child.ContentSequence = "CONTAINER", []
        deepest.ContentSequence = [child]
        deepest = child
    with capture_logs() as logs:
        assert archive.read(document, present(), BASIS) is None
    assert [line["why"] for line in logs] == ["RecursionError"]


@settings(max_examples=80, deadline=None)
@given(strategies.lists(strategies.tuples(strategies.integers(0), strategies.integers(0, 255)), min_size=1))
def test_damaged_bytes_never_raise(earlier: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(earlier)
    for place, value in changes:
        data[132 + place % (len(data) - 132)] = value
    try:
        damaged = dcmread(BytesIO(bytes(data)))
    except Exception:
        return  # pydicom's own: the exchange leaves such an object out
    found = archive.read(damaged, present(), BASIS)
    assert found is None or all(0 <= score <= 1 for score in found.earlier.prior.scores.values())


# ---------------------------------------------------------------- archives that misbehave


def find(section: dict[str, Any]) -> list[Earlier]:
    from xrv_node.settings import PriorsSection

    return archive.find(PriorsSection(**{"timeout_seconds": 20} | section), "XRVNODE", present(), BASIS, ())


def ways(port: int) -> list[dict[str, Any]]:
    return [
        {"kind": "dimse", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port},
        {"kind": "web", "url": f"http://127.0.0.1:{port}/dicom-web"},
    ]


@pytest.mark.parametrize("way", [0, 1])
def test_an_archive_that_is_not_there_is_named(way: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(archive.DestinationError, match=rf"the archive of priors, .*{port}.* cannot be "):
        find(ways(port)[way])


@pytest.mark.parametrize("way", [0, 1])
def test_an_archive_that_says_nothing_is_not_waited_for(way: int, store: Store, spool: Spool) -> None:
    site = Site(store, spool)
    site.analyse(image(1, BEFORE))
    site.analyse(image(9, NOW))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = site.report(9, timeout_seconds=0.3, **ways(silent.getsockname()[1])[way])
    assert len(made) == 1
    assert [e["priors"][0]["study"] for e in site.events("study.reported")] == ["1.2.3.1"]
    (event,) = site.events("priors.unavailable")
    assert "the archive of priors" in event["why"]
    assert SECRET not in str(event)


def test_a_patient_id_with_a_wildcard_is_not_asked_for() -> None:
    subject = subject_of([image(9, NOW, PatientID="4*")])
    assert subject is not None
    from xrv_node.settings import PriorsSection

    assert archive.find(PriorsSection(**ways(1)[0]), "XRVNODE", subject, BASIS, ()) == []


@contextmanager
def scp(find_: Callable[[evt.Event], Any], get: Callable[[evt.Event], Any]) -> Iterator[dict[str, Any]]:
    """An archive by DIMSE that answers as the test wants; yields the section that leads to it."""
    ae = AE("ARCHIVE")
    ae.add_supported_context(dimse._FIND)
    ae.add_supported_context(dimse._GET)
    ae.add_supported_context(ENHANCED_SR, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_C_FIND, find_), (evt.EVT_C_GET, get)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield ways(server.server_address[1])[0]
    finally:
        server.shutdown()


def answering(*studies: Dataset) -> Callable[[evt.Event], Iterator[tuple[int, Dataset | None]]]:
    """C-FIND: these studies, each with one series of the report's number."""

    def handle(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        if query.QueryRetrieveLevel == "STUDY":
            assert (query.PatientID, query.StudyDate) == (f"{SECRET}-4711", f"-{NOW}")
            yield from ((0xFF00, study) for study in studies)
        else:
            yield 0xFF00, identifier(SeriesInstanceUID=f"{query.StudyInstanceUID}.1", SeriesNumber="9001")

    return handle


def identifier(**attributes: str) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def sending(*documents: Dataset) -> Callable[[evt.Event], Iterator[Any]]:
    """C-GET: these objects, whatever was asked for."""

    def handle(event: evt.Event) -> Iterator[Any]:
        yield len(documents)
        yield from ((0xFF00, document) for document in documents)

    return handle


def test_what_the_archive_sends_must_be_of_the_study_that_was_asked_for(document: Dataset) -> None:
    with scp(answering(identifier(StudyInstanceUID="1.2.3.77")), sending(document)) as section:
        assert find(section) == []
    with scp(answering(identifier(StudyInstanceUID="1.2.3.1")), sending(document)) as section:
        assert [e.prior.scores for e in find(section)] == [SCORES]


def test_a_report_that_is_superseded_is_not_used(store: Store, spool: Spool) -> None:
    site = Site(store, spool)
    site.analyse(image(1, BEFORE), networks=Networks({"Mass": 0.5}))
    site.report(1)
    site.analyse(image(1, BEFORE, 2), networks=Networks({"Mass": 0.25, "Edema": 0.75}))
    reports = site.report(1)
    for one in reports:
        one.ContentDate, one.ContentTime = "20250301", "120000"  # to the second, they may well be the same
    for order in (reports, reports[::-1]):
        with scp(answering(identifier(StudyInstanceUID="1.2.3.1")), sending(*order)) as section:
            assert [e.prior.scores for e in find(section)] == [{"Mass": 0.5, "Edema": 0.75}]


def test_studies_that_cannot_be_priors_are_not_fetched(document: Dataset) -> None:
    asked = []

    def get(event: evt.Event) -> Iterator[Any]:
        asked.append(str(event.identifier.StudyInstanceUID))
        yield 0

    studies = [
        identifier(StudyInstanceUID="1.2.1", ModalitiesInStudy="DX"),
        identifier(StudyInstanceUID="1.2.2", PatientID="somebody else"),
        identifier(StudyInstanceUID="1.2.3", StudyDate="20990101"),
        identifier(StudyInstanceUID="../../1.2"),
        identifier(StudyInstanceUID="1.2.4", StudyDate="20200101"),
        identifier(StudyInstanceUID="1.2.5", StudyDate="20250101"),
    ]
    with scp(answering(*studies), get) as section:
        assert find(section) == []
    assert asked == ["1.2.5", "1.2.4"]


@pytest.mark.parametrize(
    ("find_", "get", "message"),
    [
        (lambda _: iter([(0xA700, None)]), sending(), "answers C-FIND with 0xA700"),
        (answering(identifier(StudyInstanceUID="1.2")), lambda _: iter([1, (0xC001, None)]), "C-GET with 0x"),
    ],
)
def test_an_archive_that_fails_is_named_with_its_status(find_: Any, get: Any, message: str) -> None:
    with scp(find_, get) as section, pytest.raises(archive.DestinationError, match=message):
        find(section)


def test_an_archive_that_answers_without_end_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimse, "MAX_ANSWERS", 20)

    def endless(_event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        while True:
            yield 0xFF00, identifier(StudyInstanceUID="1.2.3")

    with scp(endless, sending()) as section, pytest.raises(archive.DestinationError, match="without end"):
        find(section)


def test_an_archive_that_sends_too_much_is_hung_up_on(
    document: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimse, "MAX_BYTES", 200_000)
    document.ContentSequence[0].ContentSequence[0].TextValue = "x" * 500_000
    with (
        scp(answering(identifier(StudyInstanceUID="1.2.3.1")), sending(document)) as section,
        pytest.raises(archive.DestinationError, match="the archive of priors"),
    ):
        find(section)


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


def test_the_log_of_a_search_names_no_patient(tmp_path: Path) -> None:
    file = tmp_path / "image.dcm"
    image(9, NOW).save_as(file, enforce_file_format=True)
    program = f"""
from pathlib import Path
from xrv_node import log
from xrv_node.errors import DestinationError
from xrv_node.priors import archive
from xrv_node.priors.subject import Basis, subject_of
from xrv_node.radiograph.header import read_header
from xrv_node.settings import LogSection, PriorsSection
log.configure(LogSection(level="debug"), "test")
subject = subject_of([read_header(Path({str(file)!r}))])
for way in {ways(9)}:
    try:
        archive.find(PriorsSection(**way), "XRVNODE", subject, Basis("0" * 64, False, "linear"), ())
    except DestinationError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert SECRET not in done.stdout + done.stderr


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


def test_the_codes_that_are_read_are_in_the_report(document: Dataset) -> None:
    found = {concept(item) for item in items(document)}
    assert {codes.MODEL.value, codes.RESAMPLING.value} <= found

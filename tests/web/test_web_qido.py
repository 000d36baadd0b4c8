"""QIDO-RS: the six resources, their attributes, keys and errors."""

from __future__ import annotations

import http.client
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from dicomweb_client import DICOMwebClient
from made import CR, incoming, radiograph
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from xrv_node.db.store import Store
from xrv_node.index import index as index_module
from xrv_node.index.levels import ANSWERS
from xrv_node.index.query import KEYS
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection, Settings
from xrv_node.spool import Spool
from xrv_node.web import server as web
from xrv_node.web.dicomweb import qido
from xrv_node.web.node import WebNode

JSON = "application/dicom+json"


def small(number: int = 1, study: int = 1, **attributes: Any) -> Dataset:
    """A radiograph of four pixels."""
    return radiograph(number, study, Rows=2, Columns=2, PixelData=b"\0" * 8, **attributes)


def request(procedure: str, step: str) -> Dataset:
    """An item of Request Attributes Sequence."""
    item = Dataset()
    item.RequestedProcedureID, item.ScheduledProcedureStepID = procedure, step
    return item


STUDIES = (
    [small(1, 1, PatientName="Müller^Änne", StudyDescription="Thorax p.a.", StudyTime="080000"),
     small(2, 1, PatientName="Müller^Änne")],
    [small(1, 2, PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう", StudyDate="20250630",
           StudyTime="103059.25", AccessionNumber="50%_A", PatientID="P-2",
           RequestAttributesSequence=[request("REQ7", "STEP1"), request("REQ8", "STEP2")],
           PerformedProcedureStepStartDate="20250630", PerformedProcedureStepStartTime="1031")],
    [small(1, 3, PatientName="MULLER^Bert", StudyDate="20240229", PatientBirthDate="19991231",
           Modality="DX", SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1", SeriesDescription="AP supine"),
     small(2, 3, PatientName="MULLER^Bert", StudyDate="20240229", SeriesInstanceUID="1.2.3.3.2",
           SeriesNumber=7, Modality="OT")],
    [small(1, 4, PatientName="", StudyDate="", StudyTime="", AccessionNumber="", PatientID="",
           ReferringPhysicianName="Haus^Gregory", StudyID="S4", SeriesNumber=None, InstanceNumber=None)],
)  # fmt: skip


@dataclass(frozen=True)
class Client:
    """A node over HTTP, and what it is asked."""

    port: int
    node: WebNode

    @property
    def service(self) -> str:
        return f"http://127.0.0.1:{self.port}/dicom-web"

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, list[tuple[str, str]]]:
        """Status, body and headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        connection.request(method, f"/dicom-web{path}", headers=headers)
        answer = connection.getresponse()
        found = answer.status, answer.read(), answer.getheaders()
        connection.close()
        return found

    def found(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """What a search answers."""
        status, body, headers = self.ask(f"{path}?{urlencode(parameters, doseq=True)}")
        assert (status, dict(headers)["content-type"]) == (200, JSON), body
        answer: list[dict[str, Any]] = json.loads(body)
        return answer

    def studies(self, **parameters: Any) -> list[int]:
        """The numbers of the studies that match."""
        return [int(value(one, "StudyInstanceUID")[6:]) for one in self.found("/studies", **parameters)]

    def warnings(self, path: str) -> list[str]:
        """What is said beside an answer."""
        return [text for name, text in self.ask(path)[2] if name.lower() == "warning"]


def value(answer: dict[str, Any], keyword: str) -> Any:
    """The first value of an attribute, None without one."""
    return answer[f"{tag_for_keyword(keyword):08X}"].get("Value", [None])[0]


def values(answers: list[dict[str, Any]], keyword: str) -> list[Any]:
    """Of each answer."""
    return [value(one, keyword) for one in answers]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Client]:
    """A node with four studies."""
    root = tmp_path_factory.mktemp("qido")
    shutil.copyfile(empty_database, root / "audit.sqlite")
    store, spool = Store(f"sqlite:///{root / 'audit.sqlite'}"), Spool(root)
    for objects in STUDIES:
        for one in objects:
            intake.accept(store, spool, FrontalSection(), incoming(one))
    settings = Settings(node={"data_dir": root}, web={"port": 0})
    node = WebNode(settings, store, spool)
    with web.start(node) as server:
        yield Client(server.server_port, node)
    node.index.close()
    store.close()


def test_the_newest_study_comes_first_and_every_attribute_of_the_table_is_there(client: Client) -> None:
    answers = client.found("/studies")
    assert client.studies() == [4, 3, 2, 1]
    for answer in answers:
        assert {f"{tag_for_keyword(k):08X}" for k in (*ANSWERS["study"], "RetrieveURL")} < answer.keys()
        assert list(answer) == sorted(answer)
        assert answer["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
        assert value(answer, "InstanceAvailability") == "ONLINE"
    assert values(answers, "NumberOfStudyRelatedInstances") == [1, 2, 1, 2]
    assert values(answers, "NumberOfStudyRelatedSeries") == [1, 2, 1, 1]
    assert answers[1]["00080061"]["Value"] == ["DX", "OT"]
    assert answers[0]["00100010"] == {"vr": "PN"}
    assert answers[2]["00100010"]["Value"] == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    ]
    assert values(answers, "RetrieveURL") == [f"{client.service}/studies/1.2.3.{n}" for n in (4, 3, 2, 1)]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"PatientName": "muller^anne"}, [1]),
        ({"PatientName": "MÜLLER^*"}, [3, 1]),
        ({"PatientName": "*ber?"}, [3]),
        ({"PatientName": "山田*"}, [2]),
        ({"PatientName": "やまだ^たろう"}, [2]),
        ({"PatientName": "Yamada^Tarou=山田*"}, [2]),
        ({"PatientName": "Yamada^Tarou=Suzuki*"}, []),
        ({"00100010": "yamada^tarou"}, [2]),
        ({"PatientName": "muller"}, []),
        ({"PatientName": ""}, [4, 3, 2, 1]),
        ({"PatientName": "*"}, [4, 3, 2, 1]),
        ({"ReferringPhysicianName": "haus^*"}, [4]),
        ({"StudyDate": "20250630"}, [2]),
        ({"StudyDate": "20240101-20250630"}, [3, 2]),
        ({"StudyDate": "20250701-"}, [1]),
        ({"StudyDate": "-20240229"}, [3]),
        ({"StudyTime": "08"}, [1]),
        ({"StudyTime": "1030-1031"}, [2]),
        ({"StudyTime": "103059.3-"}, []),
        ({"StudyDate": "20250630", "StudyTime": "-1031"}, [2]),
        ({"PatientBirthDate": "19991231"}, [3]),
        ({"AccessionNumber": "50%_a"}, [2]),
        ({"AccessionNumber": "5?%_*"}, [2]),
        ({"AccessionNumber": "%*"}, []),
        ({"AccessionNumber": "ACC1\\50%_A"}, [3, 2, 1]),
        ({"PatientID": "p-2"}, [2]),
        ({"StudyID": "S4"}, [4]),
        ({"StudyDescription": "*thorax*"}, [1]),
        ({"ModalitiesInStudy": "OT"}, [3]),
        ({"ModalitiesInStudy": "DX,CR"}, [4, 3, 2, 1]),
        ({"ModalitiesInStudy": "DX\\MR"}, [3]),
        ({"Modality": "DX", "SeriesNumber": "1"}, [3]),
        ({"Modality": "DX", "SeriesNumber": "7"}, []),
        ({"StudyInstanceUID": "1.2.3.1,1.2.3.4"}, [4, 1]),
        ({"StudyInstanceUID": "1.2.3.1\\1.2.3.4\\9.9"}, [4, 1]),
        ({"StudyInstanceUID": ["1.2.3.1", "1.2.3.2"]}, [2, 1]),
        ({"SeriesInstanceUID": "1.2.3.3.2"}, [3]),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1"}, [3]),
        ({"RequestAttributesSequence.RequestedProcedureID": "req8"}, [2]),
        ({"00400275.00400009": "STEP?"}, [2]),
        ({"SeriesDescription": "ap*"}, [3]),
        ({"PerformedProcedureStepStartDate": "2025-"}, None),
        ({"PerformedProcedureStepStartDate": "20250101-"}, [2]),
        ({"PerformedProcedureStepStartTime": "10"}, [2]),
        ({"InstanceNumber": "2"}, [3, 1]),
    ],
)  # fmt: skip
def test_a_key_finds_what_it_should(
    client: Client, parameters: dict[str, Any], found: list[int] | None
) -> None:
    if found is None:
        assert client.ask(f"/studies?{urlencode(parameters)}")[0] == 400
        return
    assert client.studies(**parameters) == found
    for answer in client.found("/studies", **parameters):  # what is searched by is returned, too
        for name in parameters:
            tag = name.split(".")[0]
            if not tag[0].isdigit() and "SOP" not in tag and tag != "InstanceNumber":
                assert f"{tag_for_keyword(tag):08X}" in answer


def test_series_and_objects_have_their_tables_and_what_they_are_in(client: Client) -> None:
    series = client.found("/studies/1.2.3.3/series")
    assert values(series, "SeriesInstanceUID") == ["1.2.3.3.1", "1.2.3.3.2"]
    assert {f"{tag_for_keyword(k):08X}" for k in ANSWERS["series"]} < series[0].keys()
    assert "00100010" not in series[0]  # the address says whose they are
    assert value(series[1], "RetrieveURL") == f"{client.service}/studies/1.2.3.3/series/1.2.3.3.2"
    everywhere = client.found("/series")
    assert values(everywhere, "StudyInstanceUID") == ["1.2.3.4", "1.2.3.3", "1.2.3.3", "1.2.3.2", "1.2.3.1"]
    assert value(everywhere[1], "PatientName") == {"Alphabetic": "MULLER^Bert"}
    assert everywhere[0]["00200011"] == {"vr": "IS"}
    assert client.found("/series", RequestedProcedureID="REQ7")[0]["00400275"]["Value"][0]["00401001"]

    objects = client.found("/studies/1.2.3.1/series/1.2.3.1.1/instances")
    assert values(objects, "SOPInstanceUID") == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    assert {f"{tag_for_keyword(k):08X}" for k in ANSWERS["instance"]} < objects[0].keys()
    assert (value(objects[0], "Rows"), objects[0]["00280008"]) == (2, {"vr": "IS"})
    assert "00080060" not in objects[0]
    of_study = client.found("/studies/1.2.3.3/instances", SOPClassUID=CR)
    assert values(of_study, "Modality") == ["OT"]
    assert len(client.found("/instances")) == 6
    (one,) = client.found("/instances", SOPInstanceUID="1.2.3.2.1.1", PatientName="yamada*")
    url = f"{client.service}/studies/1.2.3.2/series/1.2.3.2.1/instances/1.2.3.2.1.1"
    assert (value(one, "RetrieveURL"), value(one, "AccessionNumber")) == (url, "50%_A")


def test_more_is_included_when_it_is_asked_for(client: Client) -> None:
    ohif = client.found("/studies", includefield=["00081030,00080060", "PatientAge"], limit=2, offset=2)
    assert values(ohif, "Modality") == ["CR", "CR"]
    assert values(ohif, "StudyDescription") == [None, "Thorax p.a."]
    assert values(ohif, "PatientAge") == ["066Y", "066Y"]
    assert client.found("/studies", includefield="Modality")[1]["00080060"]["Value"] == ["DX", "OT"]
    assert "00101010" not in client.found("/studies")[0]
    assert values(client.found("/studies", includefield="all"), "PatientAge") == ["066Y"] * 4
    assert values(client.found("/studies/1.2.3.1/series", includefield="PatientName"), "PatientName")
    whole = client.found("/studies/1.2.3.1/instances", includefield="all")[0]
    assert value(whole, "ViewPosition") == "PA"
    assert "7FE00010" not in whole
    assert value(client.found("/instances", includefield="ViewPosition")[0], "ViewPosition") == "PA"


def test_pages_neither_skip_nor_repeat(client: Client) -> None:
    uids = [
        v for n in range(7) for v in values(client.found("/instances", limit=1, offset=n), "SOPInstanceUID")
    ]
    assert uids == values(client.found("/instances"), "SOPInstanceUID")
    assert len(set(uids)) == 6
    assert client.warnings("/studies?limit=1&offset=1") == [
        f'299 {client.service}: "There are 2 additional results that can be requested"'
    ]
    assert client.warnings("/studies?limit=3&offset=1") == []
    assert client.found("/studies", limit=0) == []
    assert "There are 4 additional" in client.warnings("/studies?limit=0")[0]
    assert client.found("/studies", offset=99) == [] == client.warnings("/studies?offset=99")


def test_what_is_not_done_is_said(client: Client) -> None:
    path = f"/studies?fuzzymatching=true&PatientName=mul&PatientSex=F&00091001=x&includefield={quote('Rows')}"
    assert client.warnings(path) == [
        f'299 {client.service}: "The fuzzymatching parameter is not supported. Only literal matching has been '
        'performed."',
        f'299 {client.service}: "These attributes are not indexed and were ignored: PatientSex, 00091001, Rows"',
    ]
    assert client.found("/studies", fuzzymatching="true", PatientName="mul") == []
    assert client.warnings("/studies?fuzzymatching=false") == []


@pytest.mark.parametrize(
    "path",
    [
        "/studies?PatientNam=x",
        "/studies?0010FFFF=x",
        "/studies?includefield=Nonsense",
        "/studies?limit=-1",
        "/studies?limit=many",
        "/studies?offset=1.5",
        "/studies?offset=" + "9" * 30,
        "/studies?fuzzymatching=perhaps",
        "/studies?StudyDate=yesterday",
        "/studies?StudyDate=20260101-20260102-20260103",
        "/studies?StudyDate=20261301",
        "/studies?StudyDate=-",
        "/studies?StudyTime=25",
        "/studies?SeriesNumber=one",
        "/studies?StudyInstanceUID=../../etc/passwd",
        "/studies?StudyInstanceUID=" + ",".join(["1.2"] * 1001),
        "/studies?PatientName=a&PatientName=b",
        "/studies?PatientName=" + "a" * 300,
        "/studies/..%5c..%5cetc/series",
        "/studies/abc/series",
        "/studies/1.2/series/x/instances",
        "/studies/1.2.3.1/series?StudyInstanceUID=1.2.3.1",
        "/studies?" + "&".join(["includefield=00080060"] * 2 + [f"includefield=0009{n:04X}" for n in range(600)]),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_400(client: Client, path: str) -> None:
    status, body, _ = client.ask(path)
    assert (status, len(body.splitlines())) == (400, 1), body


def test_an_error_quotes_no_value(client: Client) -> None:
    assert b"Zebrafinch" not in client.ask("/studies?StudyDate=Zebrafinch")[1]


def test_a_query_of_a_megabyte_is_refused(client: Client) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=90)
    connection.request("GET", "/dicom-web/studies?PatientName=" + "a" * (1 << 20))
    assert connection.getresponse().status in (400, 414, 431)
    connection.close()


def test_nothing_found_is_an_empty_list(client: Client) -> None:
    assert client.found("/studies", PatientID="nobody") == []
    assert client.found("/studies/1.9/series") == [] == client.found("/studies/1.9/series/1.9.1/instances")


@pytest.mark.parametrize(
    ("accept", "status", "media_type"),
    [
        (JSON, 200, JSON),
        ("application/json", 200, "application/json"),
        ("*/*", 200, JSON),
        ("application/json;q=0.5, application/dicom+json;q=0.4", 200, "application/json"),
        ('multipart/related; type="application/dicom+xml", application/*;q=0.1', 200, JSON),
        ("text/html", 406, None),
        ('multipart/related; type="application/dicom+xml"', 406, None),
        ("application/dicom+json;q=0", 406, None),
    ],
)
def test_the_answer_is_what_is_acceptable(
    client: Client, accept: str, status: int, media_type: str | None
) -> None:
    got, _, headers = client.ask("/studies", Accept=accept)
    assert got == status
    assert media_type is None or dict(headers)["content-type"] == media_type
    assert client.ask(f"/studies?accept={quote(accept)}", Accept="*/*")[0] == status


def test_head_and_a_slash_at_the_end(client: Client) -> None:
    assert client.ask("/studies", "HEAD")[:2] == (200, b"")
    assert client.ask("/studies/")[0] == 200


def test_every_key_can_be_asked_for_by_keyword_and_by_tag(client: Client) -> None:
    for path in ("/studies", "/series", "/instances"):
        for names in (KEYS, [f"{tag_for_keyword(keyword):08X}" for keyword in KEYS]):
            status, body, headers = client.ask(f"{path}?" + "&".join(f"{name}=" for name in names))
            assert (status, "warning" in dict(headers)) == (200, False), body


def test_an_index_that_is_removed_is_made_anew_and_one_that_is_locked_is_503(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = client.node
    file = node.settings.index_file
    for path in file.parent.glob("index.sqlite*"):
        path.unlink()
    assert client.studies() == [4, 3, 2, 1]

    monkeypatch.setattr(index_module, "BUSY_SECONDS", 0)
    node.index.renew()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        status, body, headers = client.ask("/studies")
    assert (status, body) == (503, b"the database is locked at present\n")
    assert dict(headers)["retry-after"] == "5"
    assert client.studies() == [4, 3, 2, 1]


def test_dicomweb_client_searches(client: Client) -> None:
    peer = DICOMwebClient(client.service)
    assert len(peer.search_for_studies(limit=1, get_remaining=True)) == 4
    (study,) = peer.search_for_studies(
        search_filters={"PatientName": "müller^Ä*"}, fields=["StudyDescription"]
    )
    assert Dataset.from_json(study).StudyDescription == "Thorax p.a."
    assert len(peer.search_for_series("1.2.3.3")) == 2
    assert len(peer.search_for_series(search_filters={"Modality": "CR"})) == 3
    assert len(peer.search_for_instances("1.2.3.1", "1.2.3.1.1")) == 2


def test_an_answer_that_is_not_whole_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qido.follow, "catch_up", lambda *_: False)
    status, _, headers = client.ask("/studies?limit=1")
    assert status == 200
    assert any(name.lower() == "warning" and qido.BEHIND in value for name, value in headers)

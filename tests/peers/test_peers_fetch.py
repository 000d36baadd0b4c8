"""Studies fetched from Orthanc, in each way that there is."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peer_archives
import pytest
from fetching import Node
from made import radiograph
from peer_archives import DICOMWEB, Orthanc
from peer_programs import HOST, find, missing
from ports import free_port
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless

from xrv_node.db.store import Store
from xrv_node.fetch import connect
from xrv_node.fetch.keys import Key
from xrv_node.receive import server
from xrv_node.spool import Spool

pytestmark = pytest.mark.peers

CT = "1.2.840.10008.5.1.4.1.1.2"
KINDS = ["get", "move", "web"]


@pytest.fixture(scope="module")
def receiver() -> int:
    """The port of whichever node asks by C-MOVE."""
    return free_port()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, receiver: int) -> Iterator[Orthanc]:
    """One that has two studies of an accession, and beside them what no node analyses."""
    if not find("Orthanc"):
        pytest.skip(missing("Orthanc"))
    if not Path(DICOMWEB).is_file():
        pytest.skip(missing("Orthanc's DICOMweb plugin"))
    directory = tmp_path_factory.mktemp("orthanc")
    with peer_archives.orthanc(directory / "orthanc", web=True) as orthanc:
        orthanc.introduce("xrvnode", "XRVNODE", receiver)
        packed = radiograph(2)
        packed.compress(JPEG2000Lossless, generate_instance_uid=False)
        slices = {"SOPClassUID": CT, "Modality": "CT", "SeriesInstanceUID": "1.2.3.1.2"}
        slice_ = radiograph(3, **slices)
        for number, one in enumerate((radiograph(1), packed, slice_, radiograph(1, 2))):
            upload(orthanc, one, directory / f"{number}.dcm")
        yield orthanc


def upload(orthanc: Orthanc, one: Dataset, path: Path) -> None:
    one.save_as(path, enforce_file_format=True)
    url = f"http://{HOST}:{orthanc.http_port}/instances"
    with urllib.request.urlopen(urllib.request.Request(url, data=path.read_bytes())) as answer:
        assert answer.status == 200


@pytest.fixture(params=KINDS)
def node(
    request: pytest.FixtureRequest, orthanc: Orthanc, receiver: int, store: Store, tmp_path: Path
) -> Iterator[Node]:
    """A node that asks Orthanc; its receiver runs."""
    to = orthanc.destination
    way: dict[str, Any] = {"kind": "dimse", "ae_title": to.ae_title, "host": HOST, "port": to.port}
    way["move"] = request.param
    if request.param == "web":
        way = {"kind": "web", "url": f"http://{HOST}:{orthanc.http_port}/dicom-web"}
    node = Node(store, tmp_path, way | {"timeout_seconds": 60}, {"receive": {"port": receiver}})
    listener = server.start(node.settings, store, Spool(tmp_path))
    yield node
    listener.shutdown()
    listener.server_close()


def test_a_study_comes_as_the_archive_has_it_and_is_complete_then(node: Node) -> None:
    shown = node.fetch(Key(study="1.2.3.1"))
    assert (shown["state"], shown["objects"], shown["fetched"], shown["failed"]) == ("done", 2, 2, 0)
    assert node.instances() == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    kept = {row["instance"]: row["detail"] for row in node.events("instance.received")}
    assert kept["1.2.3.1.1.1"]["verdict"] == "frontal"
    (closed,) = node.events("study.closed")
    assert closed["detail"]["why"]["key"] == "fetched-from"
    again = node.fetch(Key(study="1.2.3.1"), all_series=True)
    assert (again["state"], again["objects"], again["present"], again["fetched"]) == ("done", 3, 2, 1)


def test_an_accession_has_several_studies_and_another_none(node: Node) -> None:
    shown = node.fetch(Key(accession="ACC1"), Key(accession="NOT-THERE"), Key(study="1.2.9"))
    assert (shown["state"], shown["unmatched"], shown["fetched"]) == ("done", [2], 3)
    assert {one["study"]: one["state"] for one in shown["found"]} == {
        "1.2.3.1": "done",
        "1.2.3.2": "done",
        "1.2.9": "missing",
    }


def test_a_patient_is_asked_for_by_days(node: Node) -> None:
    patient = {"patient": "Zebrafinch-4711"}
    shown = node.fetch(Key(**patient, date="-20251231"), Key(**patient, date="20260101"))
    assert (shown["unmatched"], shown["studies"]) == ([1], {"done": 2})


def test_a_check_asks_about_nobody(node: Node, tmp_path: Path) -> None:
    connect.check(node.settings.archives[0], node.settings, tmp_path)

"""Orthanc as the archive of earlier reports, by DIMSE and by DICOMweb: the node that asks has nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peer_archives
import pytest
from analysed import BEFORE, NOW, Networks, Site, image
from peer_archives import DICOMWEB, Orthanc
from peer_programs import HOST, find, missing
from ports import free_port
from pydicom import Dataset
from worded import said

from xrv_node.db.store import Store
from xrv_node.spool import Spool
from xrv_node.values import Prior

pytestmark = pytest.mark.peers

KINDS = ["dimse", "web"]
EARLIER = {"Effusion": 0.123456, "Mass": 0.9}


def site_in(directory: Path) -> Site:
    """A node with nothing in it."""
    store = Store(f"sqlite:///{directory / 'audit.sqlite'}")
    store.migrate()
    return Site(store, Spool(directory))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc that has reports of earlier studies, of the patient and of others, and the images too."""
    if not find("Orthanc"):
        pytest.skip(missing("Orthanc"))
    if not Path(DICOMWEB).is_file():
        pytest.skip(missing("Orthanc's DICOMweb plugin"))
    directory = tmp_path_factory.mktemp("archive")
    past = site_in(directory)
    with peer_archives.orthanc(directory / "orthanc", web=True) as orthanc:
        orthanc.introduce("xrvnode", "XRVNODE", free_port())

        def keep(*images: Dataset, networks: Networks | None = None) -> None:
            past.analyse(*images, networks=networks)
            number = int(str(images[0].StudyInstanceUID).rpartition(".")[2])
            for one in [*images, *past.report(number, networks)]:
                upload(orthanc, one, directory)

        keep(image(1, BEFORE), networks=Networks(EARLIER))
        keep(image(2, "20200101"), networks=Networks({"Mass": 0.5}))
        # an image that comes late: the first report is superseded
        keep(image(2, "20200101", 2), networks=Networks({"Mass": 0.75}))
        keep(image(3, "20250401", PatientBirthDate="19700101"))
        keep(image(4, "20250401", PatientID="somebody else"))
        keep(image(5, "20250402"), networks=Networks(classifier="9f" * 32))
        keep(image(6, "20250403"), networks=Networks(phantom=True))
        keep(image(7, "20260102"))
        past.store.close()
        yield orthanc


def upload(orthanc: Orthanc, one: Dataset, directory: Path) -> None:
    import urllib.request

    path = directory / "upload.dcm"
    one.save_as(path, enforce_file_format=True)
    url = f"http://{HOST}:{orthanc.http_port}/instances"
    with urllib.request.urlopen(urllib.request.Request(url, data=path.read_bytes())) as answer:
        assert answer.status == 200


def section(kind: str, orthanc: Orthanc) -> dict[str, Any]:
    to = orthanc.destination
    way: dict[str, Any] = {
        "dimse": {"kind": "dimse", "ae_title": to.ae_title, "host": HOST, "port": to.port},
        "web": {"kind": "web", "url": f"http://{HOST}:{orthanc.http_port}/dicom-web/"},
    }[kind]
    return {"timeout_seconds": 60} | way  # the machine may be busy


@pytest.mark.parametrize("kind", KINDS)
def test_reports_of_the_archive_are_priors(archive: Orthanc, kind: str, tmp_path: Path) -> None:
    site = site_in(tmp_path)
    site.analyse(image(9, NOW))
    found = site.priors(9, **section(kind, archive))
    assert found == [Prior("1.2.3.1", BEFORE, EARLIER), Prior("1.2.3.2", "20200101", {"Mass": 0.75})]
    site.store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_archive_adds_what_the_spool_lacks(archive: Orthanc, kind: str, tmp_path: Path) -> None:
    site = site_in(tmp_path)
    site.analyse(image(1, BEFORE), networks=Networks({"Mass": 0.0625}))
    site.analyse(image(9, NOW))
    made = site.report(9, **section(kind, archive))
    (event,) = site.events("study.reported")
    assert event["priors"] == [
        {"study": "1.2.3.1", "date": BEFORE, "from": "spool"},
        {"study": "1.2.3.2", "date": "20200101", "from": "archive"},
    ]
    again = site.report(9, **section(kind, archive))
    assert [r.SOPInstanceUID for r in again] == [r.SOPInstanceUID for r in made]
    assert site.events("priors.unavailable") == []
    site.store.close()


def test_both_ways_and_the_spool_give_the_same_report(archive: Orthanc, tmp_path: Path) -> None:
    uids = set()
    for way in ("dimse", "web", "spool"):
        (tmp_path / way).mkdir()
        site = site_in(tmp_path / way)
        if way == "spool":
            site.analyse(image(1, BEFORE), networks=Networks(EARLIER))
            site.analyse(image(2, "20200101"), image(2, "20200101", 2), networks=Networks({"Mass": 0.75}))
        site.analyse(image(9, NOW))
        asked = {} if way == "spool" else section(way, archive)
        uids |= {r.SOPInstanceUID for r in site.report(9, **asked)}
        (event,) = site.events("study.reported")
        assert len(event["priors"]) == 2, way
        site.store.close()
    assert len(uids) == 1


def test_an_archive_that_does_not_know_us_refuses_and_the_report_is_made(
    archive: Orthanc, tmp_path: Path
) -> None:
    archive.rest("/modalities/xrvnode", method="DELETE")
    try:
        site = site_in(tmp_path)
        site.analyse(image(9, NOW))
        assert len(site.report(9, **section("dimse", archive))) == 1
    finally:
        archive.introduce("xrvnode", "XRVNODE", free_port())
    (event,) = site.events("priors.unavailable")
    assert "it does not know our AE title XRVNODE" in said(event["why"])
    site.store.close()

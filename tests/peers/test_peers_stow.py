"""STOW-RS to Orthanc's DICOMweb: what it is sent, it has; what it refuses, is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import peer_archives
import peer_worked
import pytest
from peer_archives import Orthanc
from peer_node import command
from peer_programs import HOST, program
from pydicom import Dataset, dcmread
from worded import said

from xrv_node import report
from xrv_node.deliver.attempt import Outcome
from xrv_node.deliver.web import WebSender
from xrv_node.result_kinds import KINDS
from xrv_node.settings.destinations import WebDestination
from xrv_node.values import StoredResult

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc of its own, for its DICOMweb plugin."""
    program("Orthanc")
    if not Path(peer_archives.DICOMWEB).is_file():
        pytest.skip("Orthanc's DICOMweb plugin is not installed")
    with peer_archives.orthanc(tmp_path_factory.mktemp("orthanc"), web=True) as found:
        yield found


def url(archive: Orthanc) -> str:
    return f"http://{HOST}:{archive.http_port}/dicom-web"


def kept(directory: Path, made: Dataset, kind: str) -> StoredResult:
    """A result as the spool keeps it."""
    path = directory / f"{kind}.dcm"
    path.write_bytes(report.to_bytes(made, deflated=KINDS[kind].deflates))
    return StoredResult(kind, str(made.SOPClassUID), str(made.SOPInstanceUID), path)


def test_every_kind_arrives_as_it_is(archive: Orthanc, tmp_path: Path) -> None:
    made = {r.kind: r.dataset for r in report.build(peer_worked.study()[1], list(KINDS))}
    results = [kept(tmp_path, dataset, kind) for kind, dataset in made.items()]
    sender = WebSender(WebDestination(name="web", url=url(archive)), "XRVNODE")
    for _ in range(2):  # sent twice is there once
        attempts = list(sender.send(results))
        assert [(a.outcome, said(a.reason)) for a in attempts] == [(Outcome.DELIVERED, "")] * len(results)
    sender.close()
    assert archive.rest("/statistics")["CountInstances"] == len(results)
    for kind, dataset in made.items():
        (found,) = archive.rest("/tools/lookup", str(dataset.SOPInstanceUID))
        archive.save(found["ID"], tmp_path / "back.dcm")
        assert report.to_bytes(dcmread(tmp_path / "back.dcm")) == report.to_bytes(dataset), kind


def test_what_orthanc_cannot_read_is_not_called_delivered(archive: Orthanc, tmp_path: Path) -> None:
    (made,) = (r.dataset for r in report.build(peer_worked.study()[1], ["report"]))
    stored = kept(tmp_path, made, "report")
    del made.SOPInstanceUID  # an object without identity
    stored.path.write_bytes(report.to_bytes(made))
    sender = WebSender(WebDestination(name="web", url=url(archive)), "XRVNODE")
    (attempt,) = sender.send([stored])
    sender.close()
    assert (attempt.outcome, said(attempt.reason)) == (Outcome.REJECTED, "HTTP 400 Bad Request")


def test_check_tells_a_service_from_what_is_none(archive: Orthanc, tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(
        "".join(
            f'[[destinations]]\nname = "{name}"\nkind = "web"\nurl = "{address}"\n'
            for name, address in (("good", url(archive)), ("wrong", f"{url(archive)}-not"))
        )
    )
    before = archive.rest("/statistics")["CountInstances"]
    ran = command("destinations", "check", "--config", config)
    assert ran.returncode == 1
    lines = ran.stdout.splitlines()
    assert lines[0] == "good: good"
    assert lines[2:] == [
        "wrong: FAILED",
        f"  {url(archive)}-not: there is no STOW-RS service at `url` (HTTP 404 Not Found)",
    ]
    assert archive.rest("/statistics")["CountInstances"] == before

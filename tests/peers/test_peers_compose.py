"""What compose.yaml puts beside the node, without containers: Orthanc and nginx on the files that it mounts."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import peer_archives
import peer_node
import peer_objects
import peer_viewer
import pytest
from peer_programs import HOST, alive, find, missing, running, until
from ports import free_port

pytestmark = pytest.mark.peers

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peer_archives.Orthanc]:
    """Orthanc with the configuration for compose; only places and ports are this machine's."""
    if find("Orthanc") is None:
        pytest.skip(missing("Orthanc"))
    if not Path(peer_archives.DICOMWEB).exists():
        pytest.skip(missing("orthanc-dicomweb"))
    directory = tmp_path_factory.mktemp("archive")
    settings = json.loads((DOCKER / "orthanc" / "orthanc.json").read_text())
    found = peer_archives.Orthanc(
        peer_node.Destination("orthanc", settings["DicomAet"], free_port()), free_port()
    )
    settings |= {
        "StorageDirectory": str(directory / "db"),
        "IndexDirectory": str(directory / "db"),
        "Plugins": [peer_archives.DICOMWEB],
        "LuaScripts": [str(ROOT / "dicom_config" / "recipes" / Path(settings["LuaScripts"][0]).name)],
        "HttpPort": found.http_port,
        "DicomPort": found.destination.port,
    }
    log, config = directory / "orthanc.log", directory / "orthanc.json"
    config.write_text(json.dumps(settings))
    with running([str(find("Orthanc")), str(config)], log) as process:
        until(
            "answer of Orthanc",
            lambda: alive(process, log) or _status(found.http_port, "/system"),
            seconds=60,
        )
        yield found


@pytest.fixture(scope="module")
def viewer_port(archive: peer_archives.Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """nginx with the configuration for compose, before that Orthanc; OHIF itself is a page with one word."""
    directory = tmp_path_factory.mktemp("viewer")
    (directory / "html").mkdir()
    (directory / "html" / "index.html").write_text("OHIF")
    with peer_viewer.viewer(directory, directory / "html", orthanc=archive.http_port) as address:
        yield int(address.rpartition(":")[2])


def _status(port: int, path: str, method: str = "GET") -> int:
    request = urllib.request.Request(f"http://{HOST}:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_what_the_archive_gets_the_viewer_finds(
    archive: peer_archives.Orthanc, viewer_port: int, tmp_path: Path
) -> None:
    (image,) = peer_objects.study(77, "LATERAL")
    paths = peer_objects.save(tmp_path / "sent", [image])
    to = f"{archive.destination.ae_title}@{HOST}:{archive.destination.port}"
    assert peer_node.command("send", *paths, "--to", to, "--calling-ae", "MODALITY").returncode == 0
    address = f"http://{HOST}:{viewer_port}/dicom-web/studies"
    with urllib.request.urlopen(address, timeout=30) as answer:
        (study,) = json.load(answer)
    assert study["0020000D"]["Value"] == [image.StudyInstanceUID]
    # The addresses that it hands out are those of the viewer's server, not of a host that browsers cannot reach.
    assert study["00081190"]["Value"][0].startswith(address)
    (job,) = archive.rest("/jobs?expand")
    assert (job["Type"], job["Content"]["RemoteAet"]) == ("DicomModalityStore", peer_node.AE_TITLE)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/app-config.js", 200),
        ("GET", "/viewer?StudyInstanceUIDs=1.2.3", 200),
        ("POST", "/dicom-web/studies", 403),
        ("DELETE", "/dicom-web/studies/1.2.3", 403),
        ("GET", "/instances", 200),
    ],
)
def test_the_viewer_serves_itself_and_reads(viewer_port: int, method: str, path: str, status: int) -> None:
    assert _status(viewer_port, path, method) == status


def test_only_dicomweb_is_passed_on(viewer_port: int) -> None:
    with urllib.request.urlopen(f"http://{HOST}:{viewer_port}/instances", timeout=30) as answer:
        assert answer.read() == b"OHIF"

"""Archives of others: dcmtk's storescp, and Orthanc with its REST interface."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peer_node import Destination
from peer_programs import HOST, alive, find, run, running, until
from ports import free_port
from pydicom import dcmread

SENDER_AE = "PACS"
DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
"""Who the tests call from."""


@dataclass(frozen=True)
class Storescp:
    """A running ``storescp``: one file an object, and another one when it comes again."""

    destination: Destination
    directory: Path

    def files(self, study_uid: str) -> list[Path]:
        """What came of a study, in no order."""
        return [
            path
            for path in self.directory.iterdir()
            if dcmread(path, specific_tags=["StudyInstanceUID"]).StudyInstanceUID == study_uid
        ]


@contextmanager
def storescp(directory: Path, port: int | None = None) -> Iterator[Storescp]:
    """Run ``storescp``; it is there when it answers ``echoscu``."""
    destination = Destination("storescp", "STORESCP", port or free_port())
    log = directory.with_suffix(".log")
    directory.mkdir(exist_ok=True)
    # A child for each association, for the node may hold one open; data kept as it was sent.
    arguments = ["--fork", "+uf", "+B", "-aet", destination.ae_title, "-od", directory, destination.port]
    with running([str(find("storescp")), *map(str, arguments)], log) as process:

        def look() -> bool:
            alive(process, log)
            return run("echoscu", HOST, destination.port).returncode == 0

        until("answer of storescp", look, seconds=30)
        yield Storescp(destination, directory)


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc."""

    destination: Destination
    http_port: int

    def rest(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """Call its REST interface; a body that is no string goes as JSON."""
        data = None if body is None else body if isinstance(body, str) else json.dumps(body)
        request = urllib.request.Request(
            f"http://{HOST}:{self.http_port}{path}",
            data=None if data is None else data.encode(),
            method=method,
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def save(self, instance: str, path: Path) -> None:
        """Write one object to a file as Orthanc gives it out."""
        urllib.request.urlretrieve(f"http://{HOST}:{self.http_port}/instances/{instance}/file", path)

    def introduce(self, name: str, ae_title: str, port: int) -> None:
        """Make it know a peer: it takes associations from it, and can send to it."""
        self.rest(f"/modalities/{name}", {"AET": ae_title, "Host": HOST, "Port": port}, method="PUT")

    def study(self, uid: str) -> str:
        """Its own name for a study that it has."""
        (found,) = [row["ID"] for row in self.rest("/tools/lookup", uid) if row["Type"] == "Study"]
        return str(found)

    def series(self, study_uid: str) -> list[dict[str, Any]]:
        """The series of a study."""
        rows: list[dict[str, Any]] = self.rest(f"/studies/{self.study(study_uid)}/series")
        return rows


@contextmanager
def orthanc(directory: Path, *, web: bool = False) -> Iterator[Orthanc]:
    """Run Orthanc with everything below `directory`, on this machine only; `web` for DICOMweb too."""
    found = Orthanc(Destination("orthanc", "ORTHANC", free_port()), free_port())
    directory.mkdir(exist_ok=True)
    log, config = directory / "orthanc.log", directory / "orthanc.json"
    config.write_text(
        json.dumps(
            {
                "Name": "peer",
                "StorageDirectory": str(directory / "db"),
                "IndexDirectory": str(directory / "db"),
                "Plugins": [DICOMWEB] if web else [],
                "HttpPort": found.http_port,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "DicomAet": found.destination.ae_title,
                "DicomPort": found.destination.port,
                "DicomCheckCalledAet": True,
                "DicomCheckModalityHost": True,
                "DicomAlwaysAllowEcho": False,
                "DicomAlwaysAllowStore": False,
                "OverwriteInstances": True,
                "UnknownSopClassAccepted": web,
                "DicomWeb": {"Enable": web, "Root": "/dicom-web/", "StudiesMetadata": "Full"},
                "DicomModalities": {"sender": [SENDER_AE, HOST, 104]},
            }
        )
    )
    with running([str(find("Orthanc")), "--verbose", str(config)], log) as process:

        def look() -> bool:
            alive(process, log)
            try:
                return bool(found.rest("/system")["DicomAet"] == found.destination.ae_title)
            except (urllib.error.URLError, ConnectionError):
                return False

        until("answer of Orthanc", look, seconds=60)
        yield found

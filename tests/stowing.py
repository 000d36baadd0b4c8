"""A node that listens over HTTP, what is stored there, and what it answers."""

from __future__ import annotations

import http.client
import shutil
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from io import BytesIO
from pathlib import Path
from typing import Any

from made import radiograph
from pydicom import Dataset, dcmwrite
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from sqlalchemy import select

from xrv_node.db import queries
from xrv_node.db.repeats import Repeats
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.web import server as web
from xrv_node.web.node import WebNode

RELATED = 'multipart/related; type="application/dicom"; boundary={}'
HEADER = b"Content-Type: application/dicom\r\n"


def part10(dataset: Dataset, syntax: str = ExplicitVRLittleEndian, **meta: Any) -> bytes:
    """The object as a DICOM file; `meta` replace or, when None, remove what its meta information has."""
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.preamble = b"theirs".ljust(128, b"\0")
    for keyword, value in meta.items():
        if value is None:
            del dataset.file_meta[keyword]
        else:
            setattr(dataset.file_meta, keyword, value)
    buffer = BytesIO()
    little, implicit = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
    dcmwrite(buffer, dataset, little_endian=little, implicit_vr=implicit, enforce_file_format=not meta)
    return buffer.getvalue()


def file(number: int = 1, study: int = 1, **attributes: Any) -> bytes:
    """A radiograph as a DICOM file."""
    return part10(radiograph(number, study, **attributes))


def dataset_of(part: bytes) -> bytes:
    """What of a DICOM file follows its meta information."""
    return part[144 + int.from_bytes(part[140:144], "little") :]


def related(*contents: bytes, boundary: str = "edge", header: bytes = HEADER, end: bool = True) -> bytes:
    """A body with these parts."""
    edge = b"--" + boundary.encode()
    return b"".join(edge + b"\r\n" + header + b"\r\n" + content + b"\r\n" for content in contents) + (
        edge + b"--\r\n" if end else b""
    )


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    headers: Message
    text: str

    @property
    def listed(self) -> dict[str, Any]:
        """Instances and reasons: stored, failed, and failed without a name."""
        found = Dataset.from_json(self.text)
        return {
            "stored": [str(item.ReferencedSOPInstanceUID) for item in found.get("ReferencedSOPSequence", [])],
            "failed": {
                str(item.ReferencedSOPInstanceUID): int(item.FailureReason)
                for item in found.get("FailedSOPSequence", [])
            },
            "unnamed": [int(item.FailureReason) for item in found.get("OtherFailuresSequence", [])],
        }

    @property
    def warnings(self) -> list[str]:
        """The values of the header Warning."""
        return self.headers.get_all("Warning") or []


@dataclass(frozen=True)
class Site:
    """A node that listens."""

    port: int
    store: Store
    spool: Spool
    repeats: Repeats | None = None
    """Where this process counts refusals."""

    @property
    def url(self) -> str:
        """Of its DICOMweb."""
        return f"http://127.0.0.1:{self.port}/dicom-web"

    def post(
        self,
        body: bytes | Iterable[bytes],
        kind: str = RELATED.format("edge"),
        study: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        """Store, and what is answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            address = f"/dicom-web/studies/{study}" if study else "/dicom-web/studies"
            connection.request("POST", address, body, {"Content-Type": kind, **(headers or {})})
            answer = connection.getresponse()
            return Said(answer.status, answer.msg, answer.read().decode())
        finally:
            connection.close()

    def begun(self, body: bytes, length: int | None = None) -> socket.socket:
        """A connection on which a request was begun: its header and so much of its body."""
        connection = socket.create_connection(("127.0.0.1", self.port), 60)
        size = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
        kind = RELATED.format("edge")
        head = (
            f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{size}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        return connection

    def instances(self) -> list[str]:
        """SOP Instance UIDs on record."""
        with self.store.read() as db:
            return list(db.scalars(select(Instance.sop_instance_uid).order_by(Instance.id)))

    def files(self) -> list[Path]:
        """What lies in the spool."""
        return sorted(path for path in (self.spool.root / "spool").rglob("*") if path.is_file())

    def forget(self, empty: Path) -> None:
        """Let it have nothing any more; `empty` is an empty database."""
        if self.repeats:
            self.repeats.flush()
        its = self.store.engine.url.database or ""
        with closing(sqlite3.connect(empty)) as nothing, closing(sqlite3.connect(its)) as database:
            nothing.backup(database)
        shutil.rmtree(self.spool.root / "spool", ignore_errors=True)

    def events(self) -> list[str]:
        """Names of what is on the trail."""
        with self.store.read() as db:
            return [event["event"] for event in queries.events(db)]


@contextmanager
def site(store: Store, folder: Path, **tables: Any) -> Iterator[Site]:
    """A node whose configuration has these tables."""
    wanted = {"web": {}} | tables
    wanted["web"] = {"enabled": True, "port": 0} | wanted["web"]
    settings = Settings(node={"data_dir": folder}, **wanted)
    node = WebNode(settings, store, Spool(folder))
    with web.start(node) as server:
        yield Site(server.server_port, store, node.spool, node.repeats)

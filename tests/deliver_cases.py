"""Results to deliver, and an HTTP service whose answers a test can choose."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from http_peer import serving
from made import radiograph

from xrv_node.db import queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Job
from xrv_node.jobs import outbox
from xrv_node.result_kinds import KINDS
from xrv_node.spool import Spool
from xrv_node.values import StoredResult

SOP_CLASSES = {name: kind.sop_classes[0] for name, kind in KINDS.items()}


def result(tmp_path: Path, number: int = 1, kind: str = "seg") -> StoredResult:
    """An object of a kind's SOP class, as the spool keeps it."""
    dataset = radiograph(number, SOPClassUID=SOP_CLASSES[kind])
    path = tmp_path / "results" / str(dataset.StudyInstanceUID) / f"{dataset.SOPInstanceUID}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return StoredResult(kind, SOP_CLASSES[kind], str(dataset.SOPInstanceUID), path)


def deliver(store: Store, spool: Spool, sender: Any) -> None:
    """Do the deliver jobs of ``pacs`` that are due, as the courier does."""
    claims = queue.claim(store, "deliver", owner="t", limit=20, destination="pacs")
    outbox.deliver(store, spool, "pacs", sender, claims)


def states(store: Store) -> list[tuple[str, str | None, str]]:
    """State and last status of each delivery with its job's state, in order."""
    with store.read() as db:
        return [
            (d.state, d.status, j.state)
            for d, j in zip(db.query(Delivery).order_by("id"), db.query(Job).order_by("id"), strict=True)
        ]


@dataclass
class Service:
    """An HTTP service that answers each POST with what a test has set."""

    code: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/dicom+json"})
    body: bytes = b""
    seconds: float = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)
    port: int = 0


@contextmanager
def service(context: ssl.SSLContext | None = None) -> Iterator[Service]:
    """Run a :class:`Service` on this machine, over TLS where a context is given."""
    made, gone = Service(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.requests.append((self.path, dict(self.headers), body))
            made.connections.add(self.client_address)
            gone.wait(made.seconds)
            self.send_response(made.code)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with serving(Handler, gone, context) as made.port:
        yield made

"""An archive for the tests, and what is sent to it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deliver_cases import SOP_CLASSES, result
from pydicom import dcmread
from pydicom.uid import (
    UID,
)
from pydicom.valuerep import PersonName
from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification

from xrv_node.deliver.attempt import Attempt
from xrv_node.report.envelope import to_bytes
from xrv_node.settings.destinations import DimseDestination
from xrv_node.values import StoredResult


class Peer:
    """An archive whose behaviour a test can choose."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.syntaxes: list[str] = []
        self.sizes: list[int] = []
        self.associations = 0
        self.echoes: list[int] = []
        """Of each C-ECHO, how many objects had come before it."""
        self.answer: int | str = 0
        self.ae = AE(ae_title="ARCHIVE")
        self.port = 0

    def start(self, *classes: str, context: ssl.SSLContext | None = None, **options: Any) -> None:
        for sop_class in classes or tuple(SOP_CLASSES.values()):
            self.ae.add_supported_context(sop_class, *options.get("syntaxes", []))
        self.ae.add_supported_context(Verification)
        self.ae.require_calling_aet = options.get("calling", [])
        self.ae.require_called_aet = True
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_ACCEPTED, self._accepted),
        ]
        server: Any = self.ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers, ssl_context=context
        )
        self.port = server.server_address[1]

    def _echo(self, _event: Event) -> int:
        self.echoes.append(len(self.received))
        return 0

    def _accepted(self, _event: Event) -> None:
        self.associations += 1

    def _store(self, event: Event) -> int:
        if self.answer == "abort":
            event.assoc.abort()
            return 0
        self.received.append(event.dataset)
        self.syntaxes.append(UID(event.context.transfer_syntax).name)
        self.sizes.append(len(event.request.DataSet.getvalue()))
        return int(self.answer)


def destination(port: int, **changes: Any) -> DimseDestination:
    fields: dict[str, Any] = {
        "name": "pacs", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port,
    }  # fmt: skip
    return DimseDestination(**(fields | changes))


def deflated(
    tmp_path: Path, number: int = 1, kind: str = "seg", name: bytes = b"Muster^Maria"
) -> StoredResult:
    """A result as the spool keeps large ones; `name`: the patient's, in Latin-1 with ISO 2022 escapes."""
    stored = result(tmp_path, number, kind)
    dataset = dcmread(stored.path)
    dataset.SpecificCharacterSet = ["ISO 2022 IR 6", "ISO 2022 IR 100"]
    dataset.PatientName = PersonName("x", original_string=name)
    stored.path.write_bytes(to_bytes(dataset, deflated=True))
    return stored


def only(attempts: Iterator[Attempt]) -> Attempt:
    (attempt,) = attempts
    return attempt

"""An archive that keeps no images, only what it said it stored; a test chooses how it behaves.

As a program, ``python tests/faults/fault_archive.py FILE``, it prints its port, appends a line an object to FILE
and ends with its standard input.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from typing import IO, Any

from pynetdicom import AE, evt
from pynetdicom.events import Event

from xrv_node.result_kinds import KINDS
from xrv_node.values import VERIFICATION

TITLE = "ARCHIVE"


@dataclass(frozen=True, slots=True)
class Held:
    """An object that the archive answered for with Success or a warning."""

    sop_class_uid: str
    sop_instance_uid: str
    sha256: str
    """Of the data set as it came."""


@dataclass
class Archive:
    """Takes every kind of result."""

    statuses: list[int] = field(default_factory=list)
    """Answers to the next objects; Success after them."""
    aborts: int = 0
    """How many of the next objects it takes whole and then aborts instead of answering."""
    seconds: float = 0
    """How long it thinks about each."""
    held: list[Held] = field(default_factory=list)
    asked: int = 0
    port: int = 0
    to: IO[str] | None = None
    """Where to write what it holds, instead of into `held`."""

    def __post_init__(self) -> None:
        self._lock, self._stopped = Lock(), Flag()
        self._server: Any = None

    def start(self, calling: tuple[str, ...] = ()) -> Archive:
        """Listen, on the port that it had before; `calling`: refuse all other AE titles."""
        ae = AE(ae_title=TITLE)
        ae.require_calling_aet = list(calling)
        for uid in {VERIFICATION, *(uid for kind in KINDS.values() for uid in kind.sop_classes)}:
            ae.add_supported_context(uid)
        self._stopped.clear()
        self._server = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        self.port = self._server.server_address[1]
        return self

    def stop(self) -> None:
        """Go down, with whatever is under way."""
        self._stopped.set()
        self._server.ae.shutdown()

    @property
    def destination(self) -> str:
        """Its table in a node's configuration."""
        return (
            f'[[destinations]]\nname = "pacs"\nkind = "dimse"\nae_title = "{TITLE}"\n'
            f'host = "127.0.0.1"\nport = {self.port}\n'
        )

    def _store(self, event: Event) -> int:
        self._stopped.wait(self.seconds)
        with self._lock:
            self.asked += 1
            status = self.statuses.pop(0) if self.statuses else 0
            aborts, self.aborts = self.aborts > 0, max(self.aborts - 1, 0)
        if aborts:
            event.assoc.abort()
            return 0xC000  # which is not sent
        if status == 0 or 0xB000 <= status <= 0xBFFF:
            request: Any = event.request
            self._keep(
                Held(
                    str(request.AffectedSOPClassUID),
                    str(request.AffectedSOPInstanceUID),
                    hashlib.sha256(request.DataSet.getvalue()).hexdigest(),
                )
            )
        return status

    def _keep(self, held: Held) -> None:
        with self._lock:
            if self.to is None:
                self.held.append(held)
            else:
                print(held.sop_class_uid, held.sop_instance_uid, held.sha256, file=self.to, flush=True)


def read(path: Path) -> list[Held]:
    """What an archive that ran as a program holds."""
    return [Held(*line.split()) for line in path.read_text().splitlines()]


def main() -> None:
    """Listen until standard input ends."""
    with Path(sys.argv[1]).open("w") as file:
        archive = Archive(to=file).start()
        print(archive.port, flush=True)
        sys.stdin.read()
        archive.stop()


if __name__ == "__main__":
    main()

"""The two ends of the demo: a receiving archive in this process, and the node in its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.events import Event

from xrv_node.errors import XrvNodeError
from xrv_node.result_kinds import KINDS, kind_of
from xrv_node.spool import is_uid
from xrv_node.values import VERIFICATION

ARCHIVE_AE = "DEMOARCHIVE"
CANNOT_UNDERSTAND = 0xC000


@contextmanager
def archive(directory: Path) -> Iterator[int]:
    """A receiving archive in this process: one file an object below `directory`.

    Yields
    ------
    int
        The port that it listens on.
    """

    def store(event: Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        study, instance = str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID)
        if not (is_uid(study) and is_uid(instance)):
            return CANNOT_UNDERSTAND
        place = directory / study
        place.mkdir(parents=True, exist_ok=True)
        kind = kind_of(dataset) or "object"
        dataset.save_as(place / f"{kind}-{instance}.dcm", enforce_file_format=True)
        return 0x0000

    ae = AE(ae_title=ARCHIVE_AE)
    ae.add_supported_context(VERIFICATION)
    for uid in {uid for kind in KINDS.values() for uid in kind.sop_classes}:
        ae.add_supported_context(uid)
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield int(server.server_address[1])
    finally:
        ae.shutdown()


@contextmanager
def node(config: Path, log: Path, *, commissioning: bool) -> Iterator[int]:
    """``xrv-node serve`` as a process of its own, stopped with SIGTERM at the end.

    Yields
    ------
    int
        The port that it listens on.

    Raises
    ------
    XrvNodeError
        When it ends before it is ready; its log says why.
    """
    command = [sys.executable, "-m", "xrv_node", "serve", "--config", str(config)]
    if commissioning:
        command.append("--commissioning")
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=os.environ)
        try:
            yield _port(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    line = process.stdout.readline().decode() if process.stdout else ""
    if " is ready: " not in line:
        process.wait()
        raise XrvNodeError(f"the node did not start; {log} says why: {log.read_text()[-500:].strip()}")
    # Whatever it says later must not fill the pipe.
    threading.Thread(target=lambda: list(process.stdout or ()), daemon=True).start()
    return int(line.split(",")[0].rpartition(":")[2])

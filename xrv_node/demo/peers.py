"""The node of the demo, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xrv_node.errors import XrvNodeError


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

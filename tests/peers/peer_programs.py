"""Programs of others that the node is tested against: found, run, started, waited for and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import forked
import pytest
from serving import wait

T = TypeVar("T")

HOST = "127.0.0.1"
ENVIRONMENT = str(Path(sys.executable).parent)
PLACES = [
    *(
        place for place in os.get_exec_path() if place != ENVIRONMENT
    ),  # pynetdicom has a storescu and so on too
    "/usr/sbin",  # where Debian puts Orthanc, and only root's PATH leads
]


def find(name: str) -> str | None:
    """Where a program is, or None; with ``XRV_NODE_PEERS=required``, as in CI, the test fails instead."""
    found = shutil.which(name, path=os.pathsep.join(PLACES))
    if found is None and os.environ.get("XRV_NODE_PEERS") == "required":
        pytest.fail(missing(name))
    return found


def program(name: str) -> str:
    """Where a program is; without it the test is skipped, or fails as in :func:`find`."""
    return find(name) or pytest.skip(missing(name))


def missing(name: str) -> str:
    """The reason for a skipped test."""
    return f"{name} is not installed"


def run(name: str, *arguments: str | Path | int, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it says on both channels is in ``stdout``."""
    return subprocess.run(
        [program(name), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )


def until(what: str, look: Callable[[], T], *, seconds: float, pause: float = 0.2) -> T:
    """Look until what is found is true, as :func:`serving.wait` does."""
    return wait(look, seconds, what, pause=pause)


@contextmanager
def running(
    command: Sequence[str | Path],
    log: Path,
    *,
    stdout: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the background, told to stop at the end and then waited for.

    Parameters
    ----------
    log
        Gets its standard error, and its standard output where `stdout` is None.
    """
    with log.open("ab") as errors, (stdout or log).open("ab") as output:
        process = forked.Popen(
            [str(c) for c in command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def alive(process: subprocess.Popen[bytes], log: Path) -> None:
    """Fail with the end of its log when a program that should run has ended."""
    if process.poll() is not None:
        pytest.fail(
            f"{process.args!r} ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}"
        )

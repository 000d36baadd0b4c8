"""Processes that came about in another: found and ended. As a program, it waits for its parent to be killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import sleep

OWNER = "PYTEST_OWNER"
"""In the environment of every process that came about in one of pytest: whose it is."""
_PARENT_DEATH_SIGNAL = 1


def children(pid: int | str = "self") -> set[int]:
    """The living processes that a process started or adopted."""
    found = set[int]()
    with suppress(OSError):  # it has ended meanwhile
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):  # its thread has
                found.update(map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split()))
    return set(filter(alive, found))


def descendants(pid: int | str = "self") -> list[int]:
    """The living processes below a process."""
    found = list[int]()
    rest = list(children(pid))
    while rest:
        found.append(rest.pop())
        rest.extend(children(found[-1]))
    return found


def processor_time(pid: int) -> float:
    """Seconds that a process and its ended children have worked; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def alive(pid: int) -> bool:
    """Whether a process is there and not just waiting to be waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def end(roots: Iterable[int]) -> None:
    """Kill these processes and all below them: stopped first, so that none starts another meanwhile."""
    found, rest = list[int](), list(filter(alive, roots))
    while rest:
        found.append(rest.pop())
        _signal(found[-1], signal.SIGSTOP)
        rest.extend(children(found[-1]))
    for pid in found:
        _signal(pid, signal.SIGKILL)
    while any(map(alive, found)):
        sleep(0.01)


def guard(parent: int) -> None:
    """Wait until the parent has ended, however it did, and kill what is left of what it started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGUSR1, 0, 0, 0)
    if os.getppid() == parent:
        signal.sigwait([signal.SIGUSR1])
    mark = f"{OWNER}={os.environ[OWNER]}".encode()
    while left := [pid for pid in _all() if pid != os.getpid() and _has(pid, mark)]:
        end(left)


def _all() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _has(pid: int, mark: bytes) -> bool:
    try:
        return alive(pid) and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    guard(int(sys.argv[1]))

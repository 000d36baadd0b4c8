"""Which processes a node has: each holds a lock on a file, which ends with it, however it ends."""

from __future__ import annotations

import fcntl
import itertools
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROLES = ("receiver", "worker", "courier")
"""The processes that a node cannot do without."""


@contextmanager
def hold_role(data_dir: Path, role: str) -> Iterator[str]:
    """Hold a role's first lock that is free; its number makes a name that one living process has at a time.

    The holder may take over what the last one of its name left (`queue.recover`): that process has ended.

    Yields
    ------
    str
        ``<host>/<role>-<number>``.
    """
    with ExitStack() as stack:
        for number in itertools.count():
            try:
                stack.enter_context(lock(data_dir / "run" / f"{role}-{number}.lock"))
            except BlockingIOError:
                continue
            yield f"{socket.gethostname()}/{role}-{number}"
            return


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; BlockingIOError when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def holders(data_dir: Path, role: str) -> int:
    """How many living processes have the role.

    To look, it takes a shared lock for some microseconds. A process that starts at that very moment takes the
    next number, and what its predecessor had in hand waits until the leases run out.
    """
    return sum(_is_held(path) for path in (data_dir / "run").glob(f"{role}-*.lock"))


def is_serving(data_dir: Path) -> bool:
    """Whether a ``serve`` holds this data directory."""
    return _is_held(data_dir / "run" / "serve.lock")


def is_held(data_dir: Path, name: str) -> bool:
    """Whether a living process holds the lock ``<role>-<number>``."""
    return _is_held(data_dir / "run" / f"{name}.lock")


def _is_held(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False

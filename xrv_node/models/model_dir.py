"""The model directory as a place on disk: several users and processes share it, and some may only read it."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from xrv_node import durable
from xrv_node.errors import WeightsError


def is_here(file: Path) -> bool:
    """Whether a file is in the model directory, and this user may read it.

    Raises
    ------
    WeightsError
        It is there and cannot be read, or the directory cannot be looked into.
    """
    try:
        with file.open("rb"):
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise WeightsError(
            f"{file} cannot be read ({error.strerror}): make it and its directory readable for this user"
        ) from error


def make_ready(directory: Path) -> None:
    """Make the directory where need be, and find out that it can be written before hours of work are done.

    Raises
    ------
    WeightsError
        It cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # tried and not asked for: os.access knows nothing of what a file server allows
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise _not_writable(directory, error) from error


@contextmanager
def alone(directory: Path, name: str) -> Iterator[None]:
    """Let one process at a time get the weights of a name; another waits until it is done or dead.

    Raises
    ------
    WeightsError
        The directory cannot be written, or its file system has no locks.
    """
    make_ready(directory)
    with ExitStack() as stack:
        try:
            file = stack.enter_context((directory / f"{name}.lock").open("a"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise _not_writable(directory, error) from error
        yield


def write(file: Path, data: bytes) -> None:
    """Write a file of the model directory, whole or not at all, for all users to read.

    Raises
    ------
    WeightsError
        It cannot be written.
    """
    try:
        part = durable.draft(file.parent, [data])
        part.chmod(0o644)  # a draft is its writer's alone, and the worker may be another user
        durable.keep(part, file)
    except OSError as error:
        raise _not_writable(file.parent, error) from error


def _not_writable(directory: Path, error: OSError) -> WeightsError:
    return WeightsError(
        f"{directory} cannot be written ({error.strerror}): run this command as the user who owns it, or "
        "name another model directory with --dir, or `dir` under [models]"
    )

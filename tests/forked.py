"""``xrv-node`` as a process of its own, forked from one that has loaded the libraries already.

Importing torch, highdicom and the rest costs a process some ten seconds of processor time, and the tests start
hundreds of them. So each process of pytest starts one helper that imports the libraries, none of our modules, and
forks whatever is asked for. What is forked is a process like any other: a child of the one that asked, with its
own arguments, environment, working directory and standard channels, which can be killed and waited for; it
imports ``xrv_node`` itself. The processes that a forked ``serve`` starts come about in the same way.

A process that needs another environment for its interpreter or its libraries is started, and not forked.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib.util
import inspect
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

LIBRARIES = [
    "torch",
    "torchvision",
    "numpy",
    "cv2",
    "pydicom",
    "pynetdicom",
    "highdicom",
    "safetensors.torch",
    "reportlab.pdfgen.canvas",
    "imagecodecs",
    "sqlalchemy.orm",
    "sqlalchemy.dialects.sqlite",
    "alembic.command",
    "apscheduler.schedulers.background",
    "dicomweb_client",
    "typer",
    "rich.progress",
    "rich.traceback",
    "structlog",
    "pydantic_settings",
    "prometheus_client",
    "pandas",
    "scipy.stats",
    "sklearn.metrics",
    "matplotlib.figure",
]
FIXED = ("PYTHON", "LD_", "OMP_", "MKL_", "OPENBLAS_", "ONEDNN_", "ATEN_", "KMP_", "TORCH", "CUDA_")
"""What an interpreter or a library reads when it is loaded: how the names of these variables begin."""
ENVIRONMENT = {
    os.fsdecode(name): os.fsdecode(value)
    for name, _, value in (
        line.partition(b"=") for line in Path("/proc/self/environ").read_bytes().split(b"\0")
    )
    if name
}
"""What this process was started with: libraries that are loaded in it add to ``os.environ`` (cv2, torch)."""
AS_MAIN = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
"""What ``xrv_node.cli.main`` sets before anything is loaded; a test compares."""
COMMAND = [sys.executable, "-m", "xrv_node"]
ROOM = 8192
"""Bytes for the arguments of a forked process, as ``ps`` shows them."""
_SUBREAPER = 36
_NAMES = list(inspect.signature(subprocess.Popen._execute_child).parameters)[1:]  # type: ignore[attr-defined]


class Helper:
    """The process that forks, as the one that asks sees it."""

    current: ClassVar[Helper | None] = None

    def __init__(self, door: socket.socket, pid: int) -> None:
        self.door = door
        self.pid = pid

    def fork(self, request: Mapping[str, Any], channels: Sequence[int]) -> int:
        """Fork a process with these three channels; returns its id. It is a child of this process."""
        socket.send_fds(self.door, [json.dumps(request).encode()], channels)
        return int(self.door.recv(32))


def adopt_orphans() -> None:
    """Have descendants of this process whose parent has ended become its children: Linux's child subreaper."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def helper() -> Helper:
    """The helper of this process, started when it is first needed."""
    if Helper.current is None:
        adopt_orphans()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), " " * ROOM],
                stdin=subprocess.DEVNULL, env=AS_MAIN | ENVIRONMENT, pass_fds=[theirs.fileno()],
                start_new_session=True,
            )  # fmt: skip
        Helper.current = Helper(ours, process.pid)
        atexit.register(lambda: (ours.close(), process.wait()))
    return Helper.current


class Popen(subprocess.Popen[Any]):
    """``subprocess.Popen``, but that ``python -m xrv_node`` is forked where it can be."""

    def _execute_child(self, *given: Any) -> None:
        told = dict(zip(_NAMES, given, strict=True))
        command = [os.fsdecode(word) for word in told["args"]]
        environment = dict(os.environ if told["env"] is None else told["env"])
        if command[:3] != COMMAND or told["preexec_fn"] or _fixed(environment) != _fixed(ENVIRONMENT):
            super()._execute_child(*given)  # type: ignore[misc]
            return
        channels = [told[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        request = {
            "arguments": command,
            "environment": environment,
            "directory": os.path.abspath(told["cwd"] or os.curdir),
            "session": told["start_new_session"],
            "first": _first(environment),
        }
        self.pid = helper().fork(request, [own if fd == -1 else fd for own, fd in enumerate(channels)])
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(told[name] for name in ends))  # type: ignore[attr-defined]


def run(
    command: Sequence[str | Path],
    *,
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """``subprocess.run`` by this module's :class:`Popen`."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **options) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, output, errors)
    if check:
        done.check_returncode()
    return done


def _fixed(environment: Mapping[str, str]) -> dict[str, str]:
    told = {
        key: ENVIRONMENT.get(key)
        if value == os.environ.get(key)
        else value  # not what a library has set here
        for key, value in environment.items()
    }
    whole = AS_MAIN | {key: value for key, value in told.items() if value is not None}
    found = {key: value for key, value in whole.items() if key.startswith(FIXED)}
    if _first(environment):  # places to look for modules first are no other interpreter
        found["PYTHONPATH"] = ENVIRONMENT.get("PYTHONPATH", "")
    return {key: value for key, value in found.items() if value}


def _first(environment: Mapping[str, str]) -> list[str]:
    """What stands in ``PYTHONPATH`` before what the helper has there."""
    wanted, there = (each.get("PYTHONPATH", "") for each in (environment, ENVIRONMENT))
    return wanted.removesuffix(there).split(os.pathsep) if wanted != there and wanted.endswith(there) else []


# ---------------------------------------------------------------- in the helper, and in what it forks


def _serve(door: socket.socket) -> dict[str, Any]:
    """Fork what is asked for until nobody is left who could ask; returns in every forked process.

    It forks twice and the process between ends, so that the new one becomes a child of the nearest process above
    that adopts orphans, which is the one that asked.
    """
    while True:
        message, channels, _, _ = socket.recv_fds(door, 1 << 20, 3)
        if not message:
            os._exit(0)
        ours, theirs = os.pipe()
        between = os.fork()
        if between == 0:
            forked = os.fork()
            if forked:
                os.write(theirs, str(forked).encode())
                os._exit(0)
            for number, channel in enumerate(channels):
                os.dup2(channel, number)
            os.closerange(3, max(*channels, door.fileno(), ours, theirs) + 1)
            door.detach()
            request: dict[str, Any] = json.loads(message)
            return request
        os.waitpid(between, 0)
        door.send(os.read(ours, 32))
        for descriptor in (*channels, ours, theirs):
            os.close(descriptor)


def _become(request: Mapping[str, Any]) -> None:
    """Be the process that was asked for, from here on."""
    command = request["arguments"]
    if request["session"]:
        os.setsid()
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["directory"]
    sys.path[1:1] = filter(None, request["first"])
    sys.argv, sys.orig_argv = ["-m", *command[3:]], command
    _show(command)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, f"__{name}__")
        made = os.fdopen(
            number, "w" if number else "r", encoding=old.encoding, errors=old.errors, closefd=False
        )
        made.reconfigure(line_buffering=number == 2 or os.isatty(number))
        setattr(sys, name, made)
        setattr(sys, f"__{name}__", made)
    sys.modules["numpy"].random.seed()
    sys.modules.pop("sitecustomize", None)
    if request["first"] and importlib.util.find_spec("sitecustomize"):
        importlib.import_module("sitecustomize")
    if not {"serve", "demo"}.isdisjoint(command) and "--only" not in command:
        _have_a_helper()


def _have_a_helper() -> None:
    """Fork a helper for the processes that this one will start, as long as it has one thread and nothing open."""
    adopt_orphans()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):
            os.dup2(nothing, number)
        os.close(nothing)
        _show([*COMMAND, "helper"])
        _become(_serve(theirs))
        return
    theirs.close()
    Helper.current = Helper(ours, pid)
    subprocess.Popen = Popen  # type: ignore[misc]


def _show(command: Sequence[str]) -> None:
    """Have ``ps`` and ``/proc`` show these arguments: they are written over those of the helper."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, size = int(fields[45]), int(fields[46]) - int(fields[45])
    ctypes.memset(start, 0, size)
    ctypes.memmove(start, text := b"\0".join(map(os.fsencode, command))[: size - 1], len(text))


def main() -> None:
    """Load the libraries, fork what is asked for, and run ``xrv_node`` in what is forked."""
    door = socket.socket(fileno=int(sys.argv[1]))
    for name in LIBRARIES:
        with suppress(ImportError):  # those of an extra
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a forked process would write on every page, and so copy it
    assert len(os.listdir("/proc/self/task")) == 1, "only a process with a single thread can be forked safely"
    _become(_serve(door))
    code = 0
    try:
        runpy.run_module("xrv_node", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    _end(code)


def _end(code: int) -> None:
    """End as Python does, but without taking apart what the libraries have made: that takes two seconds."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for channel in (sys.stdout, sys.stderr):
        with suppress(OSError):
            channel.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

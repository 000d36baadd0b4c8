"""Starts the processes of each role, starts again what dies, and stops them all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO, Literal, get_args

import structlog

from xrv_node import settings as configuration
from xrv_node.settings import Settings
from xrv_node.values import PHANTOM_WORDS

log = structlog.get_logger("node")

Role = Literal["receiver", "worker", "courier", "web"]
ROLES: tuple[Role, ...] = get_args(Role)

SUPERVISED = "XRV_NODE_SUPERVISED"
"""Set for children: their standard input is a pipe that ends when the supervisor does."""
FIRST, AGAIN = "first", "again"
"""Its values: whether the process was started before."""

DRAIN_SECONDS = 60
"""How long SIGTERM waits for jobs in hand; what is left then is taken up at the next start."""

STABLE_SECONDS = 30
"""A process that ran so long before it ended is started again at once."""

FIRST_SECONDS = 300
"""What a process finds wrong so soon after its first start was wrong from the start: loading libraries and
networks takes minutes on a slow machine."""

MISCONFIGURED = 2
"""Exit code of a process that found something that a person gave it to be wrong."""


@dataclass
class Child:
    """A process and its restarts."""

    role: Role
    process: subprocess.Popen[bytes]
    started: float
    first: bool = True
    """Not started again yet."""
    failures: int = 0
    restart_at: float | None = None

    def within(self, seconds: float) -> bool:
        """Whether it was started less than so long ago."""
        return monotonic() - self.started < seconds


@dataclass
class Supervisor:
    """Starts the processes of each role, starts again what dies, and stops them all."""

    config: Path | None
    settings: Settings
    commissioning: bool
    announce: Callable[[str], None]
    children: list[Child] = field(default_factory=list)
    port: int | None = None
    """The port that the receiver got, so that a restarted one gets it again."""

    def run(self, stop: threading.Event) -> int:
        """Supervise until `stop` is set, or a process finds at its first start that it cannot work.

        Returns
        -------
        int
            0, or ``MISCONFIGURED``: starting such a process again would only say the same again.
        """
        counts = {"receiver": self.settings.receive.processes, "web": int(self.settings.web.enabled)}
        self.children = [self._start(role) for role in ROLES for _ in range(counts.get(role, 1))]
        while not stop.wait(0.1):
            first = (child for child in self.children if child.first and child.within(FIRST_SECONDS))
            if any(child.process.poll() == MISCONFIGURED for child in first):
                return MISCONFIGURED
            self.children = [self._mind(child) for child in self.children]
        return 0

    def stop(self) -> bool:
        """Ask all to finish, and wait; True when all did in time."""
        for child in self.children:
            child.process.terminate()
        deadline = monotonic() + DRAIN_SECONDS
        clean = True
        for child in self.children:
            try:
                child.process.wait(max(deadline - monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                log.error("did not stop in time; its jobs are taken up at the next start", role=child.role)
                child.process.kill()
                child.process.wait()
                clean = False
        return clean

    def _start(self, role: Role, *, first: bool = True) -> Child:
        command = [sys.executable, "-m", "xrv_node", "serve", "--only", role]
        if self.config is not None:
            command += ["--config", str(self.config)]
        if self.commissioning:
            command.append("--commissioning")
        environment = os.environ | {SUPERVISED: FIRST if first else AGAIN}
        if role == "receiver" and self.port is not None:
            environment[f"{configuration.ENV_PREFIX}RECEIVE__PORT"] = str(self.port)
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if role == "receiver" else None,
            start_new_session=True,  # a Ctrl-C at the terminal is the supervisor's to pass on
        )
        if process.stdout is not None:
            threading.Thread(target=self._listen, args=(process.stdout,), daemon=True).start()
        return Child(role, process, monotonic(), first=first)

    def _listen(self, output: IO[bytes]) -> None:
        for line in output:
            word, _, port = line.decode(errors="replace").strip().partition(" ")
            if word == "listening" and self.port is None:
                self.port = int(port)
                self.announce(self._ready_line())

    def _ready_line(self) -> str:
        mode = f" {PHANTOM_WORDS}." if self.commissioning else ""
        receive = self.settings.receive
        who = ", ".join(receive.allowed_calling_ae) or "any AE title (receive.allowed_calling_ae)"
        return (
            f"xrv-node is ready: {receive.ae_title} at {receive.host}:{self.port}, accepts {who}.{mode} "
            "Research software, not a medical device."
        )

    def _mind(self, child: Child) -> Child:
        """The child, or the one that takes its place."""
        code = child.process.poll()
        if code is None:
            return child
        now = monotonic()
        if child.restart_at is None:
            child.failures = child.failures + 1 if child.within(STABLE_SECONDS) else 0
            wait = 0.0 if child.failures <= 1 else min(2.0 ** (child.failures - 2), 30.0)
            child.restart_at = now + wait
            log.error("a process ended; starting it again", role=child.role, code=code, seconds=wait)
        if now < child.restart_at:
            return child
        again = self._start(child.role, first=False)
        again.failures = child.failures
        return again

"""Starts the processes of each role, starts again what dies, and stops them all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO, Literal, get_args

import structlog

from xrv_node import renewal
from xrv_node import settings as configuration
from xrv_node.errors import ConfigError, XrvNodeError
from xrv_node.settings import Settings
from xrv_node.values import PHANTOM_WORDS

log = structlog.get_logger("node")

Role = Literal["receiver", "worker", "courier", "web"]
ROLES: tuple[Role, ...] = get_args(Role)

SUPERVISED = "XRV_NODE_SUPERVISED"
"""Set for children: their standard input is a pipe that ends when the supervisor does."""
FIRST, AGAIN, REPLACED = "first", "again", "replaced"
"""Its values: whether it is the first of its place, or one ended before it, or made way for it."""

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
    leaving: bool = False
    """Told to finish, for another configuration holds: its successor is started when it has ended; a
    receiver's listens already."""
    listening: threading.Event = field(default_factory=threading.Event)
    """Of a receiver."""

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
    renew: Callable[[Settings], Settings]
    """Reads the configuration anew, after the present one; XrvNodeError where a node would not run by it."""
    taken: Callable[[Settings, Sequence[Role]], None]
    """Told what holds now, and which roles are started anew for it."""
    children: list[Child] = field(default_factory=list)
    successors: list[Child] = field(default_factory=list)
    """Receivers that do not listen yet; the present ones are told to go when all do."""
    port: int | None = None
    """The port that the receiver got, so that a restarted one gets it again."""

    def __post_init__(self) -> None:
        self._keys = renewal.keys(self.settings)
        self._due: set[Role] = set()

    def run(self, stop: threading.Event, reload: threading.Event) -> int:
        """Supervise until `stop` is set, or a process finds at its first start that it cannot work.

        Parameters
        ----------
        reload
            Set when the configuration is to be read anew.

        Returns
        -------
        int
            0, or ``MISCONFIGURED``: starting such a process again would only say the same again.
        """
        self.children = [self._start(role) for role in ROLES for _ in range(self._wanted(role))]
        while not stop.wait(0.1):
            first = (child for child in self.children if child.first and child.within(FIRST_SECONDS))
            if any(child.process.poll() == MISCONFIGURED for child in first):
                return MISCONFIGURED
            self.children = [self._mind(child) for child in self.children if not self._has_left(child)]
            if self._due:
                self._replace()
            elif reload.is_set():
                reload.clear()
                self._reload()
        return 0

    def _wanted(self, role: Role, settings: Settings | None = None) -> int:
        now = settings or self.settings
        counts = {"receiver": now.receive.processes, "web": int(now.web.enabled)}
        return counts.get(role, 1)

    def _due_for(self, new: Settings, changed: Sequence[str]) -> list[Role]:
        """The roles that go by what changed, of those that run or are to run."""
        there = {child.role for child in self.children}
        concerned = (role for role in ROLES if renewal.concerns(role, changed))
        return [role for role in concerned if role in there or self._wanted(role, new)]

    def _reload(self) -> None:
        """Take the configuration as it is now, where a node would run by it."""
        try:
            new = self.renew(self.settings)
            keys = renewal.keys(new)
            if not (changed := renewal.changed(self._keys, keys)):
                log.info("the configuration is as it was")
                return
            if fixed := [key for key in renewal.FIXED if key in changed]:
                raise ConfigError(f"{', '.join(fixed)}: another start changes this, and no reload")
            due = self._due_for(new, changed)
            self.taken(new, due)
        except XrvNodeError as error:
            why = " ".join(str(error).split())
            log.error("the configuration is not taken, nothing changes", why=why)
            return
        except Exception:
            log.exception("the configuration is not taken, nothing changes")
            return
        self.settings, self._keys, self._due = new, keys, set(due)
        log.info("the configuration is taken", changed=changed, restarts=due)

    def _replace(self) -> None:
        """Go on to replace the processes that are due: each when its predecessor has ended, the receivers
        when all others are there, and listen."""
        for role in [role for role in ROLES if role in self._due and role != "receiver"]:
            present = [child for child in self.children if child.role == role]
            for child in present:
                if not child.leaving:
                    child.leaving = True
                    child.process.terminate()
            if not present:
                self.children += [self._start(role, REPLACED) for _ in range(self._wanted(role))]
                self._due.discard(role)
        if self._due == {"receiver"}:
            self._succeed()

    def _succeed(self) -> None:
        """Start receivers beside those that there are, and let these go once the new ones listen."""
        if not self.successors:
            self.successors = [self._start("receiver", REPLACED) for _ in range(self._wanted("receiver"))]
        if any(child.process.poll() is not None for child in self.successors):
            log.error("a new receiver did not start: the old ones go on, by the configuration of before")
            for child in self.successors:
                child.leaving = True
                child.process.terminate()
        elif all(child.listening.is_set() for child in self.successors):
            for child in self.children:
                if child.role == "receiver" and not child.leaving:
                    child.leaving = True
                    child.process.send_signal(signal.SIGHUP)
        else:
            return
        self.children += self.successors
        self.successors, self._due = [], set()

    def _has_left(self, child: Child) -> bool:
        return child.leaving and child.process.poll() is not None

    def stop(self) -> bool:
        """Ask all to finish, and wait; True when all did in time."""
        children = [*self.children, *self.successors]
        for child in children:
            child.process.terminate()
        deadline = monotonic() + DRAIN_SECONDS
        clean = True
        for child in children:
            try:
                child.process.wait(max(deadline - monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                log.error("did not stop in time; its jobs are taken up at the next start", role=child.role)
                child.process.kill()
                child.process.wait()
                clean = False
        return clean

    def _start(self, role: Role, how: str = FIRST) -> Child:
        command = [sys.executable, "-m", "xrv_node", "serve", "--only", role]
        if self.config is not None:
            command += ["--config", str(self.config)]
        if self.commissioning:
            command.append("--commissioning")
        environment = os.environ | {SUPERVISED: how}
        if role == "receiver" and self.port is not None and not self.settings.receive.port:
            environment[f"{configuration.ENV_PREFIX}RECEIVE__PORT"] = str(self.port)
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if role == "receiver" else None,
            start_new_session=True,  # a Ctrl-C at the terminal is the supervisor's to pass on
        )
        child = Child(role, process, monotonic(), first=how == FIRST)
        if process.stdout is not None:
            threading.Thread(target=self._listen, args=(child, process.stdout), daemon=True).start()
        return child

    def _listen(self, child: Child, output: IO[bytes]) -> None:
        for line in output:
            word, _, port = line.decode(errors="replace").strip().partition(" ")
            if word == "listening":
                before, self.port = self.port, int(port)
                child.listening.set()
                if before is None:
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
        again = self._start(child.role, AGAIN)
        again.failures = child.failures
        return again

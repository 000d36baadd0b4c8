"""The composition root: starts, supervises and stops the node's processes. It alone knows every room.

``serve`` runs one process a role. They share nothing but the database and the spool, so each can die and be
started again without the others noticing: receiver, worker (one a device), courier (outbox and clock).
"""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO, Any, Literal, get_args

import structlog

from xrv_node import settings as configuration
from xrv_node.audit import trail
from xrv_node.audit.store import Store
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.receive.spool import Spool
from xrv_node.settings import Settings

log = structlog.get_logger("node")

Role = Literal["receiver", "worker", "courier"]
ROLES: tuple[Role, ...] = get_args(Role)

SUPERVISED = "XRV_NODE_SUPERVISED"
"""Set for children: their standard input is a pipe that ends when the supervisor does."""

DRAIN_SECONDS = 60
"""How long SIGTERM waits for jobs in hand; what is left then is taken up at the next start."""

STABLE_SECONDS = 30
"""A process that ran so long before it ended is started again at once."""


# ---------------------------------------------------------------- the roles


def run_receiver(settings: Settings, stop: threading.Event) -> None:
    """Listen until told to stop; associations that are open then are served to their end."""
    from xrv_node.receive import dimse

    store, spool = _state(settings)
    spool.clear_drafts()
    server = dimse.start(settings, store, spool)
    port = server.server_address[1]
    print(f"listening {port}", flush=True)
    log.info("listening", ae_title=settings.receive.ae_title, host=settings.receive.host, port=port)
    stop.wait()
    dimse.drain(server, DRAIN_SECONDS / 2)
    store.close()


def run_worker(settings: Settings, stop: threading.Event, *, commissioning: bool) -> None:
    """Load the models, then analyse and report until told to stop."""
    from xrv_node import models
    from xrv_node.analyse import job as analyse
    from xrv_node.analyse.local import LocalAnalyser
    from xrv_node.jobs import queue, worker
    from xrv_node.report import job as report

    store, spool = _state(settings)
    with seat(settings.data_dir, "worker") as owner:
        queue.recover(store, owner)
        networks = models.load_set(
            *settings.models.names,
            settings.models_dir,
            commissioning=commissioning,
            device=settings.models.device,
        )
        analyser = LocalAnalyser(networks)
        log.info("models loaded", device=networks.device, models=[m.name for m in networks.identity.models])
        handlers = [
            # Reports first: they are what somebody waits for, and take a fraction of a second.
            worker.Handler("report", lambda c: report.run(settings, store, spool, networks.identity, c)),
            worker.Handler(
                "analyse",
                lambda c: analyse.run(store, spool, analyser, c),
                limit=16 if networks.device.startswith("cuda") else 1,  # a CPU gains nothing from batches
            ),
        ]
        worker.work(store, handlers, owner=owner, stop=stop)
    store.close()


def run_courier(settings: Settings, stop: threading.Event) -> None:
    """Deliver results and mind the clock until told to stop."""
    from xrv_node.deliver import outbox
    from xrv_node.jobs import queue, schedule

    store, spool = _state(settings)
    with seat(settings.data_dir, "courier") as owner:
        queue.recover(store, owner)
        scheduler = schedule.start(store, settings.study.quiet_seconds)
        outbox.run(settings, store, spool, owner=owner, stop=stop)
        stop.wait()
        scheduler.shutdown()
    store.close()


def run_role(role: Role, settings: Settings, *, commissioning: bool) -> None:
    """Run one role in this process until SIGTERM or SIGINT, or until its supervisor is gone."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if os.environ.get(SUPERVISED):
        threading.Thread(target=_until_orphaned, args=(stop,), daemon=True).start()
    if role == "receiver":
        run_receiver(settings, stop)
    elif role == "worker":
        run_worker(settings, stop, commissioning=commissioning)
    else:
        run_courier(settings, stop)


def _until_orphaned(stop: threading.Event) -> None:
    while os.read(0, 1):  # not sys.stdin: its buffer's lock is still wanted when the interpreter ends
        pass
    stop.set()


def _state(settings: Settings) -> tuple[Store, Spool]:
    store = Store(settings.database_url)
    store.require_current()
    return store, Spool(settings.data_dir)


# ---------------------------------------------------------------- seats


@contextmanager
def seat(data_dir: Path, role: str) -> Iterator[str]:
    """Hold a seat: a name that one living process has at a time.

    Its holder may take over what the seat's last holder left (``queue.recover``): the lock on the seat's
    file ends with the process, however it ends.

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


def is_serving(data_dir: Path) -> bool:
    """Whether a ``serve`` holds this data directory."""
    try:
        with lock(data_dir / "run" / "serve.lock"):
            return False
    except BlockingIOError:
        return True


# ---------------------------------------------------------------- checks before anything starts


def check(settings: Settings, *, commissioning: bool) -> None:
    """Find what would keep the node from running, before it runs.

    Raises
    ------
    ConfigError
        A directory that cannot be written.
    WeightsError
        Weights that are not there.
    """
    data_dir = settings.data_dir
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"node.data_dir: {data_dir} cannot be made ({error.strerror})") from error
    if not os.access(data_dir, os.W_OK):
        raise ConfigError(f"node.data_dir: {data_dir} is not writable for this user")
    if not commissioning:
        check_weights(settings)


def check_weights(settings: Settings) -> None:
    """Refuse to serve without weights, with the command that helps.

    Raises
    ------
    WeightsError
        Naming each missing model.
    """
    from xrv_node import models

    missing = models.missing(settings.models.names, settings.models_dir)
    if missing:
        pulls = "\n".join(f"  xrv-node models pull {name}" for name in missing)
        raise WeightsError(
            f"no weights for {', '.join(missing)} in {settings.models_dir}. Get them with\n{pulls}\n"
            "or, without internet, `xrv-node models import FILE`. To set up routes and screens first, "
            "`serve --commissioning` runs untrained networks and marks everything as no result."
        )


# ---------------------------------------------------------------- supervision


@dataclass
class Child:
    """A process and its restarts."""

    role: Role
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0
    restart_at: float | None = None


@dataclass
class Supervisor:
    """Starts one process a role, starts again what dies, and stops them all."""

    config: Path | None
    settings: Settings
    commissioning: bool
    announce: Callable[[str], None]
    children: dict[Role, Child] = field(default_factory=dict)
    port: int | None = None
    """The port that the receiver got, so that a restarted one gets it again."""

    def run(self, stop: threading.Event) -> None:
        """Supervise until `stop` is set."""
        for role in ROLES:
            self.children[role] = self._start(role)
        while not stop.wait(0.1):
            for child in list(self.children.values()):
                self._mind(child)

    def stop(self) -> bool:
        """Ask all to finish, and wait; True when all did in time."""
        for child in self.children.values():
            child.process.terminate()
        deadline = monotonic() + DRAIN_SECONDS
        clean = True
        for child in self.children.values():
            try:
                child.process.wait(max(deadline - monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                log.error("did not stop in time; its jobs are taken up at the next start", role=child.role)
                child.process.kill()
                child.process.wait()
                clean = False
        return clean

    def _start(self, role: Role) -> Child:
        command = [sys.executable, "-m", "xrv_node", "serve", "--only", role]
        if self.config is not None:
            command += ["--config", str(self.config)]
        if self.commissioning:
            command.append("--commissioning")
        environment = os.environ | {SUPERVISED: "1"}
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
        return Child(role, process, monotonic())

    def _listen(self, output: IO[bytes]) -> None:
        for line in output:
            word, _, port = line.decode(errors="replace").strip().partition(" ")
            if word == "listening" and self.port is None:
                self.port = int(port)
                self.announce(self._ready_line())

    def _ready_line(self) -> str:
        mode = " COMMISSIONING - NOT A RESULT: untrained networks." if self.commissioning else ""
        receive = self.settings.receive
        who = ", ".join(receive.allowed_calling_ae) or "any AE title (receive.allowed_calling_ae)"
        return (
            f"xrv-node is ready: {receive.ae_title} at {receive.host}:{self.port}, accepts {who}.{mode} "
            "Research software, not a medical device."
        )

    def _mind(self, child: Child) -> None:
        code = child.process.poll()
        if code is None:
            return
        now = monotonic()
        if child.restart_at is None:
            child.failures = 0 if now - child.started > STABLE_SECONDS else child.failures + 1
            wait = 0.0 if child.failures <= 1 else min(2.0 ** (child.failures - 2), 30.0)
            child.restart_at = now + wait
            log.error("a process ended; starting it again", role=child.role, code=code, seconds=wait)
        elif now >= child.restart_at:
            again = self._start(child.role)
            again.failures = child.failures
            self.children[child.role] = again


def serve(
    settings: Settings,
    config: Path | None,
    *,
    commissioning: bool,
    announce: Callable[[str], None],
) -> bool:
    """Run the node until SIGTERM or SIGINT; True when everything in hand was finished.

    Parameters
    ----------
    config
        The configuration file, for the children.
    announce
        Gets one line when the node is ready to receive.

    Raises
    ------
    ConfigError, WeightsError
        From :func:`check`, or when another ``serve`` has the data directory.
    """
    check(settings, commissioning=commissioning)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(settings.data_dir / "run" / "serve.lock"))
        except BlockingIOError:
            raise ConfigError(
                f"node.data_dir: another `xrv-node serve` uses {settings.data_dir}; stop it or choose another"
            ) from None
        store = Store(settings.database_url)
        store.migrate()
        _on_record(store, "node.started", commissioning=commissioning, name=settings.node.name)
        supervisor = Supervisor(config, settings, commissioning, announce)
        try:
            supervisor.run(stop)
        finally:
            clean = supervisor.stop()
            _on_record(store, "node.stopped", clean=clean)
            store.close()
        return clean


def _on_record(store: Store, event: str, **detail: Any) -> None:
    with store.begin() as db:
        trail.record(db, event, **detail)

"""The C-STORE receivers that ``bench_receive`` compares: this node, and what a site would take instead."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from xrv_node.db.store import Store

HOST = "127.0.0.1"
ROUTER = "ROUTER"
"""Environment variable with the path of the program ``dicom-ai-router``, where it is installed."""

# An environment's own storescp is pynetdicom's; Debian puts Orthanc where only root's PATH leads.
PLACES = [p for p in os.get_exec_path() if p != str(Path(sys.executable).parent)] + ["/usr/sbin"]


@dataclass(frozen=True)
class Receiver:
    """How to run one receiver."""

    name: str
    ae_title: str
    port: int
    durable: str
    """What is on disk when it answers."""
    commands: tuple[tuple[str, ...], ...]
    """One a process."""
    directory: Path
    """Where its objects land."""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def forks(self) -> bool:
        """Whether a process of its own serves each association: what it took is not seen from here."""
        return any("--fork" in command for command in self.commands)


@dataclass(frozen=True)
class Running:
    """A receiver that answers."""

    receiver: Receiver
    processes: list[subprocess.Popen[bytes]]

    def cpu_seconds(self) -> float:
        """Processor time that its processes have taken, with that of children that have ended."""
        ticks = 0
        for process in self.processes:
            words = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, words[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        """Peak resident memory of its processes together."""
        lines = [
            line
            for process in self.processes
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
        ]
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    def objects(self) -> list[Path]:
        """The files of the objects that it holds; Orthanc has its index beside them."""
        files = (p for p in self.receiver.directory.rglob("*") if p.is_file())
        return [p for p in files if p.stat().st_size > 1 << 19 and not p.name.startswith("index")]

    def forget(self) -> None:
        """Make room for the next round; what it has in its database stays."""
        for path in self.objects():
            path.unlink()


def find(name: str) -> str | None:
    """Where a program is."""
    return shutil.which(name, path=os.pathsep.join(PLACES))


def receivers(directory: Path) -> list[Receiver]:
    """All that are installed here."""
    found = [_ours(directory / "ours", 1), _ours(directory / "ours-2", 2)]
    if storescp := find("storescp"):
        common = (storescp, "-aet", "STORESCP", "-od")
        for name, options, environment in (
            ("dcmtk storescp, as shipped", (), {}),
            ("dcmtk storescp, tuned", ("+B", "-pdu", "131072", "--fork"), {"TCP_NODELAY": "1"}),
        ):
            place, port = directory / name.replace(" ", "-"), free_port()
            place.mkdir()
            command = (*common, str(place), *options, str(port))
            found.append(Receiver(name, "STORESCP", port, "nothing", (command,), place, environment))
    if orthanc := find("Orthanc"):
        for name, environment in (
            ("Orthanc, as shipped", {}),
            ("Orthanc, TCP_NODELAY", {"TCP_NODELAY": "1"}),
        ):
            found.append(_orthanc(orthanc, name, directory / name.replace(" ", "-"), environment))
    for name, options in (("pynetdicom storescp", ()), ("pynetdicom storescp, 128 KiB", ("-pdu", "131072"))):
        place, port = directory / name.replace(" ", "-"), free_port()
        place.mkdir()
        command = (
            sys.executable, "-m", "pynetdicom", "storescp", "-q", "-ba", HOST, *options,
            "-od", str(place), str(port),
        )  # fmt: skip
        found.append(Receiver(name, "STORESCP", port, "nothing", (command,), place))
    if router := os.environ.get(ROUTER):
        found.append(_router(router, directory / "router"))
    return found


@contextmanager
def running(receiver: Receiver) -> Iterator[Running]:
    """Run a receiver until the end of the block."""
    log = receiver.directory.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        processes = [
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={k: v for k, v in os.environ.items() if k != "TCP_NODELAY"} | receiver.environment,
            )
            for command in receiver.commands
        ]  # fmt: skip
    try:
        _until_it_answers(receiver, processes, log)
        yield Running(receiver, processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


def _ours(directory: Path, processes: int) -> Receiver:
    directory.mkdir()
    port, config = free_port(), directory / "node.toml"
    config.write_text(f"[receive]\nport = {port}\nprocesses = {processes}\n[log]\nlevel = 'warning'\n")
    store = Store(f"sqlite:///{directory / 'data' / 'xrv-node.sqlite'}")
    store.migrate()
    store.close()
    command = (sys.executable, "-m", "xrv_node", "serve", "--only", "receiver", "--config", str(config))
    return Receiver(
        "xrv-node" if processes == 1 else f"xrv-node, {processes} processes",
        "XRVNODE",
        port,
        "file, directory, row",
        (command,) * processes,
        directory / "data" / "spool" / "inputs",
    )


def _orthanc(program: str, name: str, directory: Path, environment: dict[str, str]) -> Receiver:
    directory.mkdir()
    port, config = free_port(), directory / "orthanc.json"
    config.write_text(
        json.dumps(
            {
                "StorageDirectory": str(directory / "db"),
                "IndexDirectory": str(directory / "db"),
                "Plugins": [],
                "HttpServerEnabled": False,
                "DicomAet": "ORTHANC",
                "DicomPort": port,
            }
        )
    )
    command = (program, str(config))
    return Receiver(name, "ORTHANC", port, "file", (command,), directory / "db", environment)


def _router(program: str, directory: Path) -> Receiver:
    """The router, with a rule that holds every study: it receives, and sends nothing anywhere."""
    directory.mkdir()
    port, config = free_port(), directory / "router.yaml"
    settings = {
        "router": {
            "ae_title": "AIROUTER", "port": port, "bind_address": HOST, "study_quiet_seconds": 3600,
            "workdir": str(directory / "data"),
        },
        "pacs": {"ae_title": "PACS", "host": HOST, "port": 1},
        "ai_endpoints": {},
        "rules": [{"name": "hold", "match": {"Modality": "."}, "model": None}],
        "deid": {"salt": "0123456789abcdef0123456789abcdef"},
    }  # fmt: skip
    config.write_text(json.dumps(settings))  # JSON is YAML
    command = (program, "serve", "--config", str(config))
    return Receiver("dicom-ai-router", "AIROUTER", port, "nothing", (command,), directory / "data" / "inbox")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _until_it_answers(receiver: Receiver, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
    end = monotonic() + 60
    while True:
        try:  # not C-ECHO: dicom-ai-router does not offer it
            socket.create_connection((HOST, receiver.port)).close()
        except OSError:
            ended = any(p.poll() is not None for p in processes)
            if ended or monotonic() > end:
                raise RuntimeError(f"{receiver.name} does not answer: {log.read_text()[-1000:]}") from None
            sleep(0.1)
        else:
            return

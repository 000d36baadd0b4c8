"""How fast objects are stored over HTTP (STOW-RS): this node beside Orthanc's plugin and beside its own C-STORE.

Interleaved rounds, medians, ratios. The sender is the same for all that speak HTTP: requests that are made beforehand
and written to a socket. C-STORE is sent by dcmtk's ``storescu``. Before each run the disk is idle.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import benching
from bench_receive import LOADS, Load, Took, send, written
from pydicom import dcmread
from pydicom.uid import generate_uid
from receivers import HOST, Receiver, Running, find, free_port, receivers, running

from xrv_node.db.store import Store

OURS, C_STORE, ORTHANC = "xrv-node", "xrv-node, C-STORE", "Orthanc"
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
EDGE = b"--an-edge-of-no-importance"
CLIENTS = 50
"""Of the run that looks at memory."""
LARGE = Load("240 MB", (12000, 10486), 16, 1)


@dataclass(frozen=True)
class Row:
    """What is compared."""

    load: Load
    clients: int
    peers: tuple[str, ...]


ROWS = (
    Row(LOADS[0], 1, (OURS, ORTHANC)),
    Row(LOADS[0], 4, (OURS, ORTHANC)),
    Row(LOADS[1], 1, (OURS, ORTHANC, C_STORE)),
    Row(LOADS[1], 4, (OURS, ORTHANC, C_STORE)),
)


def requests(file: Path, count: int, port: int) -> Iterator[bytes]:
    """Requests that store the object of a file under UIDs of their own."""
    content, uid = file.read_bytes(), str(dcmread(file, stop_before_pixels=True).SOPInstanceUID).encode()
    head, _, rest = content.partition(uid)
    between, _, behind = rest.partition(uid)
    for _ in range(count):
        other = generate_uid()[: len(uid)].ljust(len(uid), "1").encode()
        body = b"\r\n".join(
            (EDGE, b"Content-Type: application/dicom", b"", other.join((head, between, behind)), EDGE + b"--")
        )
        yield b"\r\n".join(
            (
                b"POST /dicom-web/studies HTTP/1.1",
                f"Host: localhost:{port}".encode(),
                b"Accept: application/dicom+json",
                b'Content-Type: multipart/related; type="application/dicom"; boundary=' + EDGE[2:],
                f"Content-Length: {len(body)}".encode(),
                b"",
                body,
            )
        )


def post(port: int, made: Sequence[bytes]) -> None:
    """Send requests over one connection, each after the answer to the one before."""
    with socket.create_connection((HOST, port)) as connection, connection.makefile("rb") as answers:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in made:
            connection.sendall(request)
            status, size = answers.readline(), 0
            while (line := answers.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    size = int(line.partition(b":")[2])
            said = answers.read(size)
            if b" 200 " not in status:
                raise RuntimeError(f"{status!r} {said[:200]!r}")


def store(to: Running, file: Path, count: int, clients: int) -> Took:
    """Store so many new objects with that many clients at once, and see that all are there."""
    port, before = to.receiver.port, len(to.objects())
    made = list(requests(file, count, port))
    os.sync()  # what another receiver has left to be written is not this one's
    failed: list[BaseException] = []

    def client(part: Sequence[bytes]) -> None:
        try:
            post(port, part)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=client, args=(made[n::clients],)) for n in range(clients)]
    cpu, began = to.cpu_seconds(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = Took(time.perf_counter() - began, to.cpu_seconds() - cpu)
    stored = len(to.objects()) - before
    if failed or stored != count:
        raise RuntimeError(f"{to.receiver.name}: {stored} of {count} are there, {failed[:1]}")
    return took


def peers(directory: Path) -> dict[str, Receiver]:
    """All that are installed here."""
    found = {OURS: _ours(directory / "ours-web"), C_STORE: receivers(directory)[0]}
    if (orthanc := find("Orthanc")) and Path(PLUGIN).exists():
        found[ORTHANC] = _orthanc(orthanc, directory / "orthanc-web")
    return found


def _ours(directory: Path) -> Receiver:
    directory.mkdir()
    port, config = free_port(), directory / "node.toml"
    config.write_text(f"[web]\nenabled = true\nport = {port}\n[log]\nlevel = 'warning'\n")
    store = Store(f"sqlite:///{directory / 'data' / 'xrv-node.sqlite'}")
    store.migrate()
    store.close()
    command = (sys.executable, "-m", "xrv_node", "serve", "--only", "web", "--config", str(config))
    return Receiver(
        OURS, "", port, "file, directory, row", (command,), directory / "data" / "spool" / "inputs"
    )


def _orthanc(program: str, directory: Path) -> Receiver:
    directory.mkdir()
    port, config = free_port(), directory / "orthanc.json"
    config.write_text(
        json.dumps(
            {
                "StorageDirectory": str(directory / "db"),
                "IndexDirectory": str(directory / "db"),
                "Plugins": [PLUGIN],
                "HttpPort": port,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "DicomServerEnabled": False,
                "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            }
        )
    )
    return Receiver(ORTHANC, "", port, "file", ((program, str(config)),), directory / "db")


def compare(row: Row, there: dict[str, Running], file: Path, rounds: int) -> list[list[str]]:
    """Lines of the table for one row."""
    nodelay = os.environ | {"TCP_NODELAY": "1"}
    runs: dict[str, Callable[[], Took]] = {}
    for name in row.peers:
        if name == C_STORE and name in there:
            runs[name] = partial(send, there[name], file, row.load.objects, row.clients, dict(nodelay))
        elif name in there:
            runs[name] = partial(store, there[name], file, row.load.objects, row.clients)
    taken: dict[str, list[Took]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            took = run()
            if number:  # the first round warms up
                taken[name].append(took)
            there[name].forget()
    return [
        [
            row.load.name,
            str(row.clients),
            name,
            f"{row.load.objects / median(t.seconds for t in mine):.1f}",
            f"{1000 * median(t.cpu_seconds for t in mine) / row.load.objects:.1f}",
            f"{median(b.seconds / a.seconds for a, b in zip(taken[OURS], mine, strict=True)):.2f}",
            f"{median(b.cpu_seconds / a.cpu_seconds for a, b in zip(taken[OURS], mine, strict=True)):.2f}",
        ]
        for name, mine in taken.items()
    ]


def memory(receiver: Receiver, small: Path, large: Path, middle: Path) -> list[str]:
    """What one request of 240 MB adds to a new process, and the peak with many clients."""
    with running(receiver) as fresh:
        store(fresh, small, 4, 1)
        before = fresh.peak_mb()
        store(fresh, large, 1, 1)
        added = fresh.peak_mb() - before
    with running(receiver) as fresh:
        fresh.forget()
        store(fresh, middle, CLIENTS, CLIENTS)
        peak = fresh.peak_mb()
        fresh.forget()
    return [receiver.name, f"{before:.0f}", f"{added:+.0f}", f"{peak:.0f}"]


def version(program: str) -> str:
    """What Orthanc says it is."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return said.partition("\n")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-memory", action="store_true", help="leave the memory out")
    options = parser.parse_args()
    print(f"{version(find('Orthanc') or 'true')}; {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="bench-web-") as text:
        directory = Path(text)
        files = {load.name: written(load, directory / f"{load.bits}.dcm") for load in LOADS}
        found = peers(directory)
        lines: list[list[str]] = []
        with ExitStack() as stack:
            there = {name: stack.enter_context(running(one)) for name, one in found.items()}
            for row in ROWS:
                print(f"{row.load.name}, {row.clients} ...", file=sys.stderr)
                lines += compare(row, there, files[row.load.name], 2 if options.quick else options.rounds)
        benching.table(
            ["object", "clients", "receiver", "objects/s", "CPU ms/object", "times xrv-node's time", "CPU"],
            lines,
        )
        if not options.no_memory:
            print()
            large = written(LARGE, directory / "large.dcm")
            rows = [
                memory(found[name], files["1 MB"], large, files["15 MB"])
                for name in (OURS, ORTHANC)
                if name in found
            ]
            benching.table(["receiver", "MB", "with a request of 240 MB", f"MB, {CLIENTS} clients"], rows)


if __name__ == "__main__":
    main()

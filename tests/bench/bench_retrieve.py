"""How fast objects are fetched over HTTP (WADO-RS), beside Orthanc's plugin, and in how much memory.

Both have the same objects: a radiograph of 15 MB, and a hundred headers. Interleaved rounds, medians; a connection a
request. The node runs in a process of its own, whose memory is looked at.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import benching
import numpy as np
import structlog
from bench_index import PLUGIN
from pydicom.uid import ExplicitVRLittleEndian
from receivers import find

sys.path.append(str(Path(__file__).resolve().parents[1]))

from made import encoded, radiograph
from ports import free_port

from xrv_node.db.store import Store
from xrv_node.index import follow
from xrv_node.receive import intake
from xrv_node.receive.instance_rows import Incoming
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.web import server as web
from xrv_node.web.node import WebNode

LARGE, HEADERS, CLIENTS = 16, 100, 50
"""Images of 15 MB in the one study, headers in the other, and clients of the run that looks at memory."""
IMAGE = "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1"
STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = "multipart/related; type=application/octet-stream; transfer-syntax=*"
ASKED = {
    "metadata, one object": (f"{IMAGE}/metadata", "application/dicom+json"),
    f"metadata, {HEADERS} objects": ("/studies/1.2.3.2/metadata", "application/dicom+json"),
    "frame of 15 MB": (f"{IMAGE}/frames/1", OCTETS),
    "instance of 15 MB": (IMAGE, STORED),
    "rendered, JPEG": (f"{IMAGE}/rendered", "image/jpeg"),
}


def objects() -> Iterator[tuple[str, bytes]]:
    """SOP Instance UIDs, and data sets."""
    pixels = np.random.default_rng(1).integers(0, 4096, (3000, 2500)).astype("<u2").tobytes()
    for number in range(1, LARGE + 1):
        large = radiograph(number, 1, Rows=3000, Columns=2500, PixelData=pixels)
        yield large.SOPInstanceUID, encoded(large)
    for number in range(1, HEADERS + 1):
        small = radiograph(number, 2, Rows=16, Columns=16, PixelData=pixels[:512])
        yield small.SOPInstanceUID, encoded(small)


def serve(root: Path, told: Connection) -> None:
    """Be a node with these objects."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    settings = Settings(node={"data_dir": root}, web={"port": 0})
    store, spool = Store(settings.database_url), Spool(root)
    store.migrate()
    for uid, data in objects():
        sop_class = "1.2.840.10008.5.1.4.1.1.1"
        incoming = Incoming(sop_class, uid, str(ExplicitVRLittleEndian), "PACS", (data,))
        intake.accept(store, spool, settings.frontal, incoming)
    node = WebNode(settings, store, spool)
    follow.catch_up(node.index, store, spool, seconds=None)
    with web.start(node) as server:
        told.send(server.server_port)
        told.recv()


@contextmanager
def node(root: Path) -> Iterator[tuple[int, int]]:
    """A node in a process of its own; gives its port and process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(root, there))
    process.start()
    try:
        yield here.recv(), int(process.pid or 0)
    finally:
        here.send("end")
        process.join()


def ask(port: int, path: str, accept: str, pause: float = 0) -> int:
    """One request; returns how many bytes came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("GET", f"/dicom-web{path}", headers={"Accept": accept})
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status}")
    size = 0
    while piece := answer.read(1 << 20):
        size += len(piece)
        time.sleep(pause)
    connection.close()
    return size


def timed(run: Callable[[], object], process: int) -> tuple[float, float]:
    """Wall seconds, and processor seconds of a process."""
    before, began = spent(process), time.perf_counter()
    run()
    return time.perf_counter() - began, spent(process) - before


def spent(process: int) -> float:
    """Processor seconds of a process so far."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int, which: str) -> float:
    """Resident memory in MB: ``VmRSS`` now, ``VmHWM`` at most."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(which)).split()[1]) / 1024


def more(process: int, run: Callable[[], object]) -> tuple[float, float]:
    """By how many MB a process grows at most while something runs, and to what."""
    Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident(process, "VmRSS")
    run()
    return resident(process, "VmHWM") - before, resident(process, "VmHWM")


def crowd(port: int) -> None:
    """Fetch the large study by many clients at once that read slowly, for a while."""
    arguments = (port, "/studies/1.2.3.1", STORED, 0.02)
    clients = [threading.Thread(target=ask, args=arguments, daemon=True) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print(benching.machine())
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port, process = stack.enter_context(node(root))
        peers = {"xrv-node": (port, process)}
        if Path(PLUGIN).exists():
            peers["Orthanc"] = stack.enter_context(orthanc(root))
        rows = []
        for name, (path, accept) in ASKED.items():
            taken: dict[str, list[tuple[float, float]]] = {peer: [] for peer in peers}
            for number in range(rounds + 1):
                for peer, (at, whose) in peers.items():
                    one = timed(lambda at=at, path=path, accept=accept: ask(at, path, accept), whose)
                    if number:  # the first warms up
                        taken[peer].append(one)
            walls = [f"{1000 * median(wall for wall, _ in taken[peer]):.1f}" for peer in peers]
            used = [f"{1000 * sum(cpu for _, cpu in taken[peer]) / rounds:.1f}" for peer in peers]
            times = f"{benching.ratio(taken['Orthanc'], taken['xrv-node'], 0):.1f}" if len(peers) > 1 else ""
            rows.append([name, *walls, *used, times])
        columns = ["", *(f"{p} ms" for p in peers), *(f"{p} CPU ms" for p in peers), "times faster"]
        benching.table(columns, rows)
        grown = [
            [name, f"{by:.0f}", f"{to:.0f}"]
            for name, (by, to) in {
                "one request of 240 MB": more(process, lambda: ask(port, "/studies/1.2.3.1", STORED)),
                f"{CLIENTS} clients of 240 MB each": more(process, lambda: crowd(port)),
            }.items()
        ]
        benching.table(["", "more MB at most", "MB in all"], grown)


@contextmanager
def orthanc(root: Path) -> Iterator[tuple[int, int]]:
    """Orthanc with its plugin and the node's objects; gives its port and process."""
    port, folder = free_port(), root / "orthanc"
    folder.mkdir()
    config = {
        **{"HttpPort": port, "DicomServerEnabled": False, "AuthenticationEnabled": False},
        **{"StorageDirectory": str(folder), "IndexDirectory": str(folder), "Plugins": [PLUGIN]},
        **{"KeepAlive": True, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}},
    }
    (folder / "config.json").write_text(json.dumps(config))
    command = [str(find("Orthanc")), str(folder / "config.json")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for file in sorted((root / "spool" / "inputs").glob("*/*.dcm")):
            while not stored(port, file.read_bytes()):
                time.sleep(0.1)  # it is not up yet
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def stored(port: int, data: bytes) -> bool:
    """Whether Orthanc took an object."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/instances", data)
        return connection.getresponse().status == 200
    except ConnectionError:
        return False


if __name__ == "__main__":
    main()

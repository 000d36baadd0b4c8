"""A soak of the node over HTTP: many clients store studies while others read, and whether memory grows. Run by hand.

``python tests/faults/soak_web.py [--studies 5000] [--clients 50] [--readers 10]``

It starts ``xrv-node serve --only web`` on an empty folder. Each client stores small radiographs, a study each, one after
another; each reader searches, and fetches headers and a frame of what it found. Every few seconds it takes the memory of
the process. At the end every object that was acknowledged must be in the database and in the index, once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.request import Request, urlopen

from pydicom import dcmread
from pydicom.uid import generate_uid

sys.path.insert(0, str(Path(__file__).parents[1]))

import made
from ports import free_port
from sqlalchemy import func, select

from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Study

EVERY = 3.0
"""Seconds between samples."""
NAMES = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


class Template:
    """A radiograph under UIDs of its own each time."""

    def __init__(self, folder: Path) -> None:
        image = made.radiograph(1)
        for name in NAMES:
            setattr(image, name, "1.2." + "".join(str(ord(c) % 10) for c in name).ljust(40, "1")[:40])
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.save_as(folder / "image.dcm", enforce_file_format=True)
        self._bytes = (folder / "image.dcm").read_bytes()
        read = dcmread(folder / "image.dcm", stop_before_pixels=True)
        self._uids = [str(read[name].value).encode() for name in NAMES]

    def another(self) -> bytes:
        """The file."""
        content = self._bytes
        for uid in self._uids:
            content = content.replace(uid, generate_uid()[: len(uid)].ljust(len(uid), "1").encode())
        return content


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def asked(address: str, path: str, accept: str = "application/dicom+json", **more: bytes) -> bytes:
    """What is answered."""
    headers = {"Accept": accept, "Content-Type": "application/dicom"}
    with urlopen(Request(f"{address}/dicom-web{path}", headers=headers, **more), timeout=120) as answer:
        return bytes(answer.read())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--readers", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-web-") as text:
        folder, port = Path(text), free_port()
        (folder / "node.toml").write_text(
            f"[node]\ndata_dir = 'data'\n[web]\nenabled = true\nport = {port}\n[receive]\nmin_free_mb = 0\n"
            "resume_free_mb = 0\n[log]\nlevel = 'warning'\n"
        )
        url = f"sqlite:///{folder / 'data' / 'xrv-node.sqlite'}"
        store = Store(url)
        store.migrate()
        template = Template(folder)
        command = [
            sys.executable,
            "-m",
            "xrv_node",
            "serve",
            "--only",
            "web",
            "--config",
            str(folder / "node.toml"),
        ]
        with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            soak(options, f"http://127.0.0.1:{port}", template, process.pid, store)
            process.terminate()
        print((folder / "log").read_text()[-2000:])


def soak(options: argparse.Namespace, address: str, template: Template, pid: int, store: Store) -> None:
    """Store and read until all is stored; print what was seen."""
    while True:
        try:
            urlopen(f"{address}/health/live", timeout=5).close()
            break
        except OSError:
            time.sleep(0.2)
    over, failed, stored, reads = threading.Event(), [], [0], [0]
    lock = threading.Lock()

    def client(count: int) -> None:
        for _ in range(count):
            try:
                asked(address, "/studies", data=template.another())
                with lock:
                    stored[0] += 1
            except Exception as error:
                failed.append(repr(error))

    def reader() -> None:
        while not over.is_set():
            try:
                found = json.loads(asked(address, "/instances?limit=20"))
                for row in found[:2]:
                    study, series, one = (
                        row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")
                    )
                    path = f"/studies/{study}/series/{series}/instances/{one}"
                    asked(address, f"{path}/metadata")
                    asked(address, f"{path}/frames/1", "multipart/related; type=application/octet-stream")
                asked(address, "/studies?PatientName=d*&limit=101")
                with lock:
                    reads[0] += 1
            except Exception as error:
                failed.append(repr(error))

    each = [options.studies // options.clients] * options.clients
    clients = [threading.Thread(target=client, args=(count,)) for count in each]
    readers = [threading.Thread(target=reader) for _ in range(options.readers)]
    began = time.monotonic()
    for thread in (*clients, *readers):
        thread.start()
    samples: list[tuple[int, float]] = []
    while any(thread.is_alive() for thread in clients):
        time.sleep(EVERY)
        samples.append((stored[0], rss_mb(pid)))
        print(
            f"{time.monotonic() - began:6.0f} s  stored {stored[0]:5}  read {reads[0]:5}  {samples[-1][1]:6.0f} MB"
        )
    over.set()
    for thread in readers:
        thread.join()
    seconds = time.monotonic() - began
    with store.read() as db:
        rows = db.scalar(select(func.count()).select_from(Instance))
        studies = db.scalar(select(func.count()).select_from(Study))
    while len(json.loads(asked(address, f"/studies?limit=1&offset={studies - 1}"))) < 1:
        time.sleep(0.1)  # a search waits a few seconds for the index, and is answered with what is there then
    print(f"all of it is found {time.monotonic() - began - seconds:.0f} s later")
    offset, listed = 0, []
    while page := json.loads(asked(address, f"/studies?limit=1000&offset={offset}")):
        listed += [row["0020000D"]["Value"][0] for row in page]
        offset += len(page)
    half = samples[len(samples) // 2 :]
    print(
        f"{stored[0]} acknowledged in {seconds:.0f} s, {rows} objects and {studies} studies in the database, "
        f"{len(listed)} listed, {len(set(listed))} different; {reads[0]} rounds of reading; failed: {len(failed)} {failed[:3]}\n"
        f"memory in the second half: {min(mb for _, mb in half):.0f} to {max(mb for _, mb in half):.0f} MB"
    )


if __name__ == "__main__":
    main()

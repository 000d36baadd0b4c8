"""How long searches take over HTTP, with few studies and with many, and beside Orthanc with its plugin.

The rows are written directly, as they would be of studies of one radiograph and one report each. Interleaved
rounds, medians; one connection is kept. Orthanc, where it is installed, has the same radiographs as the
smaller node, without the reports.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import benching
import structlog
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from receivers import find
from sqlalchemy import insert, update

from xrv_node.db.store import Store
from xrv_node.index import dicom_json, levels, searched
from xrv_node.index.header import written
from xrv_node.index.index import Index
from xrv_node.index.tables import InstanceRow, SeriesRow, State, StudyRow, TextRow
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.web import server as web
from xrv_node.web.node import WebNode

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
CLASSES = ("1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.88.22")
FAMILIES = 997
"""Different family names, so that a name finds one study in so many."""

Ask = Callable[[], object]


def radiograph(number: int) -> Dataset:
    """The header of a study's radiograph."""
    day = date(2000, 1, 1) + timedelta(days=number % 9000)
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID, header.SOPInstanceUID = CLASSES[0], f"1.2.3.{number}.1.1"
    header.StudyInstanceUID, header.SeriesInstanceUID = f"1.2.3.{number}", f"1.2.3.{number}.1"
    header.StudyDate, header.StudyTime = f"{day:%Y%m%d}", f"{number % 24:02}3015"
    header.AccessionNumber, header.StudyID = f"ACC{number:07}", str(number)
    header.PatientName = f"Fam{number * 7919 % FAMILIES:03}^Given{number}"
    header.PatientID, header.PatientBirthDate, header.PatientSex = f"PID{number:07}", "19600101", "F"
    header.ReferringPhysicianName, header.StudyDescription = "Ref^A", "Thorax p.a."
    header.Modality, header.SeriesNumber, header.InstanceNumber = "CR", 1, 1
    header.SeriesDescription, header.Rows, header.Columns, header.BitsAllocated = "PA", 16, 16, 16
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsStored, header.HighBit, header.PixelRepresentation = 12, 11, 0
    return header


def fill(index: Index, studies: int) -> None:
    """Write the rows of so many studies."""
    now = datetime.now(UTC)
    for first in range(1, studies + 1, 5000):
        rows: dict[Any, list[dict[str, Any]]] = {t: [] for t in (StudyRow, SeriesRow, InstanceRow, TextRow)}
        for number in range(first, min(first + 5000, studies + 1)):
            _study(number, now, rows)
        with index.begin() as db:
            for table, values in rows.items():
                db.execute(insert(table), values)
    with index.begin() as db:
        db.execute(update(State).values(study=None, event=0, style=index.chosen.key))


def _study(number: int, now: datetime, rows: dict[Any, list[dict[str, Any]]]) -> None:
    attributes, uid = dicom_json.of(radiograph(number)), f"1.2.3.{number}"
    counted = levels.counted(
        InstanceAvailability=["ONLINE"],
        ModalitiesInStudy=["CR", "SR"],
        NumberOfStudyRelatedSeries=[2],
        NumberOfStudyRelatedInstances=[2],
    )
    study = {"id": number, "study_instance_uid": uid, "instances": 2, "source": 2 * number}
    study["answer"] = written(levels.answer("study", attributes | counted, f"/studies/{uid}"))
    study["attributes"] = written(levels.of("study", attributes))
    rows[StudyRow].append(study | searched.study(attributes))
    for keyword, text in searched.names(attributes):
        rows[TextRow].append({"keyword": keyword, "text": text, "study_id": number, "series_id": None})
    for nth, (sop_class, modality) in enumerate(zip(CLASSES, ("CR", "SR"), strict=True), 1):
        own = attributes | {"00080060": {"vr": "CS", "Value": [modality]}}
        one, row = f"{uid}.{nth}", 2 * number + nth - 1
        series = {"id": row, "study_id": number, "series_instance_uid": one, "instances": 1, "source": row}
        series["answer"] = written(levels.answer("series", own, f"/studies/{uid}/series/{one}"))
        series["attributes"] = written(levels.of("series", own))
        rows[SeriesRow].append(series | searched.series(own))
        rows[InstanceRow].append(
            {
                **{"id": row, "study_id": number, "series_id": row, "study_instance_uid": uid},
                **{"series_instance_uid": one, "sop_instance_uid": f"{one}.1", "sop_class_uid": sop_class},
                **{"transfer_syntax_uid": ExplicitVRLittleEndian, "path": f"{one}.dcm", "size": 1},
                **{"sha256": "", "result": nth == 2, "purged": False, "listed": True, "frames": 1},
                **{"instance_number": 1, "pixel_offset": None, "pixel_length": None, "received_at": now},
                "answer": written(
                    levels.answer("instance", own, f"/studies/{uid}/series/{one}/instances/{one}.1")
                ),
            }
        )


SEARCHES = {
    "a page of 101": "limit=101",
    "a page of 101, filtered by modality": "limit=101&ModalitiesInStudy=CR",
    "a page of 101 from the middle": "limit=101&offset={middle}",
    "by date": "StudyDate=20000105&limit=101",
    "by a month": "StudyDate=20010101-20010131&limit=101",
    "by twenty years": "StudyDate=20000101-20191231&limit=101",
    "by name": "PatientName=fam042*&limit=101",
    "by part of a name": "PatientName=" + quote("*given77*") + "&limit=101",
    "by accession": "AccessionNumber=ACC0000500",
    "by UID": "StudyInstanceUID=1.2.3.500",
}


@contextmanager
def node(root: Path, studies: int) -> Iterator[int]:
    """A node with so many studies; gives its port."""
    settings = Settings(node={"data_dir": root}, web={"port": 0})
    store = Store(settings.database_url)
    store.migrate()
    here = WebNode(settings, store, Spool(root))
    if here.index.file and here.index.file.stat().st_size < 1 << 20:
        fill(here.index, studies)
    with web.start(here) as server:
        yield server.server_port


@contextmanager
def orthanc(root: Path, studies: int) -> Iterator[int]:
    """Orthanc with its plugin and so many radiographs; gives its port."""
    port, root = 28042, root / "orthanc"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    config = {
        **{"HttpPort": port, "DicomServerEnabled": False, "AuthenticationEnabled": False},
        **{"StorageDirectory": str(root), "IndexDirectory": str(root), "Plugins": [PLUGIN]},
        **{"KeepAlive": True, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}},
    }
    (root / "config.json").write_text(json.dumps(config))
    command = [str(find("Orthanc")), str(root / "config.json")]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for number in range(1, studies + 1):
            dataset = radiograph(number)
            dataset.PixelData = bytes(512)
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            buffer = BytesIO()
            dataset.save_as(buffer, enforce_file_format=True)
            _post(port, buffer.getvalue())
        yield port
    finally:
        process.terminate()
        process.wait()


def _post(port: int, data: bytes) -> None:
    for _ in range(200):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", "/instances", data)
            if connection.getresponse().status == 200:
                return
        except ConnectionError:
            time.sleep(0.1)
    raise SystemExit("Orthanc does not start")


def asking(port: int, studies: int, parameters: str, bodies: dict[str, int]) -> Ask:
    """One search, over a connection that is kept."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    path = "/dicom-web/studies?" + parameters.format(middle=studies // 2)

    def answered() -> http.client.HTTPResponse:
        connection.request("GET", path, headers={"Accept": "application/dicom+json"})
        return connection.getresponse()

    def ask() -> None:
        try:
            answer = answered()
        except ConnectionError:  # it was idle for too long
            connection.close()
            answer = answered()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}")
        bodies[f"{port} {parameters}"] = len(json.loads(body))

    return ask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, nargs=2, default=(1000, 100_000))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="where the nodes are kept for the next time")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    few, many = chosen.studies
    with ExitStack() as stack:
        root = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports: dict[str, tuple[int, int]] = {}
        for studies in (few, many):
            folder = root / str(studies)
            began = time.perf_counter()
            ports[f"{studies} studies"] = stack.enter_context(node(folder, studies)), studies
            size = (folder / "index.sqlite").stat().st_size / 2**20
            print(f"{studies} studies: {size:.0f} MB, written in {time.perf_counter() - began:.0f} s")
        if find("Orthanc") and Path(PLUGIN).exists():
            ports["Orthanc"] = stack.enter_context(orthanc(root, few)), few
        print(benching.machine())
        bodies: dict[str, int] = {}
        rows = []
        for name, parameters in SEARCHES.items():
            runs = {of: asking(port, n, parameters, bodies) for of, (port, n) in ports.items()}
            taken = benching.alternate(runs, chosen.rounds)
            found = [bodies[f"{port} {parameters}"] for port, _ in ports.values()]
            times = [f"{benching.medians(taken[of])[0] * 1000:.1f}" for of in ports]
            first, second = list(ports)[:2]
            slower = f"{benching.ratio(taken[second], taken[first], 0):.1f}"
            beside = f"{benching.ratio(taken['Orthanc'], taken[first], 0):.0f}" if "Orthanc" in ports else "-"
            rows.append([name, *times, slower, beside, "/".join(map(str, found))])
        columns = [*(f"{of}, ms" for of in ports), "many : few", "Orthanc : few", "found"]
        benching.table(["search", *columns], rows)


if __name__ == "__main__":
    sys.exit(main())

"""A node with something on every page, served in the process of the test."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from analysed import Networks, image
from fastapi import FastAPI
from made import incoming
from report_cases import chest, maps, picture, polygon
from sqlalchemy import select

from xrv_node.db import progress, queue, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Job, Study
from xrv_node.jobs import analyse, report
from xrv_node.reasons import Reason
from xrv_node.receive import intake
from xrv_node.report import codes
from xrv_node.settings import Settings, load
from xrv_node.spool import Spool
from xrv_node.values import Analysis, Finding, Frame
from xrv_node.web.app import application
from xrv_node.web.node import WebNode

HOSTILE = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>{{7*7}}"
"""Markup that would run where it is not escaped."""
MARKUP_AE = "<b>&\"'{{1}}"
SCORES = {"Effusion": 0.8231, "Cardiomegaly": 0.6125, "Pneumothorax": 0.4712}
CONFIGURATION = """
[node]
data_dir = "."
name = "ward 3 <i>"
[receive]
port = 11119
[web]
viewer_url = "https://viewer.example/viewer"
[[archives]]
name = "vna"
kind = "web"
url = "http://127.0.0.1:9/dicom-web"
[[destinations]]
name = "pacs"
kind = "dimse"
ae_title = "PACS"
host = "127.0.0.1"
port = 1
send = ["report", "sr"]
[[destinations]]
name = "folder"
kind = "folder"
path = "out"
send = ["report"]
"""


class Drawn(Networks):
    """Answers with regions, maps, a picture and two lungs with a heart."""

    def analyse(self, batch: Any) -> list[Any]:
        found = []
        for one in super().analyse(batch):
            frame = Frame(300, 260, 20, 0, 260)
            findings = tuple(
                Finding(
                    label,
                    SCORES.get(label, 0.1),
                    0.2,
                    polygon(260, 300) if SCORES.get(label, 0) >= 0.5 else (),
                )
                for label in codes.findings()
            )
            found.append(
                Analysis(
                    sop_instance_uid=one.sop_instance_uid,
                    model_set=one.model_set,
                    findings=findings,
                    structures=tuple(codes.structures()),
                    masks=chest(),
                    frame=frame,
                    reconstruction_error=12.0,
                    embedding=np.zeros(512, np.float32),
                    resampler="linear",
                    ssim=0.9,
                    maps=maps(),
                    picture=picture(300, 260),
                )
            )
        return found


def filled(folder: Path, store: Store) -> Settings:
    """A node's record: a reported study whose delivery is parked, one with hostile texts, one that is no chest."""
    file = folder / "node.toml"
    file.write_text(CONFIGURATION, encoding="utf-8")
    settings, spool, networks = load(file), Spool(folder), Drawn()
    with store.begin() as db:
        trail.record(db, "node.started", commissioning=False)
        trail.record(db, "machine.changed", machine={"device": "cpu", "torch": "2.6"}, owner="here/worker-0")
    lateral = image(1, number=2, ViewPosition="LL", PatientOrientation=["A", "F"])
    hostile = dict.fromkeys(
        (
            "PatientName",
            "PatientComments",
            "StudyDescription",
            "SeriesDescription",
            "InstitutionName",
            "StationName",
        ),
        HOSTILE,
    )
    of_study = {
        1: [image(1), lateral],
        2: [image(2, PatientID=HOSTILE, AccessionNumber="<u>A</u>", **hostile)],
    }
    for images in of_study.values():
        for one in images:
            sent = _sent(one)
            intake.accept(store, spool, settings.frontal, sent)
        analyse.run(store, spool, networks, queue.claim(store, "analyse", owner="t", limit=9))
    intake.accept(store, spool, settings.frontal, _sent(image(3, BodyPartExamined="HAND", ViewPosition="")))
    with store.begin() as db:
        for study in _studies(db):
            progress.close_study(db, study, Reason("text", text="test"))
    report.run(settings, store, spool, networks.model_set, queue.claim(store, "report", owner="t", limit=9))
    (claim,) = queue.claim(store, "deliver", owner="t", destination="pacs")
    with store.begin() as db:
        job = db.get_one(Job, claim.job_id)
        delivery = db.get_one(Delivery, job.delivery_id)
        why = Reason("text", text=f"refused: {HOSTILE}")
        delivery.state, delivery.error, delivery.status = "rejected", why, "0xA900"
        queue.close(job, "parked", why)
        trail.record(db, "job.parked", study="1.2.3.1", job=job.id, kind="deliver", error=why)
    return settings


def _studies(db: Any) -> Any:
    return db.scalars(select(Study)).all()


def _sent(dataset: Any) -> Any:
    return incoming(dataset, calling_ae=MARKUP_AE if dataset.StudyInstanceUID == "1.2.3.2" else "PACS")


def app_of(settings: Settings, store: Store) -> FastAPI:
    """The application."""
    return application(WebNode(settings, store, Spool(settings.data_dir)))


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of the application, on a socket of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@dataclass(frozen=True)
class Node:
    """The node, and where it answers."""

    address: str
    settings: Settings
    store: Store
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def spool(self) -> Spool:
        return Spool(self.folder)


@contextmanager
def running(folder: Path, empty_database: Path) -> Iterator[Node]:
    """The node with its record, served."""
    shutil.copyfile(empty_database, folder / "xrv-node.sqlite")
    store = Store(f"sqlite:///{folder / 'xrv-node.sqlite'}")
    settings = filled(folder, store)
    with served(app_of(settings, store)) as address:
        yield Node(address, settings, store, folder)
    store.close()

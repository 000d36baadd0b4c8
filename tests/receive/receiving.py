"""A listening node, what it is sent, and what became of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from analysed import Networks
from breadth_objects import run
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from sqlalchemy import select
from worded import said

from xrv_node.db import progress, queries, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, ResultRow, Study
from xrv_node.deliver import scu
from xrv_node.errors import ImageError
from xrv_node.jobs import analyse, report
from xrv_node.radiograph.prepare import prepare
from xrv_node.radiograph.read import read
from xrv_node.reasons import as_is
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.values import Analysis, AnalysisInput, Finding

STORESCU = {
    ImplicitVRLittleEndian: "-xi",
    ExplicitVRLittleEndian: "-xe",
    ExplicitVRBigEndian: "-xb",
    DeflatedExplicitVRLittleEndian: "-xd",
    RLELossless: "-xr",
    JPEGBaseline8Bit: "-xy",
    JPEGExtended12Bit: "-xx",
    JPEGLosslessSV1: "-xs",
    JPEGLSLossless: "-xt",
    JPEGLSNearLossless: "-xu",
    JPEG2000Lossless: "-xv",
    JPEG2000: "-xw",
}
"""How dcmtk's sender is told to offer a transfer syntax; the others are sent by our own."""


@dataclass(frozen=True)
class Receiver:
    """A listening node."""

    port: int
    store: Store
    spool: Spool

    def take(self, files: list[Path], syntax: str) -> dict[str, Path]:
        """Send files, all in `syntax`; where each is kept, by SOP Instance UID."""
        option = STORESCU.get(syntax)
        if option and shutil.which("storescu"):
            run("storescu", option, "-R", "-aec", "XRVNODE", "127.0.0.1", str(self.port), *files)
        else:
            peer = scu.Peer("XRVNODE", "127.0.0.1", self.port)
            assert all(sent.good for sent in scu.send(peer, files, calling_ae="PACS"))
        with self.store.read() as db:
            rows = db.scalars(select(Instance).where(Instance.transfer_syntax_uid == syntax)).all()
        return {row.sop_instance_uid: self.spool.absolute(row.path) for row in rows}

    def kept(self) -> Path:
        """The one object that came."""
        with self.store.read() as db:
            return self.spool.absolute(db.scalars(select(Instance.path)).one())

    def study(self) -> dict[str, Any]:
        """What ``xrv-node studies show`` shows of the one study."""
        with self.store.read() as db:
            return queries.study(db, db.scalars(select(Study.study_instance_uid)).one())

    def analysed(self) -> list[str | None]:
        """Analyse what is queued; what each image's study says went wrong."""
        analyse.run(self.store, self.spool, Reader(), queue.claim(self.store, "analyse", owner="t", limit=99))
        return [instance["error"] and said(instance["error"]) for instance in self.study()["instances"]]

    def reported(self, kinds: Sequence[str]) -> dict[str, Path]:
        """Close the study and report it to a destination that takes these kinds; the results' files by kind."""
        out = {"name": "out", "kind": "folder", "path": "/nowhere", "send": list(kinds)}
        with self.store.begin() as db:
            progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))
        claims = queue.claim(self.store, "report", owner="t")
        report.run(Settings(destinations=[out]), self.store, self.spool, Reader().model_set, claims)
        with self.store.read() as db:
            return {row.kind: self.spool.absolute(row.path) for row in db.scalars(select(ResultRow))}


HEART = np.ones((1, 8, 8), bool)
FOUND = (Finding("Effusion", 0.75, 0.75, ((60.0, 90.0), (200.0, 90.0), (200.0, 220.0), (60.0, 90.0))),)
PICTURE = np.zeros((300, 260), np.uint8)
"""What there must be for a result of each kind."""


class Reader(Networks):
    """Networks that look at their images, as the real ones do before they compute."""

    def analyse(self, batch: Sequence[AnalysisInput]) -> list[Analysis | ImageError]:
        outcomes = super().analyse(batch)
        for place, item in enumerate(batch):
            try:
                prepare(read(item.path), 32)
            except ImageError as error:
                outcomes[place] = error
            else:
                outcomes[place] = replace(outcomes[place], masks=HEART, findings=FOUND, picture=PICTURE)
        return outcomes

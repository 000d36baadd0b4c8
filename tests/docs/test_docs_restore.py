"""The commands of docs/restore.md, run as they are printed on a node that loses its database, then its spool."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from analysed import Site, image
from peers.peer_programs import program
from ports import free_port
from pydicom import Dataset
from retained import age, delivered, expire
from sqlalchemy import select
from typer.testing import CliRunner

from xrv_node import doctor, role_locks, settings
from xrv_node.cli import app
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Job, JobState, ResultRow, Study
from xrv_node.deliver import scu
from xrv_node.doctor.diagnosis import Diagnosis, Examined, State
from xrv_node.receive import server
from xrv_node.spool import Spool

CHAPTER = Path(__file__).resolve().parents[2] / "docs" / "restore.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(heading: str) -> list[str]:
    """The commands below a heading."""
    (section,) = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", CHAPTER.read_text(), re.MULTILINE | re.DOTALL)
    return BLOCK.findall(section)


class Node:
    """A node whose receiver runs, and whose worker is called by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.data = directory, directory / "data"
        self.running = ExitStack()
        (directory / "etc").mkdir()
        self.config = directory / "etc" / "node.toml"
        self.config.write_text(
            f'[node]\ndata_dir = "{self.data}"\n[receive]\nport = {free_port()}\nallowed_calling_ae = ["PACS"]\n'
        )
        self.start()

    def start(self) -> None:
        self.settings = settings.load(self.config)
        self.spool = Spool(self.data, "receiver-0")
        self.store = Store(self.settings.database_url)
        self.store.migrate()
        self.running.callback(self.store.close)
        self.running.enter_context(role_locks.lock(self.data / "run" / "receiver-0.lock"))
        self.running.callback(server.drain, server.start(self.settings, self.store, self.spool), 1)
        self.site = Site(self.store, self.spool)

    def stop(self) -> None:
        self.running.close()

    def run(self, block: str) -> list[tuple[int, str]]:
        """Exit code and words of each command that is the node's own; the others must succeed."""
        places = {"/var/lib/xrv-node": self.data, "/etc/xrv-node": self.config.parent}
        said = []
        for place, here in {**places, "/backup/xrv-node": self.directory / "backup"}.items():
            block = block.replace(place, str(here))
        for line in block.splitlines():
            words = shlex.split(line)
            if words[0] == "xrv-node":
                result = CliRunner().invoke(app, words[1:])
                said.append((result.exit_code, result.output))
                structlog.reset_defaults()  # a command's log goes where its output went
            elif words[0] == "systemctl":
                getattr(self, words[1])()
            else:
                subprocess.run(["bash", "-ec", line], check=True)
        return said

    def send(self, *images: Dataset) -> None:
        """As the PACS sends."""
        files = []
        for number, dataset in enumerate(images):
            files.append(self.directory / f"{number}.dcm")
            dataset.save_as(files[-1], enforce_file_format=True)
        peer = scu.Peer("XRVNODE", "127.0.0.1", self.settings.receive.port)
        assert all(sent.good for sent in scu.send(peer, files, calling_ae="PACS"))

    def done(self, study: int) -> None:
        """A study that was sent, analysed, reported and delivered."""
        self.send(image(study))
        self.work(study)
        delivered(self.site)

    def work(self, study: int) -> None:
        self.site.analyse()
        self.site.report(study)

    def rows(self, table: Any, *columns: str) -> list[Any]:
        with self.store.read() as db:
            found = db.execute(select(*(getattr(table, c) for c in columns)).order_by(table.id)).all()
        return [tuple(row) if len(columns) > 1 else row[0] for row in found]

    def spool_says(self) -> list[Diagnosis]:
        node = Examined(self.settings, self.store, fix=False)
        return [Diagnosis("spool", *found) for found in doctor.CHECKS["spool"](node)]


ALL_THERE = [Diagnosis("spool", State.OK, "every file has its row, every row its file")]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """With two studies and a backup, after which a third came and the first was purged."""
    program("sqlite3")
    (tmp_path / "data").mkdir()
    made = Node(tmp_path)
    monkeypatch.setattr(doctor, "CHECKS", {name: doctor.CHECKS[name] for name in ("database", "spool")})
    monkeypatch.setenv("XRV_NODE_CONFIG", str(made.config))
    made.done(1)
    age(made.site, 40)
    made.done(2)
    (backup,) = blocks("Backup")
    ((code, verified),) = made.run(backup)
    assert code == 0, verified
    made.hash = re.findall(r"[0-9a-f]{64}", verified)[-1]
    expire(made.site, inputs_days=30, results_days=30)
    made.done(3)
    yield made
    made.stop()


def test_an_older_database_finds_what_came_since_in_the_younger_spool(node: Node) -> None:
    made = set(node.rows(ResultRow, "sop_instance_uid"))
    with node.store.read() as db:
        newest = [event["hash"] for event in queries.events(db)][-1]
    first, second = blocks("The database alone")
    node.run(first)
    assert node.rows(Study, "study_instance_uid") == ["1.2.3.1", "1.2.3.2"]
    young, *purged = node.spool_says()
    assert [(f.state, f.studies) for f in purged] == [(State.FAIL, ("1.2.3.1",))] * 2  # its row does not know
    assert young.says.startswith("files without a row that are too young to judge: 3")
    *_, (code, sent) = node.run(second)
    assert (code, "1 of 1 sent to XRVNODE@127.0.0.1" in sent) == (0, True), sent
    assert node.rows(Instance, "calling_ae") == ["PACS", "PACS", "PACS"]
    node.work(3)
    assert set(node.rows(ResultRow, "sop_instance_uid")) == made  # archives have them under these UIDs

    (purged,) = node.spool_says()[:1]
    assert (purged.state, purged.studies) == (
        State.FAIL,
        ("1.2.3.1",),
    )  # was purged, and its row does not know
    delivered(node.site)
    expire(node.site, inputs_days=30, results_days=30)
    assert node.spool_says() == ALL_THERE
    for last, code in ((node.hash, 0), (newest, 1)):
        assert CliRunner().invoke(app, ["audit", "verify", "--last", last]).exit_code == code


def test_a_younger_database_tells_what_the_older_spool_lacks(node: Node) -> None:
    made = node.rows(ResultRow, "sop_instance_uid")
    node.send(image(4))  # is to be analysed when the spool is lost
    first, second = blocks("The spool alone")
    ((code, said),) = node.run(first)
    assert code == 1
    found = {
        f["says"].partition(":")[0]: f["studies"] for f in json.loads(said)["items"] if f["check"] == "spool"
    }
    assert found == {
        "files that were purged and are still there": [],
        "received objects whose file is gone": ["1.2.3.3", "1.2.3.4"],
        "analyses and results whose file is gone": ["1.2.3.3"],
    }
    assert not list((node.data / "spool").rglob("1.2.3.1/*"))
    node.site.analyse()
    assert node.rows(Job, "state").count(JobState.PARKED) == 1  # it has no file

    node.send(image(3), image(4))
    again, retried, _ = node.run(second.replace("--incomplete", "--incomplete --no-wait"))
    assert (retried[0], again[0]) == (0, 0), (retried, again)
    node.site.analyse()
    node.site.report(3)
    node.site.report(4)
    assert node.rows(ResultRow, "sop_instance_uid")[: len(made)] == made
    assert node.spool_says() == ALL_THERE


def test_both_come_back_as_they_were(node: Node) -> None:
    (block,) = blocks("Both")
    ((_, said),) = node.run(block)
    assert ALL_THERE[0].says in said
    assert node.rows(Study, "study_instance_uid") == ["1.2.3.1", "1.2.3.2"]
    node.done(3)
    assert node.spool_says() == ALL_THERE

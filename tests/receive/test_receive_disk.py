"""Under the low mark nothing is taken, over the high one it is again; everybody can see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from made import CR, incoming, radiograph
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from serving import rejected
from sqlalchemy import select, update
from typer.testing import CliRunner
from worded import said

from xrv_node import disk as room
from xrv_node import doctor
from xrv_node import settings as configuration
from xrv_node.cli import app
from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Instance, Job, Study
from xrv_node.doctor.diagnosis import Examined, State
from xrv_node.errors import ConfigError
from xrv_node.jobs import schedule
from xrv_node.receive import intake, server
from xrv_node.settings import Settings
from xrv_node.spool import Spool
from xrv_node.web import health

SAYS = (
    "{} MB are free in node.data_dir: below receive.min_free_mb = 2000 nothing is taken until "
    "receive.resume_free_mb = 3000 are"
)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


Disk = Callable[[int], None]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Sets how many MiB seem to be free; a receiver looks each time."""
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.0)

    def free(mebibytes: int) -> None:
        monkeypatch.setattr(room.shutil, "disk_usage", lambda _: Usage(10**13, 0, mebibytes << 20))

    free(5000)
    return free


@pytest.fixture
def node(store: Store, tmp_path: Path) -> Settings:
    file = tmp_path / "node.toml"
    file.write_text(
        f'[node]\ndata_dir = "."\n[database]\nurl = "{store.engine.url}"\n'
        "[receive]\nport = 0\nmin_free_mb = 2000\nresume_free_mb = 3000\n[web]\nport = 0\n"
    )
    return configuration.load(file)


@pytest.fixture
def port(node: Settings, store: Store, spool: Spool) -> Iterator[int]:
    listening = server.start(node, store, spool)
    yield int(listening.server_address[1])
    server.drain(listening, 1)


@contextmanager
def association(port: int) -> Iterator[Association]:
    ae = AE(ae_title="PACS")
    ae.add_requested_context(CR, ExplicitVRLittleEndian)
    made = ae.associate("127.0.0.1", port, ae_title="XRVNODE")
    yield made
    if made.is_established:
        made.release()


def changes(store: Store) -> list[tuple[str, int]]:
    with store.read() as db:
        events = list(queries.events(db))
    return [(e["event"], e["detail"]["free_mb"]) for e in events if e["event"] in (room.PAUSED, room.RESUMED)]


def test_associations_that_stand_are_answered_a700_and_new_ones_are_refused(
    port: int, disk: Disk, store: Store
) -> None:
    with association(port) as standing:
        assert standing.send_c_store(radiograph(1)).Status == 0
        disk(1999)
        assert standing.send_c_store(radiograph(2)).Status == 0xA700
        with ExitStack() as stack:
            new = rejected(lambda: stack.enter_context(association(port)))
            answer = new.acceptor.primitive
            assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)  # PS3.8 table 9-21
        disk(2999)  # above the low mark, below the high one
        assert standing.send_c_store(radiograph(2)).Status == 0xA700
        disk(3000)
        assert standing.send_c_store(radiograph(2)).Status == 0
        disk(2000)  # and the other way round
        assert standing.send_c_store(radiograph(3)).Status == 0
    assert changes(store) == [("receive.paused", 1999), ("receive.resumed", 3000)]
    with store.read() as db:
        assert len(db.scalars(select(Instance)).all()) == 3
        (refused,) = [
            e["detail"] for e in queries.events(db, event="instance.refused")
        ]  # the second is counted
    assert (refused["status"], said(refused["why"])) == ("0xA700", SAYS.format(1999))


def test_each_change_is_one_line_that_names_keys_and_numbers(
    node: Settings, disk: Disk, store: Store
) -> None:
    with structlog.testing.capture_logs() as logs:
        for free in (5000, 1999, 1500, 2500, 3500, 4000):
            disk(free)
            for gate in (room.Gate(node, store), room.Gate(node, store)):  # of two processes
                assert (gate.refusal() is not None) == (free in (1999, 1500, 2500))
    assert [(line["log_level"], line["says"]) for line in logs] == [
        ("error", SAYS.format(1999)),
        ("info", "3500 MB are free: objects are taken again"),
    ]


def test_it_is_seen_everywhere(
    node: Settings, disk: Disk, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen() -> tuple[Any, ...]:
        (status,) = [CliRunner().invoke(app, ["status", "--json", "--config", str(tmp_path / "node.toml")])]
        assert status.exit_code == bool(json.loads(status.output)["refuses"]), status.output
        found = list(doctor.CHECKS["disk"](Examined(node, store, False)))
        body = generate_latest(health.registry(node, store)).decode()
        metrics = {f.name: f.samples[0].value for f in text_string_to_metric_families(body) if f.samples}
        return (
            json.loads(status.output)["refuses"],
            health.not_ready(node, store),
            metrics["xrv_node_receiving"],
            [f for f in found if f[0] == State.FAIL],
        )

    disk(20_000)
    room.look(node, store)
    assert seen()[0] is None
    assert seen()[1].startswith("not running")
    assert seen()[2:] == (1.0, [])
    disk(1999)
    assert seen()[0] is None  # to look changes nothing
    room.look(node, store)
    says = SAYS.format(1999)
    refuses, ready, receiving, failures = seen()
    assert (refuses["key"], refuses["values"]["free"], refuses["text"]) == ("disk-paused", 1999, says)
    assert (ready, receiving) == (says, 0.0)
    assert failures[0] == (State.FAIL, says, "make room, or let [retention] keep less")


def test_a_receiver_that_starts_knows_that_it_is_paused(node: Settings, disk: Disk, store: Store) -> None:
    disk(1000)
    assert room.Gate(node, store).refusal()
    disk(2500)
    assert said(room.Gate(node, store).refusal()) == SAYS.format(2500)


def test_without_a_mark_only_a_full_disk_refuses(node: Settings, disk: Disk, store: Store) -> None:
    disk(1)
    assert room.look(node, store)
    off = node.model_copy(update={"receive": node.receive.model_copy(update={"min_free_mb": 0})})
    assert room.look(off, store) is None
    assert changes(store)[-1] == ("receive.resumed", 1)


def test_the_courier_purges_what_has_expired_and_recovers_by_itself(
    node: Settings, disk: Disk, store: Store, spool: Spool
) -> None:
    intake.accept(store, spool, node.frontal, incoming(radiograph()))
    with store.begin() as db:
        db.execute(update(Job).values(state="done"))
        db.execute(update(Study).values(state="reported", received_at=datetime(2020, 1, 1, tzinfo=UTC)))
        assert db.scalars(select(Delivery)).all() == []
    assert schedule.mind_the_disk(node, store, spool) == 0
    disk(1000)
    assert schedule.mind_the_disk(node, store, spool) == 1
    assert list((spool.root / "spool" / "inputs").rglob("*.dcm")) == []
    disk(4000)
    assert schedule.mind_the_disk(node, store, spool) == 0
    assert changes(store) == [("receive.paused", 1000), ("receive.resumed", 4000)]


def test_a_database_that_does_not_answer_stops_no_receiver(
    node: Settings, disk: Disk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise OSError("away")

    monkeypatch.setattr(store, "read", broken)
    assert room.Gate(node, store).refusal() is None


def test_marks_the_wrong_way_round_are_a_line(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("[receive]\nmin_free_mb = 5000\n")
    with pytest.raises(ConfigError, match=r"receive: resume_free_mb \(4096\) is below min_free_mb \(5000\)"):
        configuration.load(file)

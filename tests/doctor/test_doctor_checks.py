"""What the doctor finds in nodes that something is wrong with."""

from __future__ import annotations

import json
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest
from made import SECRET, incoming, radiograph
from ports import free_port
from pydicom import dcmread
from sqlalchemy import text
from typer.testing import CliRunner

from xrv_node import doctor, role_locks
from xrv_node.cli import app
from xrv_node.db import queries, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance
from xrv_node.doctor import database, machine
from xrv_node.doctor.diagnosis import Diagnosis, Examined, Found, State
from xrv_node.receive import intake
from xrv_node.retention import orphans
from xrv_node.settings import FrontalSection, Settings, load
from xrv_node.spool import Spool


def configured(directory: Path, more: str = "") -> Settings:
    """A node's settings with its data in `directory` and a port of its own."""
    port = free_port()
    file = directory / "node.toml"
    file.write_text(
        f'[node]\ndata_dir = "."\n[receive]\nport = {port}\n[database]\nurl = "sqlite:///{directory}/audit.sqlite"\n'
        + more
    )
    return load(file)


def found(settings: Settings, check: str, *, fix: bool = False) -> list[Diagnosis]:
    """The findings of one check."""
    with closing(Store(settings.database_url)) as store:
        return [Diagnosis(check, *f) for f in doctor.CHECKS[check](Examined(settings, store, fix))]


def states(findings: list[Diagnosis]) -> list[State]:
    return [f.state for f in findings]


def aged(path: Path) -> Path:
    """Make a file older than what may be in hand."""
    before = path.stat().st_mtime - orphans.SETTLED_SECONDS - 1
    os.utime(path, (before, before))
    return path


def test_a_fresh_node_has_no_database_and_no_weights(tmp_path: Path) -> None:
    findings = list(doctor.examine(configured(tmp_path)))
    assert states([f for f in findings if f.check == "database"]) == [State.WARN]
    assert {f.check for f in findings if f.state == State.FAIL} == {"models"}
    assert all(f.remedy for f in findings if f.state != State.OK)
    assert "models pull" in next(f.remedy for f in findings if f.check == "models")


def test_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (finding,) = doctor.examine(Settings(node={"data_dir": tmp_path / "file" / "data"}))
    assert (finding.check, finding.state) == ("disk", State.FAIL)


def test_a_disk_without_room_and_one_that_takes_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configured(tmp_path)
    assert State.FAIL not in states(found(settings, "disk"))
    monkeypatch.setattr(machine, "NO_ROOM", 2**60)
    assert found(settings, "disk")[0].state == State.FAIL
    (tmp_path / "run").rename(tmp_path / "gone")
    (tmp_path / "run").write_text("a file in the directory's place")
    assert "does not take a synced file" in found(settings, "disk")[1].says


def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    assert states(found(settings, "ports")) == [State.OK]
    with socket.create_server((settings.receive.host, settings.receive.port)):
        (taken,) = found(settings, "ports")
        assert (taken.state, "another program listens there" in taken.says) == (State.FAIL, True)
        with role_locks.lock(tmp_path / "run" / "serve.lock"):
            assert states(found(settings, "ports")) == [State.OK]  # it is the node itself
    with role_locks.lock(tmp_path / "run" / "serve.lock"):
        (silent,) = found(settings, "ports")
        assert silent.says.startswith("nothing answers at 127.0.0.1:")


def test_a_chain_that_was_changed_near_its_end(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configured(tmp_path)
    with store.begin() as db:
        for number in range(20):
            trail.record(db, "x", number=number)
    monkeypatch.setattr(database, "LAST_EVENTS", 5)
    assert found(settings, "database")[-1].says == "the last 5 of 20 events of the trail are whole"
    with store.begin() as db:
        db.execute(text("DROP TRIGGER audit_event_no_update"))
        db.execute(text("UPDATE audit_event SET detail = '{}' WHERE id = 3"))
    assert states(found(settings, "database")) == [State.OK, State.OK]  # before the last ones
    with store.begin() as db:
        db.execute(text("UPDATE audit_event SET detail = '{}' WHERE id = 18"))
    assert found(settings, "database")[-1].says == "the audit trail is broken: row 18 was changed"


def test_a_database_file_that_is_damaged(store: Store, tmp_path: Path) -> None:
    settings = configured(tmp_path)
    with store.begin() as db:
        for number in range(2000):
            trail.record(db, "x", number=number)
    store.close()
    file = tmp_path / "audit.sqlite"
    size = file.stat().st_size
    with file.open("r+b") as raw:
        raw.seek(size // 2)
        raw.write(b"\xff" * 8192)
    assert State.FAIL in [f.state for f in doctor.examine(settings) if f.check == "database"]


def test_a_clock_that_was_set_back(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configured(tmp_path)
    with store.begin() as db:
        trail.record(db, "x")
    assert states(found(settings, "clock")) == [State.OK]
    with store.begin() as db:
        db.execute(text("DROP TRIGGER audit_event_no_update"))
        db.execute(text("UPDATE audit_event SET at = '2999-01-01T00:00:00.000000+00:00'"))
    assert "in the future" in found(settings, "clock")[0].says


def test_a_file_without_a_row_is_put_aside_and_comes_in_again(
    store: Store, spool: Spool, tmp_path: Path
) -> None:
    settings = configured(tmp_path)
    intake.accept(store, spool, FrontalSection(), incoming(radiograph(1)))
    lost = radiograph(2)
    intake.accept(store, spool, FrontalSection(), incoming(lost))
    with store.begin() as db:  # as if the receiver had been killed before its commit
        row = db.query(Instance).filter_by(sop_instance_uid=str(lost.SOPInstanceUID)).one()
        relative = row.path
        db.execute(text("DELETE FROM job WHERE instance_id = :id"), {"id": row.id})
        db.delete(row)
    with role_locks.lock(tmp_path / "run" / "receiver-0.lock"):
        for fix in (True, False):
            (young,) = found(settings, "spool", fix=fix)
            assert "too young to judge: 1; they may be on their way in" in young.says
        aged(spool.absolute(relative))
        (finding,) = found(settings, "spool")
    assert found(settings, "spool") == [finding]  # however old it is, where nobody receives
    assert (finding.state, relative in finding.says) == (State.WARN, True)
    assert spool.absolute(relative).is_file()
    found(settings, "spool", fix=True)
    assert not spool.absolute(relative).exists()
    (aside,) = (tmp_path / "found").rglob("*.dcm")
    assert states(found(settings, "spool")) == [State.OK]
    assert intake.accept(store, spool, FrontalSection(), incoming(dcmread(aside))).outcome == "stored"


def test_what_the_node_made_and_no_row_knows_is_removed(store: Store, spool: Spool, tmp_path: Path) -> None:
    settings = configured(tmp_path)
    for path in (spool.result("1.2", "1.2.3"), spool.analysis("1.2", "1.2.3", "a" * 64)):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        aged(path)
    assert states(found(settings, "spool", fix=True)) == [State.WARN]
    assert states(found(settings, "spool")) == [State.OK]


def test_a_row_without_a_file_fails(store: Store, spool: Spool, tmp_path: Path) -> None:
    settings = configured(tmp_path)
    intake.accept(store, spool, FrontalSection(), incoming(radiograph(1)))
    for path in (tmp_path / "spool" / "inputs").rglob("*.dcm"):
        path.unlink()
    (finding,) = found(settings, "spool", fix=True)
    assert (finding.state, finding.studies) == (State.FAIL, ("1.2.3.1",))
    assert finding.says == "received objects whose file is gone: 1, of 1 study: 1.2.3.1"
    with store.read() as db:
        assert queries.counts(db)["instances"] == {"queued": 1}  # a row is never removed


def test_destinations_that_take_nothing(tmp_path: Path) -> None:
    assert states(found(configured(tmp_path), "destinations")) == [State.WARN]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    down = f'[[destinations]]\nname = "pacs"\nkind = "dimse"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {port}\n'
    out = '[[destinations]]\nname = "out"\nkind = "folder"\npath = "out"\n'
    findings = found(configured(tmp_path, down + out), "destinations")
    assert states(findings) == [State.FAIL, State.OK]
    assert "destinations check pacs" in findings[0].remedy


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    settings = configured(tmp_path, '[models]\ndevice = "cuda:99"\n')
    assert states(found(settings, "devices")) == [State.FAIL]
    assert found(configured(tmp_path, '[models]\ndevice = "cpu"\n'), "devices")[0].says.startswith("cpu: ")


def test_an_operating_point_of_what_the_classifier_does_not_find(tmp_path: Path) -> None:
    findings = found(configured(tmp_path, "[models.thresholds]\nTumor = 0.2\n"), "models")
    assert states(findings) == [State.FAIL, State.FAIL]  # the weights are missing too
    assert findings[1].says.startswith(
        "models.thresholds.Tumor: densenet121-res224-all was not trained on it"
    )
    settings = configured(tmp_path, "[models.thresholds]\nMass = 0.2\n")
    assert states(found(settings, "models")) == [State.FAIL]


def test_weights_that_were_changed(tmp_path: Path) -> None:
    from safetensors.numpy import save_file
    from untrained import seeded_state

    from xrv_node.models import catalog

    entry = catalog.find("101-elastic")
    place = entry.weights_path(tmp_path / "models")
    place.parent.mkdir()
    state = {key: value.numpy() for key, value in seeded_state(entry).items()}
    header = {
        "name": entry.name, "source_file": entry.file, "source_sha256": "0" * 64,
        "tensors_sha256": "1" * 64, "imported_at": "2026-01-01T00:00:00+00:00", "xrv_node": "0",
    }  # fmt: skip
    save_file(state, place, metadata=header)
    findings = found(configured(tmp_path), "models")
    assert states(findings) == [State.FAIL, State.FAIL]  # two are missing, one is damaged
    assert "101-elastic" in findings[1].says + findings[1].remedy


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(node: Examined) -> Found:
        raise RuntimeError(SECRET)
        yield

    monkeypatch.setattr(doctor, "CHECKS", {"broken": broken, "clock": doctor.CHECKS["disk"]})
    findings = list(doctor.examine(configured(tmp_path)))
    assert findings[0].state == State.FAIL
    assert SECRET not in findings[0].says
    assert len(findings) == 3


def test_the_command_prints_a_table_or_json_and_its_exit_code_says_whether_one_failed(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    with closing(Store(settings.database_url)) as store:
        store.migrate()
    arguments = ["doctor", "--config", str(tmp_path / "node.toml")]
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 1  # no weights
    assert "models pull" in table.stdout
    rows = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["items"]
    assert {row["check"] for row in rows} == set(doctor.CHECKS)
    assert {row["check"] for row in rows if row["state"] == "fail"} == {"models"}

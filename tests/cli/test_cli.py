"""The command line as a user meets it: processes, exit codes, messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import forked
import pytest
from made import SECRET, incoming, radiograph

from xrv_node.db import progress, queue, trail
from xrv_node.db.store import Store
from xrv_node.product import VERSION
from xrv_node.reasons import Reason
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.settings.receive import ReceiveSection
from xrv_node.spool import Spool

HEAVY = {
    "torch",
    "torchvision",
    "pydicom",
    "pynetdicom",
    "highdicom",
    "cv2",
    "numpy",
    "sqlalchemy",
    "pydantic",
}


def xrv(*arguments: str | Path, cwd: Path | None = None, code: int = 0) -> str:
    """Run the command; its output, or its error text when it is to fail."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XRV_NODE")}
    done = forked.run(
        [*forked.COMMAND, *map(str, arguments)],
        cwd=cwd, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr + done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configured node with one study whose analysis was parked."""
    config = tmp_path / "node.toml"
    config.write_text('[[destinations]]\nname = "out"\nkind = "folder"\npath = "out"\n')
    store = Store(f"sqlite:///{tmp_path / 'data' / 'xrv-node.sqlite'}")
    store.migrate()
    intake.accept(store, Spool(tmp_path / "data"), FrontalSection(), incoming(radiograph()))
    (claim,) = queue.claim(store, "analyse", owner="t")
    with store.begin() as db:
        progress.failed(db, claim, Reason("undecodable", why="ValueError"), final=True)
    store.close()
    return config


def test_help_imports_nothing_heavy() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, xrv_node.cli; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert HEAVY & set(loaded.stdout.split()) == set()
    told = subprocess.run([*forked.COMMAND, "--help"], capture_output=True, text=True, check=True)
    assert "not a medical device" in told.stdout


def test_init_writes_a_configuration_that_check_likes(tmp_path: Path) -> None:
    assert "wrote node.toml" in xrv("init", cwd=tmp_path)
    assert "node.toml is good" in xrv("config", "check", "--commissioning", cwd=tmp_path)
    assert "exists; --force overwrites it" in xrv("init", cwd=tmp_path, code=2)
    xrv("init", "--force", "--report-skipped", "20", cwd=tmp_path)
    assert "\nreport_skipped = 20 " in (tmp_path / "node.toml").read_text(encoding="utf-8")
    assert "answer yes, no, or a number" in xrv(
        "init", "--force", "--report-skipped", "1", cwd=tmp_path, code=2
    )


def test_check_and_serve_refuse_without_weights_and_say_what_helps(tmp_path: Path) -> None:
    xrv("init", cwd=tmp_path)
    for command in (["config", "check"], ["serve"]):
        message = xrv(*command, cwd=tmp_path, code=2)
        assert "xrv-node models pull densenet121-res224-all" in message
        assert "xrv-node models import FILE" in message
        assert "--commissioning" in message


def test_a_wrong_key_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[receive]\nprot = 1\n")
    for command in (["config", "check"], ["serve"], ["status"], ["jobs", "list"]):
        message = xrv(*command, cwd=tmp_path, code=2)
        accepted = ", ".join(ReceiveSection.model_fields)
        assert message.splitlines() == [
            f"error: node.toml: receive.prot: unknown key; accepted here: {accepted}"
        ]


def test_looking_before_the_first_start_says_so(tmp_path: Path) -> None:
    for command in (["status"], ["jobs", "list"], ["studies", "list"], ["audit", "verify"]):
        assert "`xrv-node serve` makes" in xrv(*command, cwd=tmp_path, code=2)


def test_status_counts(site: Path) -> None:
    found = json.loads(xrv("status", "--config", site, "--json", code=1))
    assert found["serving"] is False
    assert found["studies"] == {"open": 1}
    assert found["instances"] == {"failed": 1}
    assert found["jobs"] == {"analyse parked": 1}
    assert (found["version"], found["commissioning"]) == (VERSION, False)
    told = xrv("status", "--config", site, code=1)
    assert "studies: open:1\n" in told
    assert "refuses: none\n" in told
    assert "amiss: 1 parked: analyse; `xrv-node jobs list --state parked` says why" in told
    xrv("jobs", "retry", "--parked", "--config", site)
    assert "amiss" not in xrv("status", "--config", site)


def test_jobs_are_listed_shown_and_retried(site: Path) -> None:
    (job,) = json.loads(xrv("jobs", "list", "--config", site, "--json"))["items"]
    assert (job["kind"], job["state"]) == ("analyse", "parked")
    assert "The image cannot be decoded" in xrv("jobs", "list", "--config", site, "--state", "parked")
    shown = json.loads(xrv("jobs", "show", str(job["id"]), "--config", site, "--json"))
    assert [e["event"] for e in shown["events"]] == ["job.started", "job.parked"]
    assert "queued again: 1" in xrv("jobs", "retry", "--parked", "--config", site)
    assert json.loads(xrv("jobs", "list", "--config", site, "--json"))["items"][0]["state"] == "queued"
    assert "queued again: 1" in xrv("jobs", "retry", "1", "1", "--config", site)  # where it waits: now
    assert "there is no job 99" in xrv("jobs", "show", "99", "--config", site, code=2)


def test_studies_are_listed_and_shown(site: Path) -> None:
    (row,) = json.loads(xrv("studies", "list", "--config", site, "--json"))["items"]
    assert row["study"] == "1.2.3.1"
    assert "1.2.3.1" in xrv("studies", "list", "--config", site)
    shown: dict[str, Any] = json.loads(xrv("studies", "show", "1.2.3.1", "--config", site, "--json"))
    (image,) = shown["instances"]
    assert (image["verdict"], image["state"]) == ("frontal", "failed")
    assert image["error"] == {
        "key": "undecodable",
        "values": {"why": "ValueError"},
        "text": "The image cannot be decoded (ValueError).",
    }
    assert {"key", "values", "text"} == set(image["reasons"][0])
    assert "error: The image cannot be decoded (ValueError).\n" in xrv(
        "studies", "show", "1.2.3.1", "--config", site
    )
    assert "no study 9.9 came here" in xrv("studies", "show", "9.9", "--config", site, code=2)


def test_the_trail_is_listed_verified_and_exported(site: Path) -> None:
    whole = xrv("audit", "verify", "--config", site)
    assert "the trail is whole: 3 events" in whole
    last = whole.split()[-1]
    assert "the trail is whole" in xrv("audit", "verify", "--last", last, "--config", site)
    assert xrv("audit", "verify", "--last", "0" * 63 + "1", "--config", site, code=1)
    lines = xrv("audit", "export", "--config", site).splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["instance.received", "job.started", "job.parked"]
    assert len(xrv("audit", "export", "--format", "csv", "--config", site).splitlines()) == 4
    assert "job.parked" in xrv("audit", "list", "--config", site, "--limit", "1")
    store = Store(f"sqlite:///{site.parent / 'data' / 'xrv-node.sqlite'}")
    with store.begin() as db:
        db.connection().exec_driver_sql("DROP TRIGGER audit_event_no_delete")
        db.connection().exec_driver_sql("DELETE FROM audit_event WHERE id = 2")
    with store.read() as db:
        assert isinstance(trail.verify(db), trail.Broken)
    store.close()
    assert "the trail is broken: row 2 is missing" in xrv("audit", "verify", "--config", site, code=1)


def test_no_command_shows_the_patient(site: Path) -> None:
    for command in (["status"], ["jobs", "list"], ["studies", "show", "1.2.3.1"], ["audit", "export"]):
        code = 1 if command == ["status"] else 0  # a job waits for a person
        assert SECRET not in xrv(*command, "--config", site, code=code)


def test_destinations_are_listed_and_checked(site: Path) -> None:
    assert "out" in xrv("destinations", "list", "--config", site)
    assert "out: good" in xrv("destinations", "check", "--config", site)
    assert "no destination named 'x'; configured: out" in xrv(
        "destinations", "check", "x", "--config", site, code=2
    )
    site.write_text('[[destinations]]\nname="d"\nkind="dimse"\nae_title="A"\nhost="127.0.0.1"\nport=1\n')
    assert "is it running and reachable?" in xrv("destinations", "check", "--config", site, code=1)
    site.write_text("")
    assert xrv("destinations", "check", "--config", site) == "none\n"


def test_send_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    radiograph().save_as(path, enforce_file_format=True)
    (tmp_path / "text.txt").write_text("no DICOM")
    assert "write AE@host:port" in xrv("send", path, "--to", "nowhere", code=2)
    assert "is it running and reachable?" in xrv("send", path, "--to", "A@127.0.0.1:1", code=2)
    assert "there is no such file" in xrv("send", tmp_path / "b", "--to", "A@127.0.0.1:1", code=2)
    assert "not a DICOM file" in xrv("send", tmp_path / "text.txt", "--to", "A@127.0.0.1:1", code=1)

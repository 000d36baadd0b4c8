"""The commands: what they print, and what they ask of a person."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fetch_archive import Archive, serving
from fetching import Node
from in_process import told
from made import SECRET, radiograph

from xrv_node.db.store import Store
from xrv_node.fetch import keys, run
from xrv_node.fetch.keys import Key
from xrv_node.spool import Spool


@pytest.fixture(scope="module")
def archive() -> Iterator[Archive]:
    with serving(Archive([radiograph(1), radiograph(1, 2)])) as found:
        yield found


@pytest.fixture
def node(archive: Archive, tmp_path: Path, empty_database: Path) -> Iterator[Node]:
    """A node that is configured, and does not run."""
    (tmp_path / "data").mkdir()
    shutil.copyfile(empty_database, tmp_path / "data" / "xrv-node.sqlite")
    way = "".join(f"{key} = {json.dumps(value)}\n" for key, value in archive.way.items())
    (tmp_path / "node.toml").write_text(f'[[archives]]\nname = "pacs"\n{way}')
    store = Store(f"sqlite:///{tmp_path / 'data' / 'xrv-node.sqlite'}")
    yield Node(store, tmp_path / "data", archive.way)
    store.close()


def xrv(node: Node, *arguments: str, code: int = 0) -> str:
    return told(*arguments, "--config", node.directory.parent / "node.toml", codes=(code,))


def document(node: Node, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(xrv(node, *arguments, "--json"))
    return found


def test_a_fetch_from_its_request_to_its_end(node: Node) -> None:
    asked = xrv(node, "fetch", "1.2.3.1", "1.2.9")
    (row,) = document(node, "fetch", "list")["items"]
    assert f"fetch {row['id']}: `xrv-node fetch show {row['id']}` says how far it is" in asked
    assert run.one(node.fetcher)
    shown = document(node, "fetch", "show", row["id"])
    assert {one["study"]: one["state"] for one in shown["found"]} == {"1.2.3.1": "done", "1.2.9": "missing"}
    assert shown["events"][0]["detail"]["by"]
    assert "missing:1" in xrv(node, "fetch", "list", "--state", "done")
    assert "fetch.study" in xrv(node, "fetch", "show", row["id"])
    assert "fetched from pacs" in xrv(node, "audit", "show", "--study", "1.2.3.1")
    assert "is done" in xrv(node, "fetch", "cancel", row["id"], code=2)


def test_a_dry_run_fetches_nothing(node: Node, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("AccessionNumber\nACC1\nNONE\n")
    found = document(node, "fetch", "--dry-run", "--list", str(tmp_path / "list.csv"))
    assert found["unmatched"] == [2]
    assert found["studies"][0] == {
        "study": "1.2.3.1", "modalities": ["CR"], "series": 1, "objects": 1, "present": 0,
    }  # fmt: skip
    assert "number 2 of what" in xrv(node, "fetch", "--dry-run", "--list", str(tmp_path / "list.csv"))
    assert (node.instances(), node.events("fetch.requested")) == ([], [])


def test_a_patient_is_named_nowhere(node: Node) -> None:
    patient = f"{SECRET}-4711"
    days = ("--from", "2026-01-01", "--to", "2026-12-31")
    row = document(node, "fetch", "--patient", patient, *days, "--not-before", "03:30")
    assert SECRET not in str(row)
    begins = datetime.fromisoformat(row["not_before"]).astimezone()
    now = datetime.now().astimezone()
    assert (begins.hour, begins.minute) == (3, 30)
    assert now < begins <= now + timedelta(days=1)
    written = keys.read(Spool(node.directory), row["id"])
    assert written == (Key(patient=patient, date="20260101-20261231"),)
    assert xrv(node, "fetch", "retry", row["id"]) == f"fetch {row['id']}: queued\n"
    assert xrv(node, "fetch", "cancel", row["id"]) == f"fetch {row['id']}: cancelled\n"


def test_without_a_node_that_runs_nobody_waits(node: Node) -> None:
    assert "a running node (`xrv-node serve`) does it" in xrv(node, "fetch", "1.2.3.1", "--wait", code=1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("fetch", "studies"), "name studies, or give --accession, --patient or --list"),
        (("fetch", "1.2.3", "--from", "2026-01-01"), "--from and --to go with --patient"),
        (("fetch", "1.2.3", "--archive", "cloud"), "there is no archive named 'cloud'; configured: pacs"),
        (("fetch", "x"), "no Study Instance UID"),
        (("fetch", "show", "0"), "there is no such fetch"),
        (("fetch", "list", "--state", "lost"), "there is no such; use one of"),
        (("fetch", "--list", "absent.txt"), "absent.txt: cannot be read"),
    ],
)
def test_what_is_wrong_is_told(node: Node, arguments: tuple[str, ...], says: str) -> None:
    assert says in xrv(node, *arguments, code=2)


def test_archives_are_listed_and_tried(node: Node, archive: Archive) -> None:
    (row,) = document(node, "archives", "list")["items"]
    assert (row["name"], row["port"]) == ("pacs", archive.port)
    says = xrv(node, "archives", "check", code=1)
    assert "pacs: FAILED" in says
    assert "Digital X-Ray" in says

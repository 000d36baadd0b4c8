"""A node that keeps its results to itself: all is made and kept, nothing leaves, and a person may send it later."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from analysed import Networks, Site, image
from sqlalchemy import select
from typer.testing import CliRunner

from xrv_node import settings as configuration
from xrv_node.cli import app
from xrv_node.db import progress, queries, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Study
from xrv_node.jobs import outbox, report
from xrv_node.reasons import as_is
from xrv_node.retention import purge
from xrv_node.settings import Settings
from xrv_node.spool import Spool

UID = "1.2.3.1"


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    return Site(store, spool)


def node(tmp_path: Path, *, silent: bool = False, active: bool = False) -> Settings:
    """With a destination that may be silent and one that is only where the node is."""
    database = f"[database]\nurl = 'sqlite:///{tmp_path / 'audit.sqlite'}'\n"
    text = f"[node]\nsilent = {str(silent).lower()}\ndata_dir = '{tmp_path}'\n{database}" + "".join(
        f"[[destinations]]\nname = '{name}'\nactive = {str(on).lower()}\nkind = 'folder'\npath = '{tmp_path / name}'\n"
        "send = ['report']\n"
        for name, on in (("pacs", active), ("archive", True))
    )
    (tmp_path / "node.toml").write_text(text)
    return configuration.load(tmp_path / "node.toml")


def reported(site: Site, chosen: Settings) -> None:
    site.analyse(image(1))
    with site.store.begin() as db:
        progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))
    report.run(
        chosen, site.store, site.spool, Networks().model_set, queue.claim(site.store, "report", owner="t")
    )


def courier(site: Site, chosen: Settings) -> list[str]:
    """Deliver what is due; the threads that did it."""
    stop, names = threading.Event(), []
    plain = outbox._deliver

    def told(destination, *rest):  # type: ignore[no-untyped-def]
        names.append(destination.name)
        sent = threading.Thread(target=plain, args=(destination, *rest))
        sent.start()
        while queue_waits(site, destination.name):
            stop.wait(0.01)
        stop.set()
        sent.join()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(outbox, "_deliver", told)
        outbox.run(chosen, site.store, site.spool, owner="t", stop=stop)
    return names


def queue_waits(site: Site, name: str) -> int:
    with site.store.read() as db:
        return queue.waiting(db, name)


def states(site: Site) -> dict[str, str]:
    with site.store.read() as db:
        (made,) = queries.study(db, UID)["results"]
    return {delivery["destination"]: delivery["state"] for delivery in made["deliveries"]}


def test_nothing_leaves_for_what_is_not_active_and_all_else_goes_out(site: Site, tmp_path: Path) -> None:
    chosen = node(tmp_path)
    reported(site, chosen)
    assert courier(site, chosen) == ["archive"]
    assert states(site) == {"pacs": "silent", "archive": "delivered"}
    assert not (tmp_path / "pacs").exists()
    (event,) = site.events("study.reported")
    assert (event["destinations"], event["silent"]) == (["pacs", "archive"], ["pacs"])


def test_nothing_leaves_a_silent_node(site: Site, tmp_path: Path) -> None:
    chosen = node(tmp_path, silent=True, active=True)
    reported(site, chosen)
    assert courier(site, chosen) == []
    assert states(site) == {"pacs": "silent", "archive": "silent"}
    assert not (tmp_path / "archive").exists()


def test_what_waited_before_waits_on_and_goes_out_afterwards(site: Site, tmp_path: Path) -> None:
    reported(site, node(tmp_path, active=True))
    assert courier(site, node(tmp_path, silent=True)) == []
    assert states(site) == {"pacs": "waiting", "archive": "waiting"}
    assert sorted(courier(site, node(tmp_path, active=True))) == ["archive", "pacs"]
    assert states(site) == {"pacs": "delivered", "archive": "delivered"}


def test_what_was_kept_back_leaves_only_when_a_person_sends_it(site: Site, tmp_path: Path) -> None:
    reported(site, node(tmp_path, silent=True))
    config = ["--config", str(tmp_path / "node.toml")]
    refused = CliRunner().invoke(app, ["studies", "resend", UID, *config])
    assert "nothing leaves for pacs, archive: [node] silent" in str(refused.exception)
    chosen = node(tmp_path, active=True)
    assert sorted(courier(site, chosen)) == ["archive", "pacs"]
    assert states(site) == {"pacs": "silent", "archive": "silent"}
    assert CliRunner().invoke(app, ["studies", "resend", UID, *config]).exit_code == 0
    courier(site, chosen)
    assert states(site) == {"pacs": "delivered", "archive": "delivered"}


def test_a_study_that_was_kept_back_is_purged_in_time(site: Site, tmp_path: Path) -> None:
    chosen = node(tmp_path, silent=True)
    reported(site, chosen)
    done = purge.purge(site.store, site.spool, 1, "results", committing={"pacs"})
    assert (done.study, done.files, done.held) == (UID, 2, None)  # the report and its analysis


def test_an_alert_of_a_silent_node_tells_nothing_of_patients() -> None:
    mail = {
        "name": "it", "kind": "mail", "on": ["finding", "parked"], "host": "h", "security": "none",
        "sender": "a@b.c", "to": ["a@b.c"],
    }  # fmt: skip
    heard = [Settings(node={"silent": silent}, alerts=[mail]).heard[0].on for silent in (False, True)]
    assert heard == [("finding", "parked"), ("parked",)]


def test_status_and_doctor_say_who_gets_nothing(site: Site, tmp_path: Path) -> None:
    node(tmp_path)
    config = ["--config", str(tmp_path / "node.toml")]
    status = CliRunner().invoke(app, ["status", *config])
    assert "silent" in status.output
    assert "pacs" in status.output
    found = CliRunner().invoke(app, ["doctor", *config]).output
    assert "pacs: nothing leaves for it (active = false), results are kept" in " ".join(found.split())

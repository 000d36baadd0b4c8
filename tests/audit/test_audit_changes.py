"""The trail answers: who sent what, what was done by which models, what went where, and what people changed."""

from __future__ import annotations

import getpass
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from made import incoming, radiograph
from typer.testing import CliRunner

from xrv_node.audit import changes, command_user, timeline
from xrv_node.cli import app
from xrv_node.db import progress, queries, queue, trail
from xrv_node.db.store import Store
from xrv_node.reasons import as_is
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection, ReceiveSection, Settings
from xrv_node.settings.priors import WebPriors
from xrv_node.spool import Spool
from xrv_node.values import ModelIdentity, ModelSet

NETWORK = ModelIdentity("classifier", "densenet121-res224-all", "ab" * 32)
MODELS = ModelSet(NETWORK, replace(NETWORK, role="segmenter"), replace(NETWORK, role="autoencoder"))


def of(store: Store, event: str) -> list[queries.Row]:
    with store.read() as db:
        return [e["detail"] for e in queries.events(db, event=event)]


def start(store: Store, settings: Settings) -> None:
    with store.begin() as db:
        changes.started(db, settings, commissioning=False, by="anna@host")


def test_a_configuration_is_on_record_when_it_changes(store: Store) -> None:
    first = Settings(priors=WebPriors(url="https://x", token="Zebrafinch"))
    for settings in (first, first, first.model_copy(update={"receive": ReceiveSection(port=104)})):
        start(store, settings)
    _, changed = of(store, "configuration.changed")
    assert (changed["changed"], changed["by"]) == (["receive.port"], "anna@host")
    assert changed["configuration"]["receive"]["port"] == 104
    digests = [s["configuration"] for s in of(store, "node.started")]
    assert digests[0] == digests[1] != digests[2] == changed["digest"]
    assert "Zebrafinch" not in json.dumps(of(store, "configuration.changed"))


def test_models_are_on_record_when_they_change(store: Store) -> None:
    other = replace(MODELS, classifier=replace(NETWORK, sha256="cd" * 32))
    for models in (MODELS, MODELS, other, MODELS):
        with store.begin() as db:
            changes.models_loaded(db, models, owner="host/worker-0")
    found = of(store, "models.changed")
    assert [f["model_set"] for f in found] == [MODELS.digest, other.digest, MODELS.digest]
    assert found[1]["weights"]["classifier"] == "cd" * 32


def test_operating_points_of_the_site_are_on_record(store: Store) -> None:
    points = (("Mass", 0.2), ("Lung Lesion", 0.1))
    own = replace(MODELS, classifier=replace(NETWORK, site_thresholds=points))
    for models in (MODELS, own, own):
        with store.begin() as db:
            changes.models_loaded(db, models, owner="host/worker-0")
    first, second = of(store, "models.changed")
    assert (first["site_thresholds"], second["site_thresholds"]) == ({}, dict(points))
    assert first["weights"] == second["weights"]
    says = timeline._SAYS["models.changed"]
    assert callable(says)
    assert says(second).endswith("operating points of the site for Lung Lesion, Mass)")
    assert "of the site" not in says(first)


def test_a_person_is_named_by_user_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")
    name, _, host = command_user.operator().partition("@")
    monkeypatch.undo()
    assert (name, host.split(" ")[0]) == (getpass.getuser(), socket.gethostname())


@pytest.fixture
def node(store: Store, spool: Spool, tmp_path: Path) -> Path:
    """The configuration of a node with a study whose analysis was parked."""
    start(store, Settings())
    intake.accept(store, spool, FrontalSection(), incoming(radiograph(1)))
    intake.accept(store, spool, FrontalSection(), incoming(radiograph(2, study=2)))
    (claim,) = queue.claim(store, "analyse", owner="host/worker-0")
    with store.begin() as db:
        progress.failed(db, claim, as_is("its pixels cannot be decoded"), final=True)
        changes.models_loaded(db, MODELS, owner="host/worker-0")
        trail.record(db, "study.surprised", study="1.2.3.1", colour="red")
    file = tmp_path / "node.toml"
    file.write_text(f'[node]\ndata_dir = "."\n[database]\nurl = "sqlite:///{tmp_path}/audit.sqlite"\n')
    return file


def run(node: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--config", str(node)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_whatever_a_command_changes_names_who_ran_it(store: Store, node: Path) -> None:
    run(node, "jobs", "retry", "--parked")
    run(node, "jobs", "cancel", "1")
    for event in ("job.retried", "job.cancelled"):
        (changed,) = of(store, event)
        assert changed["by"] == command_user.operator()
    assert "by" not in of(store, "job.parked")[0]
    with store.read() as db:
        assert isinstance(trail.verify(db), int)


def test_a_study_is_told_as_a_timeline(store: Store, node: Path) -> None:
    run(node, "jobs", "retry", "--parked")
    rows = json.loads(run(node, "audit", "show", "--study", "1.2.3.1", "--json"))["items"]
    assert [row["event"] for row in rows] == [
        "configuration.changed", "instance.received", "job.parked", "models.changed", "study.surprised", "job.retried",
    ]  # fmt: skip
    assert rows[1]["says"].startswith("received from PACS; frontal: ")
    assert rows[2]["says"] == "job 1 (analyse) waits for a person: its pixels cannot be decoded"
    assert MODELS.digest[:12] in rows[3]["says"]
    assert rows[4]["says"] == "colour red"
    assert rows[5]["by"] == command_user.operator()
    text = run(node, "audit", "show", "--study", "1.2.3.1")
    assert all(row["says"] in text for row in rows)
    assert "1.2.3.2" not in text


def test_a_study_that_never_came_is_said_so(node: Path) -> None:
    done = CliRunner().invoke(app, ["audit", "show", "--study", "1.2.9", "--config", str(node)])
    assert "the trail has no study 1.2.9" in str(done.exception)


def test_every_event_of_a_study_has_a_sentence_or_says_what_it_holds() -> None:
    for says in timeline._SAYS.values():
        assert isinstance(says, str) or says({})

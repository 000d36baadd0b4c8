"""What a person asks for once more: results sent again, studies analysed again."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from analysed import Networks, Site, image
from made import SECRET
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from xrv_node import role_locks
from xrv_node.cli import app
from xrv_node.db import progress, queue, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Instance, Job, JobState, ResultRow, Study
from xrv_node.deliver.folder import FolderSender
from xrv_node.errors import XrvNodeError
from xrv_node.jobs import outbox, rerun
from xrv_node.reasons import as_is
from xrv_node.settings import Settings, load
from xrv_node.spool import Spool

UID = "1.2.3.1"
OTHER = Networks({"Effusion": 0.9}, classifier="7c" * 32)
CONFIG = """
[[destinations]]
name = "out"
kind = "folder"
path = "out"
send = ["report"]

[[destinations]]
name = "late"
kind = "folder"
path = "late"
send = ["report", "sr"]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A node with one reported study; its destination `late` was not there yet."""
    (tmp_path / "node.toml").write_text(CONFIG)
    monkeypatch.setenv("XRV_NODE_CONFIG", str(tmp_path / "node.toml"))
    store = Store(load().database_url)
    store.migrate()
    made = Site(store, Spool(load().data_dir))
    made.analyse(image(1))
    made.report(1)
    yield made
    store.close()


def settings() -> Settings:
    return load()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["studies", *words])


def refusal(*words: str) -> str:
    done = run(*words)
    assert isinstance(done.exception, XrvNodeError)
    assert SECRET not in str(done.exception)
    return str(done.exception)


def delivered(site: Site, name: str) -> list[str]:
    """Deliver what waits for a destination; returns the files that it has."""
    destination = settings().destination(name)
    peer = FolderSender(destination, "XRVNODE")
    claims = queue.claim(site.store, "deliver", owner="t", limit=9, destination=name)
    outbox.deliver(site.store, site.spool, name, peer, claims)
    assert destination.path is not None
    return sorted(path.name for path in destination.path.rglob("*.dcm"))


def deliveries(site: Site) -> list[tuple[str, str]]:
    with site.store.read() as db:
        rows = db.scalars(select(Delivery).order_by(Delivery.id))
        return [(row.destination, row.state) for row in rows]


# ---------------------------------------------------------------- sent again


def test_what_was_delivered_is_sent_again_under_its_uid(site: Site) -> None:
    files = delivered(site, "out")
    assert deliveries(site) == [("out", "delivered")]
    done = json.loads(run("resend", UID, "--json").output)
    assert [(q["kind"], q["destination"]) for q in done["queued"]] == [("report", "out")]
    assert deliveries(site) == [("out", "waiting")]
    assert delivered(site, "out") == files
    assert deliveries(site) == [("out", "delivered")]
    (event,) = site.events("study.resent")
    assert event["by"]
    assert event["deliveries"] == done["queued"]
    assert len(site.events("result.delivered")) == 2


def test_what_still_waits_is_not_queued_twice(site: Site) -> None:
    assert "still waits" in run("resend", UID).output
    with site.store.read() as db:
        assert len(db.scalars(select(Job).where(Job.kind == "deliver")).all()) == 1


def test_a_destination_that_was_configured_since_gets_what_it_takes_when_it_is_named(site: Site) -> None:
    delivered(site, "out")
    assert run("resend", UID).exit_code == 0
    assert "late" not in [name for name, _ in deliveries(site)]
    assert run("resend", UID, "--to", "late").exit_code == 0
    assert deliveries(site)[-1] == ("late", "waiting")
    assert len(delivered(site, "late")) == 1


def test_what_was_parked_is_sent_again_and_no_longer_parked(site: Site) -> None:
    (claim,) = queue.claim(site.store, "deliver", owner="t")
    with site.store.begin() as db:
        progress.failed(db, claim, as_is("the peer refuses the SOP class"), final=True)
    assert deliveries(site) == [("out", "rejected")]
    run("resend", UID)
    with site.store.read() as db:
        states = db.scalars(select(Job.state).where(Job.kind == "deliver").order_by(Job.id)).all()
    assert states == [JobState.CANCELLED, JobState.QUEUED]
    delivered(site, "out")
    assert deliveries(site) == [("out", "delivered")]


def test_only_the_newest_results_are_sent(site: Site) -> None:
    site.analyse(image(1, number=2))
    site.report(1)
    delivered(site, "out")
    done = json.loads(run("resend", UID, "--json").output)
    with site.store.read() as db:
        newest = db.scalars(select(ResultRow).order_by(ResultRow.id.desc())).first()
    assert newest is not None
    assert [q["instance"] for q in done["queued"]] == [newest.sop_instance_uid]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("1.2.3.99",), "no study 1.2.3.99 came here"),
        ((UID, "--kind", "nonsense"), "--kind nonsense: there is no such; use one of "),
        ((UID, "--kind", "seg"), "has no seg to send"),
        ((UID, "--to", "nowhere"), "there is no destination named 'nowhere'; configured: out, late"),
    ],
)
def test_what_cannot_be_sent_is_said_in_a_sentence(site: Site, words: tuple[str, ...], says: str) -> None:
    assert says in refusal("resend", *words)


def test_results_that_were_purged_are_not_sent(site: Site) -> None:
    with site.store.read() as db:
        site.spool.absolute(db.scalars(select(ResultRow.path)).one()).unlink()
    assert "are no longer here ([retention] results_days)" in refusal("resend", UID)
    assert deliveries(site) == [("out", "waiting")]


# ---------------------------------------------------------------- analysed again


def worked(site: Site, networks: Networks) -> None:
    site.analyse(networks=networks)
    site.report(1, networks)


def test_other_models_make_new_results_that_supersede_the_old(site: Site) -> None:
    done = run("reprocess", UID, "--no-wait")
    assert "queued; a running node" in done.output
    worked(site, OTHER)
    with site.store.read() as db:
        old, new = db.scalars(select(ResultRow).order_by(ResultRow.id)).all()
        assert (old.revision, new.revision) == (1, 2)
        assert new.model_set == OTHER.model_set.digest
        assert isinstance(trail.verify(db), int)
    (event,) = site.events("study.reprocessed")
    assert event["images"] == ["1.2.3.1.1.1"]
    assert event["revision"] == 2


@pytest.mark.parametrize(("networks", "says"), [(Networks(), "nothing new"), (OTHER, "1 new results")])
def test_the_command_waits_and_says_whether_anything_is_new(
    site: Site, networks: Networks, says: str
) -> None:
    def work() -> None:
        for _ in range(200):
            with site.store.read() as db:
                if db.scalars(select(Study.state)).one() == "closed":
                    break
            threading.Event().wait(0.05)
        worked(site, networks)

    with role_locks.lock(settings().data_dir / "run" / "serve.lock"):
        worker = threading.Thread(target=work)
        worker.start()
        done = run("reprocess", UID)
        worker.join()
    assert done.exit_code == 0
    assert says in done.output


def test_a_failed_image_is_analysed_again_and_no_longer_parked(site: Site) -> None:
    with site.store.begin() as db:
        rerun.reprocess(db, site.spool, UID)
    (claim,) = queue.claim(site.store, "analyse", owner="t")
    with site.store.begin() as db:
        progress.failed(db, claim, as_is("no"), final=True)
    site.report(1)
    assert run("reprocess", "--all-failed").exit_code == 0
    worked(site, Networks())
    with site.store.read() as db:
        assert db.scalars(select(Instance.state)).one() == "analysed"
        assert db.scalars(select(Job.id).where(Job.state == JobState.PARKED)).all() == []
    assert run("reprocess", "--all-failed").output.strip() == "none"


def test_a_study_whose_report_was_parked_gets_one(site: Site) -> None:
    with site.store.begin() as db:
        rerun.reprocess(db, site.spool, UID)
    site.analyse()
    (claim,) = queue.claim(site.store, "report", owner="t")
    with site.store.begin() as db:
        progress.failed(db, claim, as_is("no"), final=True)
    with site.store.read() as db:
        assert rerun.choose(db, failed=True) == [UID]
    run("reprocess", "--all-failed")
    worked(site, OTHER)
    with site.store.read() as db:
        assert db.scalars(select(Study.state)).one() == "reported"


def test_images_that_are_gone_are_named_and_nothing_is_queued(site: Site) -> None:
    with site.store.read() as db:
        site.spool.absolute(db.scalars(select(Instance.path)).one()).unlink()
    done = run("reprocess", UID)
    assert done.exit_code == 1
    assert f"1 of 1 objects of study {UID} are no longer here ([retention] inputs_days)" in done.output
    assert SECRET not in done.output
    with site.store.read() as db:
        assert db.scalars(select(Study)).one().revision == 1
        assert db.scalars(select(Instance.state)).one() == "analysed"


def test_an_open_study_is_analysed_again_and_reported_when_it_closes(site: Site) -> None:
    site.analyse(image(2))
    with site.store.begin() as db:
        assert rerun.reprocess(db, site.spool, "1.2.3.2") == 1
        assert rerun.reprocess(db, site.spool, "1.2.3.2") == 0  # it is queued already
    site.analyse(networks=OTHER)
    with site.store.read() as db:
        study = db.scalars(select(Study).where(Study.study_instance_uid == "1.2.3.2")).one()
        assert (study.state, study.revision) == ("open", 0)
    assert len(site.report(2, OTHER)) == 1


def test_a_late_image_while_a_study_is_reprocessed_leads_to_one_whole_report(site: Site) -> None:
    with site.store.begin() as db:
        rerun.reprocess(db, site.spool, UID)
    site.analyse(image(1, number=2), networks=OTHER)
    first, second = site.report(1, OTHER)
    assert "1.2.3.1.1.2" in str(second)
    assert "1.2.3.1.1.2" not in str(first)


def test_studies_are_chosen_by_failure_by_day_and_by_models(site: Site) -> None:
    site.analyse(image(2), networks=OTHER)
    with site.store.begin() as db:
        past = datetime.now(UTC) - timedelta(days=2)
        db.execute(update(Study).where(Study.study_instance_uid == UID).values(received_at=past))
    with site.store.read() as db:
        assert rerun.choose(db) == [UID, "1.2.3.2"]
        assert rerun.choose(db, since=datetime.now(UTC) - timedelta(days=1)) == ["1.2.3.2"]
        assert rerun.choose(db, not_by=OTHER.model_set.digest) == [UID]
        assert rerun.choose(db, not_by=Networks().model_set.digest) == ["1.2.3.2"]
        assert rerun.choose(db, failed=True) == []


@pytest.mark.parametrize(
    "words", [(), ("--all",), (UID, "--all-failed"), (UID, "--all", "--since", "2026-01-01")]
)
def test_what_is_to_be_reprocessed_must_be_said_in_one_way(site: Site, words: tuple[str, ...]) -> None:
    assert run("reprocess", *words).exit_code == 2


def test_the_present_models_are_read_from_their_files_headers(site: Site) -> None:
    from safetensors.numpy import save_file

    from xrv_node.models import catalog
    from xrv_node.models.weights import model_set

    chosen = settings()
    with pytest.raises(XrvNodeError, match="weights of densenet121-res224-all are not in"):
        model_set(chosen.models.names, chosen.models_dir)
    assert "weights of densenet121" in refusal("reprocess", "--all", "--older-models")
    chosen.models_dir.mkdir(parents=True)
    for number, name in enumerate(chosen.models.names):
        record: dict[str, Any] = {
            "name": name, "source_file": "f", "source_sha256": "0" * 64, "tensors_sha256": str(number) * 64,
            "imported_at": "2026-01-01T00:00:00+00:00", "xrv_node": "0",
        }  # fmt: skip
        save_file({}, catalog.find(name).weights_path(chosen.models_dir), metadata=record)
    found = model_set(chosen.models.names, chosen.models_dir)
    assert [m.sha256[0] for m in found.models] == ["0", "1", "2"]
    own = model_set(chosen.models.names, chosen.models_dir, {"Mass": 0.2})
    assert own.weights_digest == found.digest != own.digest
    done = json.loads(run("reprocess", "--all", "--older-models", "--json", "--no-wait").output)
    assert [row["study"] for row in done["studies"]] == [UID]

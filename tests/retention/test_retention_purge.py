"""Studies are purged when their time is over, whole, and no others."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import structlog
from analysed import Site, image
from made import incoming, radiograph
from retained import aged, done, expire, files, kinds
from sqlalchemy import func, select, update
from worded import said

from xrv_node import role_locks
from xrv_node.db import queries, trail
from xrv_node.db.tables import Delivery, Instance, Job, ResultRow, Study
from xrv_node.errors import XrvNodeError
from xrv_node.jobs import outcomes
from xrv_node.receive import intake
from xrv_node.retention import orphans, purge
from xrv_node.settings import FrontalSection, Settings

NOBODY: frozenset[str] = frozenset()
RULES = FrontalSection()


def find(site: Site) -> orphans.Disagreements:
    with site.store.read() as db:
        return orphans.find(db, site.spool, settled=0)


def shown(site: Site) -> dict[str, Any]:
    with site.store.read() as db:
        assert isinstance(trail.verify(db), int)
        return queries.study(db, "1.2.3.1")


def count(site: Site, table: Any) -> int:
    with site.store.read() as db:
        return db.scalar(select(func.count()).select_from(table)) or 0


def test_inputs_go_when_their_days_are_over_and_the_record_says_so(site: Site) -> None:
    done(site)
    assert expire(site, inputs_days=41) == 0
    assert kinds(site) == {"inputs", "analyses", "results"}
    assert shown(site)["inputs_purged_at"] is None
    assert expire(site, inputs_days=39) == 1
    assert kinds(site) == {"analyses", "results"}
    after = shown(site)
    assert after["inputs_purged_at"] is not None
    assert after["results_purged_at"] is None
    assert [i["calling_ae"] for i in after["instances"]] == ["PACS", "PACS"]
    (event,) = site.events("study.purged")
    assert (event["what"], event["files"], event["days"]) == ("inputs", 2, 39)
    assert event["bytes"] > 2 * 300 * 260 * 2
    assert expire(site, inputs_days=39) == 0
    assert not (site.spool.root / "spool" / "inputs" / "1.2.3.1").exists()
    assert find(site) == orphans.Disagreements()


def test_results_go_with_the_analyses(site: Site) -> None:
    done(site)
    assert expire(site, results_days=30) == 1
    assert kinds(site) == {"inputs"}
    assert shown(site)["results_purged_at"] is not None
    assert find(site) == orphans.Disagreements()


def test_without_days_everything_is_kept(site: Site) -> None:
    done(site, days=20_000)
    assert expire(site) == 0
    assert kinds(site) == {"inputs", "analyses", "results"}


@pytest.mark.parametrize(
    ("table", "values", "why"),
    [
        (Study, {"state": "open"}, "it is open: its report is not made"),
        (Study, {"state": "closed"}, "it is closed: its report is not made"),
        (Study, {"state": "failed"}, "its report failed"),
        (Job, {"state": "queued"}, "job 1 (analyse) is queued"),
        (Job, {"state": "running"}, "job 1 (analyse) is running"),
        (Job, {"state": "parked"}, "job 1 (analyse) is parked"),
        (Delivery, {"state": "waiting"}, "its report for out is waiting"),
        (Delivery, {"state": "rejected"}, "its report for out is rejected"),
        (Delivery, {"state": "parked"}, "its report for out is parked"),
    ],
)
def test_what_is_not_done_is_kept_and_why(site: Site, table: Any, values: dict[str, str], why: str) -> None:
    done(site)
    with site.store.begin() as db:
        db.execute(update(table).values(values))
    before = files(site)
    assert expire(site, inputs_days=1, results_days=1) == 0
    assert files(site) == before
    for what in purge.WHATS:
        held = purge.purge(site.store, site.spool, 1, what, committing=NOBODY).held
        assert said(held) == why
    assert site.events("study.purged") == []


def test_a_destination_that_is_asked_to_commit_must_have_confirmed(site: Site) -> None:
    done(site)
    looked = purge.look(site.store, site.spool, 1, "results", committing={"out"})
    assert said(looked.held) == "out has not confirmed its report"
    with site.store.begin() as db:
        db.execute(update(Delivery).values(state="confirmed"))
    assert purge.look(site.store, site.spool, 1, "results", committing={"out"}).held is None


def test_by_force_what_is_parked_goes_and_its_jobs_are_cancelled(site: Site) -> None:
    done(site)
    with site.store.begin() as db:
        db.execute(update(Delivery).values(state="parked"))
        db.execute(update(Job).where(Job.kind == "deliver").values(state="parked"))
    for what in purge.WHATS:
        assert purge.purge(site.store, site.spool, 1, what, committing=NOBODY, force=True).held is None
    assert files(site) == []
    with site.store.read() as db:
        job = db.scalars(select(Job).where(Job.kind == "deliver")).one()
    assert (job.state, said(job.error)) == ("cancelled", "the results of its study were purged by hand")
    assert [event["cancelled"] for event in site.events("study.purged")] == [[], [job.id]]


@pytest.mark.parametrize("values", [{"state": "open"}, {"state": "closed"}])
def test_by_force_nothing_goes_that_is_being_worked_on(site: Site, values: dict[str, str]) -> None:
    done(site)
    with site.store.begin() as db:
        db.execute(update(Study).values(values))
    assert purge.purge(site.store, site.spool, 1, "inputs", committing=NOBODY, force=True).held
    with site.store.begin() as db:
        db.execute(update(Study).values(state="reported"))
        db.execute(update(Job).where(Job.id == 1).values(state="running"))
    assert purge.purge(site.store, site.spool, 1, "inputs", committing=NOBODY, force=True).held
    assert "inputs" in kinds(site)


KILLS = {
    "before the rows are committed": """
mark = purge._mark
def killed(*arguments):
    mark(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
purge._mark = killed
""",
    "before the first file is gone": """
orphans.remove = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
""",
    "after the first file is gone": """
unlink = Path.unlink
def killed(self, **options):
    unlink(self, **options)
    os.kill(os.getpid(), signal.SIGKILL)
Path.unlink = killed
""",
}


@pytest.mark.parametrize(("moment", "left", "claimed"), list(zip(KILLS, (2, 2, 1), (2, 0, 0), strict=True)))
def test_a_purge_that_is_killed_is_finished_later(site: Site, moment: str, left: int, claimed: int) -> None:
    done(site)
    script = f"""
import os, signal
from pathlib import Path
from xrv_node.db.store import Store
from xrv_node.spool import Spool
from xrv_node.retention import orphans, purge
{KILLS[moment]}
store = Store({str(site.store.engine.url)!r})
purge.purge(store, Spool(Path({str(site.spool.root)!r})), 1, "inputs", committing=())
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    inputs = [path for path in files(site) if "/inputs/" in path]
    assert len(inputs) == left
    found = find(site)
    assert found.missing == ()  # no row claims a file that is not there
    assert len(inputs) - len(found.purged) == claimed  # and no file is left that nobody sweeps
    for path in inputs:
        aged(site.spool.absolute(path), orphans.SWEPT_SECONDS + 1)
    orphans.sweep(site.store, site.spool)
    expire(site, inputs_days=30)
    assert kinds(site) == {"analyses", "results"}
    assert shown(site)["inputs_purged_at"] is not None
    assert len(site.events("study.purged")) == 1


def test_an_image_that_comes_again_is_kept_again_and_nothing_is_made_twice(site: Site) -> None:
    done(site)
    expire(site, inputs_days=30)
    made, jobs = count(site, ResultRow), count(site, Job)
    for number in (1, 2):
        accepted = intake.accept(site.store, site.spool, RULES, incoming(image(1, number=number)))
        assert accepted.outcome == "stored"
    after = shown(site)
    assert (after["inputs_purged_at"], after["state"], len(after["instances"])) == (None, "reported", 2)
    assert kinds(site) == {"inputs", "analyses", "results"}
    assert (count(site, ResultRow), count(site, Job)) == (made, jobs)
    assert site.events("instance.received")[-1]["after_purge"] is True
    assert expire(site, inputs_days=30) == 0  # its days are counted anew


def test_one_of_which_nothing_is_left_is_analysed_again_and_no_finding_is_sent_twice(site: Site) -> None:
    done(site)
    (before,) = shown(site)["results"]
    expire(site, inputs_days=30, results_days=30)
    assert files(site) == []
    site.analyse(image(1, number=1), image(1, number=2))
    assert shown(site)["state"] == "open"
    (report,) = site.report(1)
    assert report.SOPInstanceUID == before["instance"]
    (after,) = shown(site)["results"]
    assert (after["instance"], after["purged_at"]) == (before["instance"], None)
    assert [d["state"] for d in after["deliveries"]] == ["delivered"]
    assert count(site, Delivery) == 1
    assert find(site) == orphans.Disagreements()


def test_a_late_image_of_a_purged_study_has_a_report_of_its_own(site: Site) -> None:
    done(site)
    expire(site, inputs_days=30)
    site.analyse(image(1, number=3))
    first, second = site.report(1)
    assert "PredecessorDocumentsSequence" not in second
    assert second.SOPInstanceUID != first.SOPInstanceUID
    images = {r.ReferencedSOPInstanceUID for s in second.CurrentRequestedProcedureEvidenceSequence
              for q in s.ReferencedSeriesSequence for r in q.ReferencedSOPSequence}  # fmt: skip
    assert images == {"1.2.3.1.1.3"}


def test_a_study_without_images_says_that_they_were_purged(site: Site) -> None:
    done(site)
    expire(site, inputs_days=30)
    with site.store.read() as db, pytest.raises(XrvNodeError, match="were purged: send them again"):
        outcomes.images_of(db, site.spool, db.get_one(Study, 1), _model_set())


def _model_set() -> Any:
    from analysed import Networks

    return Networks().model_set


def test_an_image_that_comes_again_in_the_middle_of_its_purge_is_not_lost(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(site)
    remove = orphans.remove

    def comes(*arguments: Any) -> int:
        intake.accept(site.store, site.spool, RULES, incoming(image(1, number=2)))
        return remove(*arguments)

    monkeypatch.setattr(orphans, "remove", comes)
    expire(site, inputs_days=30)
    assert [p for p in files(site) if "/inputs/" in p] == [shown(site)["instances"][1]["path"]]
    assert [bool(i["purged_at"]) for i in shown(site)["instances"]] == [True, False]


def test_one_whose_new_file_goes_with_the_old_is_not_acknowledged(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(site)
    together = site.store.together

    def purged_before(action: Any) -> Any:
        expire(site, inputs_days=30)
        return together(action)

    with monkeypatch.context() as patched:
        patched.setattr(site.store, "together", purged_before)
        with pytest.raises(FileNotFoundError):
            intake.accept(site.store, site.spool, RULES, incoming(image(1, number=2)))
    assert find(site).missing == ()
    assert intake.accept(site.store, site.spool, RULES, incoming(image(1, number=2))).outcome == "stored"
    assert find(site).missing == ()


def test_results_that_were_purged_are_still_known_when_they_come_back(site: Site) -> None:
    done(site)
    (report,) = shown(site)["results"]
    expire(site, inputs_days=30, results_days=30)
    back = radiograph(SOPInstanceUID=report["instance"])
    assert intake.accept(site.store, site.spool, RULES, incoming(back)).outcome == "own result"


def test_a_purged_study_is_no_prior(site: Site) -> None:
    done(site, 1, images=1)
    site.analyse(image(2, "20270101"))
    assert len(site.priors(2)) == 1
    purge.purge(site.store, site.spool, 1, "results", committing=NOBODY)
    with structlog.testing.capture_logs() as logs:
        assert site.priors(2) == []
    assert logs == []


def test_the_sweep_removes_what_killed_processes_left_and_nothing_else(site: Site) -> None:
    done(site)
    kept = files(site)
    root = site.spool.root / "spool"
    old, young = orphans.SWEPT_SECONDS + 60, orphans.SWEPT_SECONDS - 60
    for place, seconds in {
        "analyses/1.2.3.1/1.2.9-0000.npz": old,
        "results/1.2.3.9/2.25.1.dcm": old,
        "results/1.2.3.1/.x.part": old,
        "incoming/receiver-1/.a.part": old,
        "incoming/receiver-0/.b.part": old,  # somebody sits there
        "results/1.2.3.9/2.25.2.dcm": young,
        "inputs/1.2.3.9/1.2.9-0000.dcm": old,  # for a person to decide
    }.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(b"x")
        aged(root / place, seconds)
    with role_locks.lock(site.spool.root / "run" / "receiver-0.lock"):
        assert orphans.sweep(site.store, site.spool) == 4
    assert sorted(set(files(site)) - set(kept)) == [
        "spool/incoming/receiver-0/.b.part",
        "spool/inputs/1.2.3.9/1.2.9-0000.dcm",
        "spool/results/1.2.3.9/2.25.2.dcm",
    ]
    assert set(kept) <= set(files(site))


def test_the_days_are_those_of_the_configuration(site: Site) -> None:
    assert Settings().retention.model_dump() == {"inputs_days": 30, "results_days": 90, "audit_days": 0}
    done(site, days=31)
    assert purge.expire(Settings(), site.store, site.spool) == 1
    assert kinds(site) == {"analyses", "results"}
    with site.store.read() as db:
        assert db.scalar(select(func.count()).select_from(Instance)) == 2

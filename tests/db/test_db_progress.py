"""What follows from what: studies, instances and deliveries as jobs end."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from made import incoming, radiograph
from sqlalchemy import select, update
from worded import said

from xrv_node.db import progress, queries, queue, trail, waiting
from xrv_node.db.queue import Claim
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Job, JobState, Study
from xrv_node.errors import ImageError, QueueError
from xrv_node.jobs import schedule, worker
from xrv_node.reasons import as_is
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool


@pytest.fixture
def study(store: Store, spool: Spool) -> Store:
    """A database with one open study of two frontal images."""
    for number in (1, 2):
        intake.accept(store, spool, FrontalSection(), incoming(radiograph(number)))
    return store


def jobs(store: Store) -> list[tuple[str, str]]:
    with store.read() as db:
        return [(j.kind, j.state) for j in db.scalars(select(Job).order_by(Job.id))]


def study_state(store: Store) -> tuple[str, int]:
    with store.read() as db:
        row = db.scalars(select(Study)).one()
        return row.state, row.revision


def analysed(store: Store) -> None:
    """End one analyse job as the analyse room does."""
    (claim,) = queue.claim(store, "analyse", owner="t")
    with store.begin() as db:
        queue.close(queue.hold(db, claim), JobState.DONE)
        progress.report_when_ready(db, progress.study_of(db, claim.study_id))


def close(store: Store) -> None:
    with store.begin() as db:
        progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))


def test_the_report_waits_for_the_last_analysis(study: Store) -> None:
    close(study)
    analysed(study)
    assert ("report", "queued") not in jobs(study)
    analysed(study)
    assert jobs(study)[-1] == ("report", "queued")


def test_the_report_waits_for_the_study_to_close(study: Store) -> None:
    analysed(study)
    analysed(study)
    assert ("report", "queued") not in jobs(study)
    close(study)
    assert jobs(study)[-1] == ("report", "queued")
    close(study)
    assert jobs(study).count(("report", "queued")) == 1


def test_a_failed_analysis_is_reported_too(study: Store) -> None:
    close(study)
    analysed(study)
    (claim,) = queue.claim(study, "analyse", owner="t")
    with study.begin() as db:
        progress.failed(db, claim, as_is("the pixels cannot be decoded"), final=True)
    assert jobs(study) == [("analyse", "done"), ("analyse", "parked"), ("report", "queued")]
    with study.read() as db:
        failed = db.scalars(select(Instance).where(Instance.state == "failed")).one()
        assert said(failed.error) == "the pixels cannot be decoded"


def test_a_study_opened_while_its_report_runs_is_reported_again(study: Store, spool: Spool) -> None:
    close(study)
    analysed(study)
    analysed(study)
    (claim,) = queue.claim(study, "report", owner="t")
    intake.accept(study, spool, FrontalSection(), incoming(radiograph(3)))  # late
    with study.begin() as db:
        queue.close(queue.hold(db, claim), JobState.DONE)
        progress.reported(db, progress.study_of(db, claim.study_id), 1)
    assert study_state(study) == ("open", 1)
    close(study)
    analysed(study)
    assert study_state(study) == ("closed", 2)
    assert jobs(study)[-1] == ("report", "queued")


def test_a_job_that_waits_for_its_next_attempt_is_retried_now_and_its_study_stays_as_it_is(
    study: Store,
) -> None:
    close(study)
    (claim,) = queue.claim(study, "analyse", owner="t")
    with study.begin() as db:
        progress.failed(db, claim, as_is("a busy disk"), final=False)
    with study.read() as db:
        assert waiting.paused_jobs(db) == [claim.job_id]
        assert waiting.paused_jobs(db, "pacs") == waiting.parked_jobs(db, "pacs") == []
    with study.begin() as db:
        job = progress.retry(db, claim.job_id)
        assert (job.state, job.attempts) == ("queued", 0)
        assert job.not_before <= datetime.now(UTC)
    assert study_state(study) == ("closed", 1)
    assert claim.job_id in {c.job_id for c in queue.claim(study, "analyse", owner="t", limit=9)}
    with study.begin() as db, pytest.raises(QueueError, match="is running: only what is queued, parked"):
        progress.retry(db, claim.job_id)


def test_two_reports_of_a_study_never_run_together(study: Store, spool: Spool) -> None:
    close(study)
    analysed(study)
    analysed(study)
    (claim,) = queue.claim(study, "report", owner="t")
    intake.accept(study, spool, FrontalSection(), incoming(radiograph(3)))
    close(study)
    analysed(study)
    assert ("report", "queued") not in jobs(study)
    with study.begin() as db:
        queue.close(queue.hold(db, claim), JobState.DONE)
        progress.reported(db, progress.study_of(db, claim.study_id), 1)
    assert jobs(study)[-1] == ("report", "queued")


def test_a_quiet_study_is_closed_and_a_busy_one_is_not(study: Store) -> None:
    assert schedule.close_quiet(study, 60) == 0
    with study.begin() as db:
        db.execute(update(Study).values(received_at=datetime.now(UTC) - timedelta(seconds=61)))
    assert schedule.close_quiet(study, 60) == 1
    assert schedule.close_quiet(study, 60) == 0
    assert study_state(study) == ("closed", 1)


def test_a_job_that_kills_every_worker_is_parked_and_the_study_goes_on(study: Store) -> None:
    for _ in range(queue.POLICIES["analyse"].max_attempts):
        queue.claim(study, "analyse", owner="t")
        with study.begin() as db:
            past = datetime.now(UTC) - timedelta(seconds=1)
            db.execute(update(Job).where(Job.lease.is_not(None)).values(lease_until=past))
    assert schedule.park_abandoned(study) == 1
    assert jobs(study)[0] == ("analyse", "parked")
    close(study)
    analysed(study)
    assert jobs(study)[-1] == ("report", "queued")


def test_a_cancelled_analysis_lets_the_study_go_on_and_can_be_retried(study: Store) -> None:
    close(study)
    analysed(study)
    (running,) = queue.claim(study, "analyse", owner="t")
    with study.begin() as db, pytest.raises(QueueError, match="only queued and parked jobs"):
        progress.cancel(db, running.job_id)
    with study.begin() as db:
        progress.failed(db, running, as_is("not now"), final=False)
        progress.cancel(db, running.job_id)
    assert jobs(study) == [("analyse", "done"), ("analyse", "cancelled"), ("report", "queued")]
    with study.begin() as db:
        progress.retry(db, running.job_id)
    assert ("analyse", "queued") in jobs(study)


def test_a_retried_analysis_leads_to_a_new_report(study: Store) -> None:
    close(study)
    analysed(study)
    (claim,) = queue.claim(study, "analyse", owner="t")
    with study.begin() as db:
        progress.failed(db, claim, as_is("no"), final=True)
    (report,) = queue.claim(study, "report", owner="t")
    with study.begin() as db:
        queue.close(queue.hold(db, report), JobState.DONE)
        progress.reported(db, progress.study_of(db, report.study_id), 1)
    assert study_state(study) == ("reported", 1)
    with study.begin() as db:
        progress.retry(db, claim.job_id)
    assert study_state(study) == ("closed", 2)
    analysed(study)
    assert jobs(study)[-1] == ("report", "queued")


# ---------------------------------------------------------------- the loop


def run(store: Store, handle: worker.Handler, until: int) -> None:
    """Work until `until` jobs were handled."""
    stop = threading.Event()
    seen: list[Claim] = []

    def counted(claims: Sequence[Claim]) -> None:
        seen.extend(claims)
        if len(seen) >= until:
            stop.set()
        handle.run(claims)

    worker.work(store, [worker.Handler(handle.kind, counted, handle.limit)], owner="t", stop=stop)


def test_an_exception_postpones_the_job_and_the_loop_goes_on(study: Store) -> None:
    def broken(_claims: Sequence[Claim]) -> None:
        raise RuntimeError("Zebrafinch")

    run(study, worker.Handler("analyse", broken), until=2)
    with study.read() as db:
        rows = queries.jobs(db)
        assert trail.verify(db) > 0
    assert {r["state"] for r in rows} == {"queued"}
    assert {said(r["error"]) for r in rows} == {"RuntimeError while running the job; see the log"}


def test_our_own_errors_are_told_as_they_are(study: Store) -> None:
    def broken(_claims: Sequence[Claim]) -> None:
        raise ImageError(as_is("there is no GPU"))

    run(study, worker.Handler("analyse", broken), until=1)
    with study.read() as db:
        assert {said(r["error"]) for r in queries.jobs(db)} == {"", "there is no GPU"}


def test_a_long_job_keeps_its_lease(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "LEASE_SECONDS", 0.5)
    others: list[Claim] = []

    def slow(claims: Sequence[Claim]) -> None:
        for _ in range(15):
            threading.Event().wait(0.1)
            others.extend(queue.claim(study, "analyse", owner="other", limit=9))
        with study.begin() as db:
            for claim in claims:
                queue.close(queue.hold(db, claim), JobState.DONE)

    run(study, worker.Handler("analyse", slow, limit=2), until=2)
    assert others == []
    assert jobs(study) == [("analyse", "done")] * 2

"""Claims, leases, and what a dying worker leaves."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from xrv_node.db import queue
from xrv_node.db.queue import LeaseLostError
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Job, JobState, ResultRow, Study
from xrv_node.errors import QueueError
from xrv_node.reasons import as_is


@pytest.fixture
def study(store: Store) -> int:
    with store.begin() as db:
        row = Study(study_instance_uid="1.2.3", state="open", revision=0, received_at=datetime.now(UTC))
        db.add(row)
        db.flush()
        return row.id


def put(store: Store, study: int, count: int = 1, kind: queue.Kind = "analyse") -> list[int]:
    with store.begin() as db:
        return [queue.enqueue(db, kind, study=study) for _ in range(count)]


def expire(store: Store, *job_ids: int) -> None:
    with store.begin() as db:
        past = datetime.now(UTC) - timedelta(seconds=1)
        db.execute(update(Job).where(Job.id.in_(job_ids)).values(lease_until=past))


def state(store: Store, job_id: int) -> Job:
    with store.read() as db:
        return db.get_one(Job, job_id)


def test_jobs_are_claimed_oldest_first_and_once(store: Store, study: int) -> None:
    first, second, third = put(store, study, 3)
    assert [c.job_id for c in queue.claim(store, "analyse", owner="a", limit=2)] == [first, second]
    assert [c.job_id for c in queue.claim(store, "analyse", owner="b", limit=2)] == [third]
    assert queue.claim(store, "analyse", owner="b") == []


def test_only_the_kind_asked_for_is_claimed(store: Store, study: int) -> None:
    put(store, study, kind="report")
    assert queue.claim(store, "analyse", owner="a") == []
    assert len(queue.claim(store, "report", owner="a")) == 1


def test_concurrent_claims_never_overlap(store: Store, study: int) -> None:
    jobs = put(store, study, 40)
    taken: list[int] = []

    def work(owner: str) -> None:
        while claims := queue.claim(store, "analyse", owner=owner, limit=3):
            taken.extend(c.job_id for c in claims)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == jobs


def test_a_job_whose_lease_ran_out_is_taken_by_another_and_lost_to_the_first(
    store: Store, study: int
) -> None:
    (job,) = put(store, study)
    (slow,) = queue.claim(store, "analyse", owner="slow")
    expire(store, job)
    (quick,) = queue.claim(store, "analyse", owner="quick")
    assert quick.attempts == 2
    with pytest.raises(LeaseLostError), store.begin() as db:
        queue.hold(db, slow)
    with store.begin() as db:
        queue.close(queue.hold(db, quick), JobState.DONE)
    with pytest.raises(LeaseLostError), store.begin() as db:
        queue.hold(db, quick)


def test_a_renewed_lease_holds(store: Store, study: int) -> None:
    (job,) = put(store, study)
    claims = queue.claim(store, "analyse", owner="a")
    expire(store, job)
    queue.renew(store, claims)
    assert queue.claim(store, "analyse", owner="b") == []


def test_a_job_tried_before_is_claimed_alone(store: Store, study: int) -> None:
    poison, *_others = put(store, study, 4)
    queue.claim(store, "analyse", owner="a")
    expire(store, poison)
    assert [c.job_id for c in queue.claim(store, "analyse", owner="b", limit=10)] == [poison]
    assert len(queue.claim(store, "analyse", owner="b", limit=10)) == 3


def test_a_job_that_outlives_its_attempts_is_abandoned_not_claimed(store: Store, study: int) -> None:
    (job,) = put(store, study)
    for _ in range(queue.POLICIES["analyse"].max_attempts):
        assert queue.claim(store, "analyse", owner="a")
        expire(store, job)
    assert queue.claim(store, "analyse", owner="a") == []
    with store.begin() as db:
        assert [j.id for j in queue.abandoned(db)] == [job]


def test_a_process_takes_over_what_its_predecessor_held(store: Store, study: int) -> None:
    mine, other = put(store, study, 2)
    queue.claim(store, "analyse", owner="host/worker-0")
    queue.claim(store, "analyse", owner="host/worker-1")
    assert queue.recover(store, "host/worker-0") == 1
    assert [c.job_id for c in queue.claim(store, "analyse", owner="host/worker-0", limit=5)] == [mine]
    assert state(store, other).owner == "host/worker-1"


def test_postponed_jobs_wait_longer_each_time_up_to_a_limit(store: Store, study: int) -> None:
    (job,) = put(store, study, kind="report")
    waits = []
    for attempt in range(1, 12):
        with store.begin() as db:
            row = db.get_one(Job, job)
            row.attempts = attempt
            waits.append(queue.postpone(row, as_is("why")))
    assert 4 <= waits[0] <= 6
    assert waits[1] > waits[0]
    assert all(48 <= wait <= 72 for wait in waits[5:])
    assert queue.claim(store, "report", owner="a") == []


def test_deliveries_are_claimed_by_destination(store: Store, study: int) -> None:
    now = datetime.now(UTC)
    with store.begin() as db:
        result = ResultRow(
            study_id=study, kind="seg", revision=1, sop_class_uid="1", sop_instance_uid="2",
            series_instance_uid="3", model_set="", sha256="", size=0, path="", created_at=now,
        )  # fmt: skip
        db.add(result)
        db.flush()
        for name in ("near", "far"):
            delivery = Delivery(result_id=result.id, destination=name, updated_at=now)
            db.add(delivery)
            db.flush()
            queue.enqueue(db, "deliver", study=study, delivery=delivery.id)
    assert len(queue.claim(store, "deliver", owner="a", limit=9, destination="far")) == 1
    assert queue.claim(store, "deliver", owner="a", limit=9, destination="far") == []
    assert len(queue.claim(store, "deliver", owner="a", limit=9, destination="near")) == 1


@pytest.mark.parametrize("wrong", [JobState.RUNNING, JobState.DONE])
def test_a_job_that_runs_or_is_done_is_not_revived(store: Store, study: int, wrong: JobState) -> None:
    (job,) = put(store, study)
    with store.begin() as db:
        db.get_one(Job, job).state = wrong
    with pytest.raises(QueueError, match=f"job {job} is {wrong}"), store.begin() as db:
        queue.revive(db, job)
    with pytest.raises(QueueError, match="there is no job 999"), store.begin() as db:
        queue.revive(db, 999)

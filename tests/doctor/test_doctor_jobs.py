"""Jobs that nobody does until a person does something: the doctor, `status` and the start of the outbox say it."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from test_doctor_checks import configured, found, states
from typer.testing import CliRunner

from xrv_node.cli import app
from xrv_node.db import queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Job, ResultRow, Study
from xrv_node.doctor.diagnosis import State
from xrv_node.jobs import outbox
from xrv_node.reasons import Reason
from xrv_node.spool import Spool

OUT = '[[destinations]]\nname = "out"\nkind = "folder"\npath = "out"\n'
LONG_AGO = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
WHY = Reason("peer-silent")


def delivery(
    store: Store,
    destination: str,
    state: str = "waiting",
    *,
    tried: datetime | None = None,
    job: str = "queued",
) -> int:
    """Something that was made and is on its way; the id of its job."""
    with store.begin() as db:
        study = db.query(Study).first() or Study(
            study_instance_uid="1.2", received_at=LONG_AGO, state="reported", revision=1
        )
        db.add(study)
        db.flush()
        number = db.query(ResultRow).count()
        result = ResultRow(
            study_id=study.id, kind="report", revision=1, sop_class_uid="1.2", sop_instance_uid=f"1.2.{number}",
            series_instance_uid="1.2.3", model_set="m", sha256="s", size=1, path="p", created_at=LONG_AGO,
        )  # fmt: skip
        db.add(result)
        db.flush()
        made = Delivery(
            result_id=result.id, destination=destination, state=state, updated_at=tried or LONG_AGO
        )
        made.error = WHY if state == "waiting" and tried else None
        db.add(made)
        db.flush()
        job_id = queue.enqueue(db, "deliver", study=study.id, delivery=made.id)
        row = db.get_one(Job, job_id)
        row.state, row.created_at, row.error = job, LONG_AGO, made.error
    return job_id


def test_parked_jobs_are_counted_by_what_they_are(store: Store, tmp_path: Path) -> None:
    settings = configured(tmp_path, OUT)
    assert states(found(settings, "jobs")) == [State.OK]
    for _ in range(8):
        delivery(store, "out", "parked", job="parked")
    (finding,) = found(settings, "jobs")
    assert (finding.state, finding.says) == (State.FAIL, "8 parked: deliver to out")
    assert "`xrv-node jobs retry --parked`" in finding.remedy


def test_a_destination_is_away_since_it_took_something_for_the_last_time(
    store: Store, tmp_path: Path
) -> None:
    settings = configured(tmp_path, OUT)
    delivery(store, "out")  # not tried yet: nothing is known, but it waits too
    assert states(found(settings, "jobs")) == [State.OK]
    delivery(store, "out", tried=LONG_AGO + timedelta(hours=2))
    (finding,) = found(settings, "jobs")
    assert finding.says == f"out takes nothing since 2026-01-02 03:04 UTC, 2 waiting: {WHY}"
    assert "`xrv-node destinations check out`" in finding.remedy
    delivery(store, "out", "delivered", tried=LONG_AGO + timedelta(hours=1), job="done")
    assert "since 2026-01-02 04:04 UTC" in found(settings, "jobs")[0].says
    delivery(store, "out", "delivered", tried=LONG_AGO + timedelta(hours=3), job="done")
    assert states(found(settings, "jobs")) == [
        State.OK
    ]  # it takes others: the one that waits is its own case


def test_jobs_for_a_destination_that_is_gone_are_told_and_cancelled(
    store: Store, spool: Spool, tmp_path: Path
) -> None:
    settings = configured(tmp_path, OUT)
    gone = [delivery(store, "old", tried=LONG_AGO), delivery(store, "old")]
    kept = delivery(store, "out")
    (finding,) = found(settings, "jobs")
    assert finding.says == "2 jobs wait for old, which is not configured: nobody does them"
    stop = threading.Event()
    stop.set()
    with capture_logs() as logs:
        outbox.run(settings, store, spool, owner="t", stop=stop)
    told = [line for line in logs if line.get("destination") == "old"]
    assert [(line["jobs"], "jobs cancel --destination old" in line["remedy"]) for line in told] == [(2, True)]

    file = str(tmp_path / "node.toml")
    status = CliRunner().invoke(app, ["status", "--config", file])
    assert (status.exit_code, "jobs cancel --destination old" in status.output) == (1, True)
    wrong = CliRunner().invoke(app, ["jobs", "cancel", "--destination", "odl", "--config", file])
    assert "there are jobs for: old, out" in str(wrong.exception)
    done = CliRunner().invoke(app, ["jobs", "cancel", "--destination", "old", "--config", file])
    assert done.output == f"cancelled: {gone[0]}, {gone[1]}\n"
    with closing(Store(settings.database_url)) as again, again.read() as db:
        assert db.get_one(Job, kept).state == "queued"
    assert states(found(settings, "jobs")) == [State.OK]


@pytest.mark.parametrize("arguments", [[], ["1", "--destination", "out"]])
def test_cancel_takes_jobs_or_a_destination(arguments: list[str], tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["jobs", "cancel", *arguments]).exit_code == 2


def test_the_archive_of_priors_is_asked(store: Store, tmp_path: Path) -> None:
    assert states(found(configured(tmp_path), "priors")) == [State.OK]
    (finding,) = found(
        configured(tmp_path, '[priors]\nkind = "dimse"\nhost = "127.0.0.1"\nport = 1\n'), "priors"
    )
    assert (finding.state, "[priors]" in finding.remedy) == (State.FAIL, True)

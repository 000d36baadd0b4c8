"""Reasons in the database: a key with values, and a sentence where an older node wrote one."""

from __future__ import annotations

import json

import pytest
from made import incoming, radiograph
from sqlalchemy import select, text

from xrv_node import reasons
from xrv_node.audit.timeline import timeline
from xrv_node.db import progress, queries, queue, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Job
from xrv_node.jobs import outcomes
from xrv_node.reasons import Reason, as_is
from xrv_node.receive import intake
from xrv_node.report import summary
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool

FAILED = Reason("pixels-truncated", there=5, expected=10)
BEFORE = "The pixel data are truncated: 5 of 10 bytes are there."


@pytest.fixture
def failed(store: Store, spool: Spool) -> Store:
    """A study whose one image could not be analysed."""
    intake.accept(store, spool, FrontalSection(), incoming(radiograph()))
    (claim,) = queue.claim(store, "analyse", owner="t")
    with store.begin() as db:
        progress.failed(db, claim, FAILED, final=True)
    return store


def test_a_row_has_the_key_and_the_values(failed: Store) -> None:
    kept = '{"key":"pixels-truncated","values":{"there":5,"expected":10}}'
    with failed.read() as db:
        assert db.execute(text("SELECT error FROM instance")).scalar_one() == kept
        assert db.execute(text("SELECT error FROM job")).scalar_one() == kept
        first = json.loads(db.execute(text("SELECT reasons FROM instance")).scalar_one())[0]
        assert (first["key"], set(first["values"])) == ("view-frontal", {"told"})
        image = db.scalars(select(Instance)).one()
        assert image.error == FAILED
        assert image.reasons[0] == reasons.revive(first)
        (event,) = queries.events(db, event="job.parked")
        assert event["detail"]["error"] == reasons.plain(FAILED)
        assert trail.verify(db) == 3


def test_rows_of_before_hold_sentences_and_read(failed: Store, spool: Spool) -> None:
    with failed.begin() as db:
        db.execute(text("UPDATE job SET error = :was"), {"was": BEFORE})
        old = {"error": BEFORE, "reasons": json.dumps(["View Position PA: a frontal view."])}
        db.execute(text("UPDATE instance SET error = :error, reasons = :reasons"), old)
        trail.record(db, "job.parked", study="1.2.3.1", job=1, kind="analyse", error=BEFORE)
    with failed.read() as db:
        assert db.scalars(select(Job)).one().error == as_is(BEFORE)
        assert queries.study(db, "1.2.3.1")["instances"][0]["error"] == as_is(BEFORE)
        image = db.scalars(select(Instance)).one()
        assert image.reasons == (as_is("View Position PA: a frontal view."),)
        assert [row["says"] for row in timeline(db, "1.2.3.1")][-2:] == [
            f"job 1 (analyse) waits for a person: {BEFORE}"
        ] * 2
        read = outcomes._image(db, spool, image, None)  # type: ignore[arg-type]
        assert (read.error, read.decision.reasons) == (as_is(BEFORE), image.reasons)
        assert summary._why(read, "de") == f"Analyse fehlgeschlagen: {BEFORE}"

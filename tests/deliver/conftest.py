"""What the tests of delivery start from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
import report_cases as cases
from deliver_cases import result
from deliver_peer import Peer

from xrv_node import report
from xrv_node.db import queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, ResultRow, Study
from xrv_node.spool import Spool
from xrv_node.values import StoredResult


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.ae.shutdown()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredResult:
    """A readable report, as the spool keeps it."""
    made = report.build(cases.outcome(cases.frontal(cases.header())), ["report"])[0].dataset
    path = tmp_path_factory.mktemp("results") / "report.dcm"
    path.write_bytes(report.to_bytes(made))
    return StoredResult("report", str(made.SOPClassUID), str(made.SOPInstanceUID), path)


@pytest.fixture
def queued(store: Store, spool: Spool, tmp_path: Path) -> tuple[int, ...]:
    """Two results in the outbox of ``pacs``; the ids of their deliveries."""
    now = datetime.now(UTC)
    ids = []
    with store.begin() as db:
        study = Study(study_instance_uid="1.2.3.1", state="reported", revision=1, received_at=now)
        db.add(study)
        db.flush()
        for number in (1, 2):
            stored = result(tmp_path, number)
            row = ResultRow(
                study_id=study.id, kind="seg", revision=1, sop_class_uid=stored.sop_class_uid,
                sop_instance_uid=stored.sop_instance_uid, series_instance_uid="3", model_set="",
                sha256=sha256(stored.path.read_bytes()).hexdigest(),
                size=0, path=spool.relative(stored.path), created_at=now,
            )  # fmt: skip
            db.add(row)
            db.flush()
            delivery = Delivery(result_id=row.id, destination="pacs", updated_at=now)
            db.add(delivery)
            db.flush()
            queue.enqueue(db, "deliver", study=study.id, delivery=delivery.id)
            ids.append(delivery.id)
    return tuple(ids)

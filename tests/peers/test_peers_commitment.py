"""Storage commitment with Orthanc, which answers over an association of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import peer_archives
import peer_worked
import pytest
from peer_archives import Orthanc
from peer_node import AE_TITLE
from peer_programs import HOST, program, until
from worded import said

from xrv_node import report
from xrv_node.db import commitments, queue, trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Job, ResultRow, Study
from xrv_node.deliver.dimse import DimseSender
from xrv_node.jobs import commitment, outbox
from xrv_node.receive import server as receiver
from xrv_node.result_kinds import KINDS
from xrv_node.settings import ReceiveSection, Settings
from xrv_node.settings.destinations import DimseDestination
from xrv_node.spool import Spool

pytestmark = pytest.mark.peers

SENT = ["report", "seg", "sc"]


@pytest.fixture
def archive(store: Store, spool: Spool, tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc that knows where this node listens, and the node listening."""
    program("Orthanc")
    receive = ReceiveSection(port=0, ae_title=AE_TITLE, allowed_calling_ae=("ORTHANC",))
    server = receiver.start(Settings(receive=receive), store, spool)
    try:
        with peer_archives.orthanc(tmp_path / "orthanc") as found:
            found.introduce("xrvnode", AE_TITLE, server.server_address[1])
            yield found
    finally:
        receiver.drain(server, 1)


def put_out(store: Store, spool: Spool) -> list[str]:
    """Results of a study, each in the outbox of ``pacs``; their UIDs."""
    now = datetime.now(UTC)
    uids = []
    with store.begin() as db:
        study = Study(study_instance_uid="1.2.3", state="reported", revision=1, received_at=now)
        db.add(study)
        db.flush()
        for made in report.build(peer_worked.study()[1], SENT):
            uid = str(made.dataset.SOPInstanceUID)
            path = spool.result("1.2.3", uid)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(report.to_bytes(made.dataset, deflated=KINDS[made.kind].deflates))
            row = ResultRow(
                study_id=study.id, kind=made.kind, revision=1, sop_class_uid=str(made.dataset.SOPClassUID),
                sop_instance_uid=uid, series_instance_uid="3", model_set="",
                sha256=sha256(path.read_bytes()).hexdigest(), size=0,
                path=spool.relative(path), created_at=now,
            )  # fmt: skip
            db.add(row)
            db.flush()
            delivery = Delivery(result_id=row.id, destination="pacs", updated_at=now)
            db.add(delivery)
            db.flush()
            queue.enqueue(db, "deliver", study=study.id, delivery=delivery.id)
            uids.append(uid)
    return uids


def states(store: Store) -> list[str]:
    with store.read() as db:
        return [d.state for d in db.query(Delivery).order_by(Delivery.id)]


def test_orthanc_confirms_what_it_has_and_gets_again_what_it_lost(
    archive: Orthanc, store: Store, spool: Spool
) -> None:
    uids = put_out(store, spool)
    section = DimseDestination(
        name="pacs", ae_title="ORTHANC", host=HOST, port=archive.destination.port,
        send=SENT, commitment=True,
    )  # fmt: skip
    sender = DimseSender(section, AE_TITLE)
    assert sender.check()[-1] == "storage commitment: accepted"

    def deliver_and_ask(lost: str | None = None) -> None:
        outbox.deliver(
            store,
            spool,
            "pacs",
            sender,
            queue.claim(store, "deliver", owner="t", limit=9, destination="pacs"),
        )
        if lost is not None:
            (found,) = archive.rest("/tools/lookup", lost)
            archive.rest(f"/instances/{found['ID']}", method="DELETE")
        with store.read() as db:
            wanted = commitments.due(db, "pacs", timedelta(hours=1))
        commitment.ask(section, AE_TITLE, store, wanted)

    deliver_and_ask(lost=uids[1])
    until("answer", lambda: "delivered" not in states(store), seconds=30)
    assert states(store) == ["confirmed", "waiting", "confirmed"]
    with store.begin() as db:
        job = db.query(Job).filter(Job.state == "queued").one()
        assert said(job.error) == "the peer does not have it (0x0112)"
        job.not_before = datetime.now(UTC)
    deliver_and_ask()
    sender.close()
    until("answer", lambda: states(store) == ["confirmed"] * 3, seconds=30)
    assert archive.rest("/statistics")["CountInstances"] == 3
    with store.read() as db:
        assert trail.verify(db) > 0

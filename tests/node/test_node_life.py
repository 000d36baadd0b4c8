"""The life of a study as senders have it: whole, half, twice, in parallel, late, and our own results coming back.

Through real associations, the queue and the report; only the networks' answers are the test's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from analysed import Networks, Site, image
from made import CR, encoded
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from serving import wait
from sqlalchemy import select, update

from xrv_node import settings as configuration
from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, Instance, Job, ResultRow, Study
from xrv_node.jobs import schedule
from xrv_node.receive import server
from xrv_node.spool import Spool

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
QUIET = 10.0

Listen = Callable[..., int]


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    return Site(store, spool)


@pytest.fixture
def listen(site: Site, tmp_path: Path) -> Iterator[Listen]:
    """Start a receiver with these lines in its ``[study]``; returns the port."""
    servers: list[Any] = []

    def start(study: str = "") -> int:
        path = tmp_path / "node.toml"
        path.write_text(f"[receive]\nport = 0\n[study]\n{study}\n")
        servers.append(server.start(configuration.load(path), site.store, site.spool))
        return int(servers[-1].server_address[1])

    yield start
    for started in servers:
        server.drain(started, 1)


@contextmanager
def association(port: int, calling: str = "PACS") -> Iterator[Association]:
    ae = AE(ae_title=calling)
    for sop_class in (CR, ENHANCED_SR):
        ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
    made = ae.associate("127.0.0.1", port, ae_title="XRVNODE")
    assert made.is_established
    yield made
    if made.is_established:
        made.release()


def send(port: int, *images: Dataset, calling: str = "PACS") -> None:
    with association(port, calling) as peer:
        for one in images:
            assert peer.send_c_store(one).Status == 0


def send_half(peer: Association, dataset: Dataset) -> None:
    """The request and the first half of the object."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CR, dataset.SOPInstanceUID
    request.DataSet = BytesIO(encoded(dataset))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    pieces = list(message.encode_msg(peer.accepted_contexts[0].context_id or 1, 16382))
    for piece in pieces[: len(pieces) // 2]:
        peer.dul.send_pdu(piece)


def quiet(site: Site, seconds: float = QUIET) -> None:
    """Let so much time pass since the last object, as the clock has it."""
    with site.store.begin() as db:
        past = datetime.now(UTC) - timedelta(seconds=seconds)
        db.execute(update(Study).where(Study.state == "open").values(received_at=past))
    schedule.close_quiet(site.store, QUIET)


def state(site: Site) -> tuple[str, int]:
    with site.store.read() as db:
        study = db.scalars(select(Study)).one()
        return study.state, study.revision


def received(site: Site) -> list[str]:
    with site.store.read() as db:
        return sorted(db.scalars(select(Instance.sop_instance_uid)))


def whole(site: Site) -> None:
    """Nothing twice and nothing lost: one job an image, one delivery a result, the trail unbroken."""
    with site.store.read() as db:
        jobs = db.scalars(select(Job.instance_id).where(Job.kind == "analyse")).all()
        assert len(jobs) == len(set(jobs)) == len(received(site))
        results, sent = db.scalars(select(ResultRow.id)).all(), db.scalars(select(Delivery.result_id)).all()
        assert sorted(results) == sorted(sent)
        assert isinstance(trail.verify(db), int)


def test_a_study_waits_until_its_sender_is_quiet_whatever_a_release_says(site: Site, listen: Listen) -> None:
    port = listen()
    send(port, image(1))
    quiet(site, QUIET - 5)
    assert state(site) == ("open", 0)
    send(port, image(1, number=2))
    assert state(site) == ("open", 0)
    quiet(site)
    assert state(site) == ("closed", 1)
    site.analyse()
    (report,) = site.report(1)
    assert {"1.2.3.1.1.1", "1.2.3.1.1.2"} <= set(uids(report))
    whole(site)


def uids(item: Dataset) -> list[str]:
    """The UIDs that a report's tree states."""
    own = [str(item.UID)] if "UID" in item else []
    return own + [uid for child in item.get("ContentSequence", []) for uid in uids(child)]


def test_a_release_closes_the_study_where_it_is_told_to_and_a_late_image_opens_it(
    site: Site, listen: Listen
) -> None:
    port = listen("close_on_release = true")
    send(port, image(1))
    wait(lambda: state(site) == ("closed", 1), 5, "the study to close")
    site.analyse()
    site.report(1)
    send(port, image(1, number=2))
    wait(lambda: state(site) == ("closed", 2), 5, "the study to close again")
    site.analyse()
    first, second = site.report(1)
    (study,) = second.PredecessorDocumentsSequence
    (predecessor,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert predecessor.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert [e["revision"] for e in site.events("study.reopened")] == [1]
    whole(site)


def test_the_number_of_images_that_a_header_tells_closes_nothing(site: Site, listen: Listen) -> None:
    """Number of Study Related Instances (0020,1208) is an answer to queries (PS3.4 C.3.4); in an object it is
    what some archive knew when it wrote it."""
    send(listen(), image(1, NumberOfStudyRelatedInstances=1))
    assert state(site) == ("open", 0)


def test_an_association_that_breaks_between_two_objects_closes_nothing(site: Site, listen: Listen) -> None:
    port = listen("close_on_release = true")
    with association(port) as peer:
        assert peer.send_c_store(image(1)).Status == 0
        peer.abort()
    assert state(site) == ("open", 0)
    send(port, image(1), image(1, number=2))  # the sender tries the whole study again
    wait(lambda: state(site) == ("closed", 1), 5, "the study to close")
    site.analyse()
    assert len(site.report(1)) == 1
    assert received(site) == ["1.2.3.1.1.1", "1.2.3.1.1.2"]
    assert len(site.events("instance.duplicate")) == 1
    whole(site)


def test_an_association_that_breaks_within_an_object_leaves_nothing_of_it(site: Site, listen: Listen) -> None:
    port = listen("close_on_release = true")
    with association(port) as peer:
        assert peer.send_c_store(image(1)).Status == 0
        send_half(peer, image(1, number=2))
        peer.abort()
    wait(lambda: not any(site.spool.drafts.glob(".*.part")), 5, "the draft to go")
    assert received(site) == ["1.2.3.1.1.1"]
    send(port, image(1), image(1, number=2))
    wait(lambda: state(site) == ("closed", 1), 5, "the study to close")
    site.analyse()
    (report,) = site.report(1)
    assert {"1.2.3.1.1.1", "1.2.3.1.1.2"} <= set(uids(report))
    whole(site)


def test_a_study_that_comes_twice_is_one_whoever_sends_it(site: Site, listen: Listen) -> None:
    port = listen()
    send(port, image(1), image(1, number=2))
    quiet(site)
    site.analyse()
    before = [r.SOPInstanceUID for r in site.report(1)]
    send(port, image(1), image(1, number=2))
    send(port, image(1, number=2), image(1), calling="OTHER")
    quiet(site)
    assert state(site) == ("reported", 1)
    assert [r.SOPInstanceUID for r in site.report(1)] == before
    assert [e["calling_ae"] for e in site.events("instance.duplicate")] == ["PACS"] * 2 + ["OTHER"] * 2
    whole(site)


def test_a_study_over_parallel_associations_is_one_study_with_one_report(site: Site, listen: Listen) -> None:
    port = listen()
    images = [image(1, number=n) for n in range(1, 9)]
    # each over an association of its own, the middle ones over two
    parts = [images[:3], images[2:5], images[4:7], images[6:]]
    threads = [threading.Thread(target=send, args=(port, *part)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    quiet(site)
    site.analyse()
    (report,) = site.report(1)
    assert {str(i.SOPInstanceUID) for i in images} <= set(uids(report))
    assert len(received(site)) == 8
    assert len(site.events("instance.duplicate")) == 3
    assert state(site) == ("reported", 1)
    whole(site)


def report_of_another_node(directory: Path) -> Dataset:
    """What another xrv-node says of the same study."""
    store = Store(f"sqlite:///{directory / 'other.sqlite'}")
    store.migrate()
    other = Site(store, Spool(directory / "other"))
    other.analyse(image(1), networks=Networks({"Mass": 0.9}))
    (report,) = other.report(1)
    store.close()
    return report


def test_a_result_that_comes_back_is_no_image_of_its_study(
    site: Site, listen: Listen, tmp_path: Path
) -> None:
    port = listen()
    send(port, image(1))
    quiet(site)
    site.analyse()
    (own,) = site.report(1)
    for result in (own, report_of_another_node(tmp_path)):
        send(port, result)
    assert state(site) == ("reported", 1)
    assert received(site) == ["1.2.3.1.1.1"]
    assert len(site.events("instance.own_result")) == 2
    stored = [dcmread(path).SOPClassUID for path in (site.spool.root / "spool" / "inputs").rglob("*.dcm")]
    assert stored == [CR]


def test_a_result_is_known_where_there_is_no_record_of_it(site: Site, listen: Listen, tmp_path: Path) -> None:
    result = report_of_another_node(tmp_path)
    changed = dcmread(BytesIO(_file(result)))
    changed.Manufacturer = "An archive that writes its own name"
    changed.SOPInstanceUID = changed.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    send(listen(), result, changed)
    with site.store.read() as db:
        assert db.scalars(select(Study)).all() == []
    assert len(site.events("instance.own_result")) == 2


def _file(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()

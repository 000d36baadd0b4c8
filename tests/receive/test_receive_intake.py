"""The intake: what is kept, what is refused, and that nothing is in between."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made import SECRET, encoded, incoming, radiograph
from pydicom import dcmread
from sqlalchemy import event, func, select, text

from xrv_node.db import progress, queries, trail
from xrv_node.db.repeats import Repeats
from xrv_node.db.store import Store
from xrv_node.db.tables import Instance, Job, ResultRow, Study
from xrv_node.errors import RefusedError
from xrv_node.reasons import as_is
from xrv_node.receive import intake
from xrv_node.settings import FrontalSection
from xrv_node.spool import Spool, is_uid

RULES = FrontalSection()


def files(spool: Spool) -> list[Path]:
    return sorted(p for p in (spool.root / "spool").rglob("*") if p.is_file())


def events(store: Store) -> list[str]:
    with store.read() as db:
        return [e["event"] for e in queries.events(db)]


def test_a_frontal_image_is_kept_as_it_came_recorded_and_queued(store: Store, spool: Spool) -> None:
    sent = radiograph()
    accepted = intake.accept(store, spool, RULES, incoming(sent))
    assert accepted.outcome == "stored"
    (path,) = files(spool)
    kept = dcmread(path)
    assert kept.PatientName == sent.PatientName
    assert kept.file_meta.SourceApplicationEntityTitle == "PACS"
    assert encoded(sent) in path.read_bytes()  # byte for byte
    with store.read() as db:
        row = db.scalars(select(Instance)).one()
        assert (row.state, row.verdict, row.view) == ("queued", "frontal", "PA")
        assert spool.absolute(row.path) == path
        assert db.scalars(select(Job)).one().kind == "analyse"
    assert events(store) == ["instance.received"]


def test_what_another_sender_brings_again_leaves_the_file_as_it_is(store: Store, spool: Spool) -> None:
    """Its AE title stands in front of the same data set, whose place in the file is known by now."""
    sent = radiograph()
    intake.accept(store, spool, RULES, incoming(sent))
    (path,) = files(spool)
    before = path.read_bytes()
    again = incoming(sent, calling_ae="WORKSTATION-TWO")
    assert intake.accept(store, spool, RULES, again).outcome == "duplicate"
    assert (files(spool), path.read_bytes()) == ([path], before)
    path.write_bytes(before[:-100])  # a disk that lost something: the new one is whole
    assert intake.accept(store, spool, RULES, again).outcome == "duplicate"
    assert encoded(sent) in path.read_bytes()


def test_a_lateral_is_kept_and_not_queued(store: Store, spool: Spool) -> None:
    sent = radiograph(ViewPosition="LL", PatientOrientation=["A", "F"])
    intake.accept(store, spool, RULES, incoming(sent))
    with store.read() as db:
        row = db.scalars(select(Instance)).one()
        assert (row.state, row.verdict) == ("skipped", "lateral")
        assert db.scalar(select(func.count()).select_from(Job)) == 0


@pytest.mark.parametrize(("policy", "state"), [("skip", "skipped"), ("analyse", "queued")])
def test_the_site_decides_about_unknown_views(store: Store, spool: Spool, policy: Any, state: str) -> None:
    sent = radiograph(ViewPosition="", PatientOrientation=None)
    intake.accept(store, spool, FrontalSection(unknown=policy), incoming(sent))
    with store.read() as db:
        row = db.scalars(select(Instance)).one()
        assert (row.state, row.verdict) == (state, "unknown")


def test_the_same_bytes_again_are_one_instance(store: Store, spool: Spool) -> None:
    sent = incoming(radiograph())
    intake.accept(store, spool, RULES, sent)
    assert intake.accept(store, spool, RULES, sent).outcome == "duplicate"
    assert len(files(spool)) == 1
    assert events(store) == ["instance.received", "instance.duplicate"]


def test_other_bytes_under_the_same_uid_are_kept_flagged_and_not_analysed(store: Store, spool: Spool) -> None:
    first, second = radiograph(), radiograph(PatientID="OTHER")
    intake.accept(store, spool, RULES, incoming(first))
    before = files(spool)[0].read_bytes()
    assert intake.accept(store, spool, RULES, incoming(second)).outcome == "conflict"
    assert len(files(spool)) == 2
    assert before in [p.read_bytes() for p in files(spool)]
    with store.read() as db:
        assert [i.state for i in db.scalars(select(Instance).order_by(Instance.id))] == ["queued", "skipped"]
        assert db.scalar(select(func.count()).select_from(Job)) == 1


def test_four_associations_with_one_object_make_one_instance(store: Store, spool: Spool) -> None:
    outcomes: list[str] = []

    def send() -> None:
        outcomes.append(intake.accept(store, spool, RULES, incoming(radiograph())).outcome)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["duplicate"] * 3 + ["stored"]
    assert len(files(spool)) == 1


def test_our_own_results_coming_back_are_not_kept(store: Store, spool: Spool) -> None:
    sent = radiograph()
    with store.begin() as db:
        study = Study(study_instance_uid="9.9", state="open", revision=1, received_at=_now())
        db.add(study)
        db.flush()
        result = ResultRow(
            study_id=study.id, kind="seg", revision=1, sop_class_uid="1",
            sop_instance_uid=str(sent.SOPInstanceUID), series_instance_uid="3", model_set="", sha256="",
            size=0, path="", created_at=_now(),
        )  # fmt: skip
        db.add(result)
    assert intake.accept(store, spool, RULES, incoming(sent)).outcome == "own result"
    assert files(spool) == []


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


@pytest.mark.parametrize(
    "uid",
    ["../../x", "..", "", "1.2/3", "1.2\\3", "1..2", "1.2.", ".1", "a", "1.2\n", "1" * 65, "\u0661.\u0662"],
)
def test_a_uid_that_is_none_never_becomes_a_path(store: Store, spool: Spool, uid: str) -> None:
    assert not is_uid(uid)
    with pytest.raises(ValueError, match="not a UID"):
        spool.input("1.2", uid, "0" * 64)
    with pytest.raises(RefusedError) as refused:
        intake.accept(store, spool, RULES, incoming(radiograph(), sop_instance_uid=uid))
    assert refused.value.status == 0xC000
    assert files(spool) == []


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", ["../../etc", "", None])
def test_a_study_or_series_uid_that_is_none_is_refused(
    store: Store, spool: Spool, keyword: str, value: str | None
) -> None:
    with pytest.raises(RefusedError, match=f"{keyword} is not a UID") as refused:
        intake.accept(store, spool, RULES, incoming(radiograph(**{keyword: value})))
    assert refused.value.status == 0xC000
    assert files(spool) == []


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID"])
def test_an_object_that_is_not_the_one_announced_is_refused(store: Store, spool: Spool, keyword: str) -> None:
    field = {"SOPInstanceUID": "sop_instance_uid", "SOPClassUID": "sop_class_uid"}[keyword]
    with pytest.raises(RefusedError, match=keyword) as refused:
        intake.accept(store, spool, RULES, incoming(radiograph(), **{field: "1.2.3.4.5"}))
    assert refused.value.status == 0xA900


def test_truncated_pixels_are_kept_for_the_analysis_to_judge(store: Store, spool: Spool) -> None:
    sent = incoming(radiograph())
    (whole,) = sent.data
    cut = incoming(radiograph(), data=(whole[: len(whole) // 2],))
    assert intake.accept(store, spool, RULES, cut).outcome == "stored"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, 2000), flips=st.lists(st.tuples(st.integers(0, 1999), st.integers(1, 255)), max_size=8)
)
def test_garbled_objects_are_stored_or_refused_and_nothing_else(
    store: Store, spool: Spool, cut: int, flips: list[tuple[int, int]]
) -> None:
    whole = bytearray(encoded(radiograph()))
    for place, bits in flips:
        whole[place % len(whole)] ^= bits
    garbled = incoming(radiograph(), data=(bytes(whole[: len(whole) - cut * 50]),))
    refusal = None
    try:
        intake.accept(store, spool, RULES, garbled)
    except RefusedError as error:
        refusal = error
    assert refusal is None or refusal.status in (0xA900, 0xC000)
    assert SECRET not in str(refusal)
    assert not list(spool.drafts.glob(".*"))


def test_a_full_disk_answers_a700_and_leaves_nothing(
    store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(RefusedError, match="full") as refused:
            intake.accept(store, spool, RULES, incoming(radiograph()))
    assert refused.value.status == 0xA700
    assert files(spool) == []
    assert intake.accept(store, spool, RULES, incoming(radiograph())).outcome == "stored"


def test_a_database_without_room_answers_a700_and_leaves_nothing(
    store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.begin() as db:
        pages = db.scalar(text("PRAGMA page_count"))

    @event.listens_for(store.engine, "begin")
    def _no_more_pages(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    refused = []
    for number in range(1, 200):
        try:
            intake.accept(store, spool, RULES, incoming(radiograph(number)))
        except RefusedError as error:
            refused.append(error.status)
            break
    event.remove(store.engine, "begin", _no_more_pages)
    assert refused == [0xA700]
    with store.read() as db:
        kept = {spool.absolute(p) for p in db.scalars(select(Instance.path))}
    assert set(files(spool)) == kept


def test_an_object_whose_file_is_gone_is_restored_when_it_comes_again(store: Store, spool: Spool) -> None:
    sent = incoming(radiograph())
    intake.accept(store, spool, RULES, sent)
    (path,) = files(spool)
    path.unlink()
    assert intake.accept(store, spool, RULES, sent).outcome == "duplicate"
    assert files(spool) == [path]


def test_a_late_image_opens_its_study_again(store: Store, spool: Spool) -> None:
    intake.accept(store, spool, RULES, incoming(radiograph(ViewPosition="LL", PatientOrientation=["A", "F"])))
    with store.begin() as db:
        progress.close_study(db, db.scalars(select(Study)).one(), as_is("test"))
    with store.read() as db:
        assert db.scalars(select(Job.kind)).all() == ["report"]
    intake.accept(store, spool, RULES, incoming(radiograph(2)))
    with store.read() as db:
        study = db.scalars(select(Study)).one()
        assert (study.state, study.revision) == ("open", 1)
        jobs = [(j.kind, j.state) for j in db.scalars(select(Job).order_by(Job.id))]
        assert jobs == [("report", "cancelled"), ("analyse", "queued")]
    assert "study.reopened" in events(store)


def test_refusals_are_on_record_without_patient_data(store: Store, spool: Spool) -> None:
    bad = incoming(radiograph(), sop_instance_uid="../../x")
    with pytest.raises(RefusedError) as refused:
        intake.accept(store, spool, RULES, bad)
    assert intake.refused(Repeats(store), bad, refused.value, "10.0.0.1")
    with store.read() as db:
        (event,) = queries.events(db)
        assert trail.verify(db) == 1
    assert event["event"] == "instance.refused"
    assert event["instance"] is None
    assert event["detail"]["status"] == "0xC000"


def test_nothing_that_is_recorded_names_the_patient(store: Store, spool: Spool, tmp_path: Path) -> None:
    intake.accept(store, spool, RULES, incoming(radiograph()))
    store.close()
    assert SECRET.encode() not in (tmp_path / "audit.sqlite").read_bytes()

"""What an archive answers by DIMSE is not trusted, and what breaks goes on later."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fetch_archive import Archive, serving
from fetching import Node
from made import SECRET, radiograph
from ports import free_port
from pydicom import Dataset
from pynetdicom import evt

from xrv_node.db.fetch_tables import Fetch
from xrv_node.db.store import Store
from xrv_node.deliver.query import FIND, GET
from xrv_node.errors import DestinationError, QueueError
from xrv_node.fetch import ask, connect, dimse, keys, record, run, work
from xrv_node.fetch.keys import Key
from xrv_node.receive.peer_limits import Pace
from xrv_node.spool import Spool

STUDY = Key(study="1.2.3.1")


@pytest.fixture
def archive() -> Iterator[Archive]:
    """One that has two images of a study."""
    with serving(Archive([radiograph(1), radiograph(2)])) as found:
        yield found


@pytest.fixture
def node(archive: Archive, store: Store, tmp_path: Path) -> Node:
    return Node(store, tmp_path, archive.way)


def gone(event: evt.Event, _: Dataset | None) -> Iterator[Any]:
    event.assoc.abort()
    yield 0


def test_an_archive_that_goes_away_in_the_middle_is_asked_for_the_rest(node: Node, archive: Archive) -> None:
    def first(event: evt.Event, found: Dataset | None) -> Iterator[Any]:
        if len(archive.asked) > 1:
            yield from gone(event, found)
            return
        yield 1
        yield 0xFF00, found

    archive.gives = first
    shown = node.fetch(STUDY)
    assert (shown["state"], shown["fetched"], shown["attempts"]) == ("queued", 1, 1)
    assert "broke off" in str(shown["error"])
    assert shown["not_before"] > datetime.now(UTC)
    assert node.events("study.closed") == []
    archive.gives = None
    ask.retry(node.store, shown["id"])
    assert run.one(node.fetcher)
    shown = node.shown(shown["id"])
    assert (shown["state"], shown["objects"], shown["fetched"], shown["present"]) == ("done", 2, 2, 0)
    assert archive.asked == ["1.2.3.1.1.1", "1.2.3.1.1.2", "1.2.3.1.1.2"]
    assert len(node.events("study.closed")) == 1


def test_an_archive_that_stays_away_is_given_up_until_a_person_says_otherwise(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, node.archive["port"] = node.archive["port"], free_port()
    monkeypatch.setattr(record, "MAX_ATTEMPTS", 2)
    identifier = node.ask(Key(accession="ACC1"))
    for state in ("queued", "parked"):
        assert run.one(node.fetcher)
        assert node.shown(identifier)["state"] == state
        with node.store.begin() as db:
            db.get_one(Fetch, identifier).not_before = datetime.now(UTC)
    shown = node.shown(identifier)
    assert "cannot be asked" in str(shown["error"])
    assert keys.read(Spool(node.directory), identifier) is not None
    node.archive["port"] = right
    ask.retry(node.store, identifier)
    assert run.one(node.fetcher)
    assert node.shown(identifier)["state"] == "done"
    assert not keys.place(Spool(node.directory), identifier).exists()


@pytest.mark.parametrize(
    ("other", "attribute"),
    [
        ({"PatientID": "somebody else"}, "Patient ID"),
        ({"StudyInstanceUID": "1.2.3.9"}, "Study Instance UID"),
        ({"SOPInstanceUID": "1.2.3.9.9"}, "SOP Instance UID"),
    ],
)
def test_what_is_anothers_is_refused_and_told(
    node: Node, archive: Archive, other: dict[str, str], attribute: str
) -> None:
    def swapped(_event: evt.Event, found: Dataset | None) -> Iterator[Any]:
        yield 1
        yield 0xFF00, radiograph(1, **other) if len(archive.asked) == 1 else found

    archive.gives = swapped
    shown = node.fetch(STUDY)
    assert (shown["state"], shown["fetched"], shown["failed"]) == ("parked", 1, 1)
    assert "1 of 1 studies did not come whole" in str(shown["error"])
    (study,) = shown["found"]
    assert attribute.replace(" ", "") in str(study["error"]).replace(" ", "")
    (refused,) = node.events("instance.refused")
    assert refused["detail"]["status"] == "0xA900"
    assert node.instances() == ["1.2.3.1.1.2"]
    archive.gives = None
    ask.retry(node.store, shown["id"])
    assert run.one(node.fetcher)
    shown = node.shown(shown["id"])
    assert (shown["state"], shown["fetched"], shown["failed"]) == ("done", 2, 0)
    assert SECRET not in json.dumps(shown, default=str)


def test_an_archive_that_knows_no_such_key_has_all_studies_for_it(node: Node, archive: Archive) -> None:
    archive.objects.append(radiograph(1, 2, AccessionNumber="ACC2"))
    archive.ignores.add("AccessionNumber")
    shown = node.fetch(Key(accession="ACC1"))
    assert (shown["state"], shown["found"]) == ("queued", [])
    assert "another AccessionNumber than was asked for" in str(shown["error"])


def test_an_archive_that_answers_without_end_is_hung_up_on(
    node: Node, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimse, "MAX_ANSWERS", 3)
    archive.objects += [radiograph(1, number) for number in range(2, 9)]
    shown = node.fetch(Key(accession="ACC1"))
    assert "answers without end" in str(shown["error"])


def test_what_an_archive_does_not_give_out_is_told_and_the_rest_comes(node: Node, archive: Archive) -> None:
    def nothing(_event: evt.Event, found: Dataset | None) -> Iterator[Any]:
        if len(archive.asked) == 1:
            yield 0
            yield 0xC001, None
            return
        yield 1
        yield 0xFF00, found

    archive.gives = nothing
    shown = node.fetch(STUDY)
    assert (shown["state"], shown["fetched"], shown["failed"]) == ("parked", 1, 1)
    assert "C-GET: 0x" in str(shown["found"][0]["error"])


def test_a_fetch_that_is_given_up_ends_behind_the_object_in_hand(node: Node, archive: Archive) -> None:
    def cancelling(_event: evt.Event, found: Dataset | None) -> Iterator[Any]:
        yield 1
        ask.cancel(node.store, Spool(node.directory), identifier)
        yield 0xFF00, found

    archive.gives = cancelling
    identifier = node.ask(STUDY)
    assert run.one(node.fetcher)
    assert node.shown(identifier)["state"] == "cancelled"
    assert (archive.asked, node.instances()) == (["1.2.3.1.1.1"], ["1.2.3.1.1.1"])
    assert not run.one(node.fetcher)
    with pytest.raises(QueueError, match="is cancelled"):
        ask.cancel(node.store, Spool(node.directory), identifier)


def test_it_begins_not_before_its_time(node: Node) -> None:
    tonight = datetime.now(UTC) + timedelta(hours=8)
    identifier = node.ask(STUDY, not_before=tonight)
    assert not run.one(node.fetcher)
    ask.retry(node.store, identifier)
    assert run.one(node.fetcher)
    assert node.shown(identifier)["state"] == "done"


def test_one_that_came_later_has_its_turn_behind_the_study_in_hand(node: Node, archive: Archive) -> None:
    archive.objects.append(radiograph(1, 2))
    many, one = node.ask(STUDY, Key(study="1.2.3.2")), node.ask(STUDY)
    states = []
    for _ in range(3):
        assert run.one(node.fetcher)
        states.append((node.shown(many)["state"], node.shown(one)["state"]))
    assert states == [("queued", "queued"), ("queued", "done"), ("done", "done")]


def test_without_room_it_waits_without_blame(node: Node) -> None:
    node.tables["receive"] = {"min_free_mb": 1 << 40, "resume_free_mb": 1 << 40}
    shown = node.fetch(STUDY)
    assert (shown["state"], shown["attempts"], shown["failed"]) == ("queued", 0, 0)
    assert "MB are free" in str(shown["error"])


def test_what_goes_too_fast_waits_and_a_process_that_ends_gives_it_back(node: Node) -> None:
    fetcher = node.fetcher
    slow = Pace(1)
    slow.turn("pacs")
    slow.turn("pacs")  # what it had saved up is gone
    fetcher.stop.set()
    pressed = work.Fetcher(fetcher.section, fetcher.receiver, slow, fetcher.owner, fetcher.stop)
    identifier = node.ask(STUDY)
    assert run.one(pressed)
    shown = node.shown(identifier)
    assert (shown["state"], shown["fetched"], shown["attempts"]) == ("queued", 0, 0)


def test_only_what_is_analysed_comes_unless_told_otherwise(node: Node, archive: Archive) -> None:
    archive.objects = [radiograph(1), radiograph(2, Modality="OT", SeriesInstanceUID="1.2.3.1.2")]
    assert node.fetch(STUDY)["objects"] == 1
    assert node.fetch(STUDY, all_series=True)["objects"] == 2
    assert node.instances() == ["1.2.3.1.1.1", "1.2.3.1.1.2"]


def test_a_check_says_what_an_archive_lacks(store: Store, tmp_path: Path) -> None:
    with serving(Archive([]), [FIND]) as found:
        node = Node(store, tmp_path, found.way | {"move": "move"})
        with pytest.raises(DestinationError, match="does not offer C-FIND and C-MOVE"):
            connect.check(node.settings.archives[0], node.settings, tmp_path)
    with serving(Archive([]), [FIND, GET]) as found:
        node = Node(store, tmp_path, found.way)
        with pytest.raises(DestinationError, match=r"sends no .*Digital X-Ray.* by C-GET"):
            connect.check(node.settings.archives[0], node.settings, tmp_path)


def test_threads_of_the_courier_do_it_and_end(node: Node) -> None:
    stop = threading.Event()
    identifier = node.ask(STUDY)
    settings, spool = node.settings, Spool(node.directory)
    with run.running(settings, node.store, spool, owner="h/courier-0", stop=stop, views_from_pixels=False):
        for _ in range(500):
            if node.shown(identifier)["state"] == "done":
                break
            stop.wait(0.02)
        stop.set()
    assert node.shown(identifier)["state"] == "done"

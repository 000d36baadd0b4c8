"""Which destinations get which studies: by who sent, where it was made, what was found; and replies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from analysed import Networks, Site
from made import incoming, radiograph
from sqlalchemy import select

from xrv_node.db import progress, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Delivery, ResultRow, Study
from xrv_node.deliver import routing
from xrv_node.jobs import analyse, report
from xrv_node.reasons import as_is
from xrv_node.settings import Settings
from xrv_node.settings.destinations import (
    DimseDestination,
    FolderDestination,
    PeerSection,
    ReplyDestination,
    WhenSection,
    replies,
)
from xrv_node.spool import Spool
from xrv_node.values import FrontalDecision, ImageOutcome, Verdict


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    return Site(store, spool)


def outcome(**attributes: str) -> ImageOutcome:
    return ImageOutcome(radiograph(**attributes), FrontalDecision(Verdict.FRONTAL, "PA", (as_is("test"),)))


def report_again(site: Site, networks: Networks, **when: dict[str, list[str]]) -> dict[str, list[str]]:
    """Close the study and report it to destinations with these conditions; the kinds sent so far, by name."""
    destinations = [
        {"name": name, "kind": "folder", "path": "/nowhere", "send": ["report", "ko"], "when": table}
        for name, table in when.items()
    ]
    with site.store.begin() as db:
        study = db.scalars(select(Study)).one()
        if study.state == "reported":
            study.state = "open"
        progress.close_study(db, study, as_is("test"))
    claims = queue.claim(site.store, "report", owner="t")
    report.run(Settings(destinations=destinations), site.store, site.spool, networks.model_set, claims)
    sent: dict[str, list[str]] = {name: [] for name in when}
    with site.store.read() as db:
        rows = db.execute(
            select(Delivery.destination, ResultRow.kind)
            .join(ResultRow, ResultRow.id == Delivery.result_id)
            .order_by(Delivery.id)
        )
        for name, kind in rows:
            sent[name].append(kind)
    return sent


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"calling_ae": ["PACS1", "PACS2"]}, True),
        ({"calling_ae": ["PACS3"]}, False),
        ({"station": ["ROOM1"]}, True),
        ({"station": ["ROOM"]}, False),
        ({"modality": ["DX", "CR"]}, True),
        ({"modality": ["DX"]}, False),
        ({"modality": ["CR"], "station": ["ROOM1"], "calling_ae": ["PACS2"]}, True),
        ({"modality": ["CR"], "station": ["ROOM2"]}, False),
        ({"finding": ["Mass"]}, False),  # nothing was analysed
    ],
)
def test_all_keys_must_match_and_any_of_their_values(when: dict[str, list[str]], expected: bool) -> None:
    images = [outcome(StationName="ROOM1 "), outcome(StationName="OTHER")]
    assert routing.matches(WhenSection(**when), images, {"PACS2"}) == expected


def test_a_study_goes_by_who_sent_it_and_what_was_found(site: Site) -> None:
    networks = Networks(scores={"Mass": 0.75, "Effusion": 0.25})
    site.analyse(radiograph(1, StationName="ROOM1"), networks=networks)
    sent = report_again(
        site, networks,
        everything={},
        mass={"finding": ["Mass", "Nodule"]},
        effusion={"finding": ["Effusion"]},
        other={"calling_ae": ["OTHER"]},
        all_of_it={"calling_ae": [incoming(radiograph()).calling_ae], "station": ["ROOM1"], "modality": ["CR"]},
    )  # fmt: skip
    assert {name: bool(kinds) for name, kinds in sent.items()} == {
        "everything": True, "mass": True, "effusion": False, "other": False, "all_of_it": True,
    }  # fmt: skip
    (event,) = site.events("study.reported")
    assert event["destinations"] == ["everything", "mass", "all_of_it"]


def test_findings_that_are_withheld_send_nothing_anywhere(site: Site) -> None:
    networks = Networks(scores={"Mass": 0.75}, refused=as_is("The image is unlike the site's own."))
    site.analyse(radiograph(1), networks=networks)
    sent = report_again(site, networks, mass={"finding": ["Mass"]}, everything={})
    assert sent == {"mass": [], "everything": ["report"]}


def test_who_was_told_of_a_finding_is_told_that_it_is_gone(site: Site) -> None:
    found = Networks(scores={"Mass": 0.75})
    gone = Networks(scores={"Mass": 0.25}, classifier="2c" * 32)
    when = {"mass": {"finding": ["Mass"]}, "never": {"finding": ["Hernia"]}}
    site.analyse(radiograph(1), networks=found)
    first = report_again(site, found, **when)
    assert first["mass"].count("report") == 1
    with site.store.begin() as db:
        study = db.scalars(select(Study)).one()
        progress.reopen(db, study)
        queue.enqueue(db, "analyse", study=study.id, instance=1)
    analyse.run(site.store, site.spool, gone, queue.claim(site.store, "analyse", owner="t", limit=9))
    second = report_again(site, gone, **when)
    assert second["mass"].count("report") == 2
    assert second["never"] == []


def test_who_comes_late_gets_the_same_objects_once(site: Site) -> None:
    networks = Networks()
    site.analyse(radiograph(1), networks=networks)
    first = report_again(site, networks, one={})
    both = report_again(site, networks, one={}, two={})
    assert first == {"one": ["report", "ko"]}
    assert both == {"one": ["report", "ko"], "two": ["report", "ko"]}


def destination(**keys: Any) -> ReplyDestination:
    return ReplyDestination(name="back", **keys)


def test_a_reply_goes_to_the_written_address_of_the_caller_alone() -> None:
    peers = [
        PeerSection(name="dx1", ae_title="DX1", host="10.0.0.7", port=104),
        PeerSection(name="dx2", ae_title="DX2", host="10.0.0.8", port=11112, tls={"verify_host": False}),
    ]
    folder = FolderDestination(name="out", path="/out")
    made = replies([folder, destination(send=["sc"], when={"modality": ["DX"]}, commitment=True)], peers)
    assert made[0] == folder
    assert {type(d) for d in made[1:]} == {DimseDestination}
    assert [(d.name, d.kind, d.ae_title, d.host, d.port) for d in made[1:]] == [
        ("back@dx1", "dimse", "DX1", "10.0.0.7", 104),
        ("back@dx2", "dimse", "DX2", "10.0.0.8", 11112),
    ]
    assert [d.when.calling_ae for d in made[1:]] == [("DX1",), ("DX2",)]
    assert {(d.send, d.when.modality, d.commitment) for d in made[1:]} == {(("sc",), ("DX",), True)}
    assert [d.tls is not None for d in made[1:]] == [False, True]


def test_a_reply_only_to_some_callers() -> None:
    peers = [PeerSection(name=n, ae_title=n.upper(), host="h", port=104) for n in ("dx1", "dx2")]
    (made,) = replies([destination(when={"calling_ae": ["DX2"]})], peers)
    assert made.name == "back@dx2"


def test_a_caller_without_an_address_gets_no_reply() -> None:
    peers = [PeerSection(name="dx1", ae_title="DX1", host="h", port=104)]
    made = [d.model_dump() for d in replies([destination()], peers)]
    made[0]["name"] = "back-dx1"
    chosen = Settings(destinations=made)
    failed = replace(outcome(), error=as_is("test"))
    assert [len(report.takers(chosen, [failed], {caller})) for caller in ("DX1", "DX2")] == [1, 0]

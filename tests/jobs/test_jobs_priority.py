"""What is urgent goes first: by sender, station, time, the header's own word, and what was found."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from analysed import RULES, Networks, Site, image
from made import incoming
from pydantic import ValidationError
from pydicom import Dataset
from pydicom.sequence import Sequence
from sqlalchemy import select

from xrv_node import priority
from xrv_node.db import progress, queries, queue
from xrv_node.db.store import Store
from xrv_node.db.tables import Study
from xrv_node.jobs import analyse, report
from xrv_node.reasons import as_is
from xrv_node.receive import intake
from xrv_node.settings import Settings
from xrv_node.settings.priority import PrioritySection
from xrv_node.spool import Spool

NOON = datetime(2026, 12, 1, 12).astimezone()
STAT = PrioritySection(level=2, study_priority=["STAT"])
URGENT = PrioritySection(level=1, finding=["Pneumothorax"])


@pytest.fixture
def site(store: Store, spool: Spool) -> Site:
    return Site(store, spool)


def known(**changes: Any) -> priority.Known:
    fields: dict[str, Any] = {"calling_ae": "CR1", "station": "R1", "study_priority": frozenset(), "at": NOON}
    return priority.Known(**fields | changes)


def header(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def order(site: Site, kind: queue.Kind = "analyse") -> list[str]:
    """The studies whose jobs wait, in the order in which they are claimed."""
    claims: list[queue.Claim] = []
    while one := queue.claim(site.store, kind, owner="t"):
        claims += one
    with site.store.read() as db:
        return [db.get_one(Study, claim.study_id).study_instance_uid for claim in claims]


def receive(site: Site, *images: Dataset, rules: tuple[PrioritySection, ...] = (STAT,)) -> None:
    for one in images:
        intake.accept(site.store, site.spool, RULES, incoming(one), priorities=rules)


@pytest.mark.parametrize(
    ("rule", "meets", "meets_not"),
    [
        ({"calling_ae": ["CR1", "CR2"]}, {}, {"calling_ae": "CR3"}),
        ({"station": ["R1"]}, {}, {"station": ""}),
        ({"study_priority": ["STAT", "HIGH"]}, {"study_priority": frozenset({"HIGH"})}, {}),
        ({"finding": ["Mass"]}, {"findings": ["Edema", "Mass"]}, {"findings": ["Edema"]}),
        ({"time": "08:00-12:30"}, {}, {"at": NOON + timedelta(minutes=30)}),
        ({"time": "18:00-07:00"}, {"at": NOON - timedelta(hours=6)}, {}),
        ({"time": "18:00-07:00"}, {"at": NOON + timedelta(hours=6)}, {"at": NOON - timedelta(hours=5)}),
        ({"calling_ae": ["CR1"], "station": ["R2"]}, {"station": "R2"}, {}),
    ],
)
def test_every_key_of_a_rule_must_match_and_any_of_its_values(
    rule: dict[str, Any], meets: dict[str, Any], meets_not: dict[str, Any]
) -> None:
    section = PrioritySection(level=3, **rule)
    assert priority.level([section], known(**meets)) == 3
    assert priority.level([section], known(**meets_not)) == 0


def test_the_highest_level_counts() -> None:
    rules = [PrioritySection(level=n, calling_ae=["CR1"]) for n in (2, 5, 1)]
    assert priority.level(rules, known()) == 5
    assert priority.level([], known()) == 0


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"StudyPriorityID": "HIGH"}, {"HIGH"}),
        ({"RequestedProcedurePriority": "stat "}, {"STAT"}),
        ({"RequestAttributesSequence": Sequence([header(RequestedProcedurePriority="STAT")])}, {"STAT"}),
        ({"RequestAttributesSequence": Sequence([header(), header(StudyPriorityID="LOW")])}, {"LOW"}),
        ({"StudyPriorityID": ""}, set()),
        ({}, set()),
    ],
)
def test_a_header_says_it_in_one_of_four_places(attributes: dict[str, Any], says: set[str]) -> None:
    assert priority.of_header(header(**attributes)) == says


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"level": 2}, "a rule for everything puts nothing first"),
        ({"level": 0, "calling_ae": ["A"]}, "greater than or equal to 1"),
        ({"time": "18:00"}, "two times of the day are needed"),
        ({"time": "18:00-18:00"}, "the two times are the same"),
        ({"finding": ["Pneumotorax"]}, "no finding has this name"),
        ({"study_priority": ["URGENT"]}, "Input should be 'STAT'"),
    ],
)
def test_a_rule_that_is_wrong_is_refused(keys: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        PrioritySection(**keys)


def test_the_span_of_a_rule_is_two_times() -> None:
    assert PrioritySection(time="18:00-07:00").span == (time(18), time(7))


def test_what_the_header_calls_urgent_is_analysed_first(site: Site) -> None:
    receive(site, image(1), image(2, StudyPriorityID="STAT"), image(3), image(4, StudyPriorityID="STAT"))
    assert order(site) == ["1.2.3.2", "1.2.3.4", "1.2.3.1", "1.2.3.3"]
    (first, second) = site.events("study.prioritised")
    assert first["priority"] == second["priority"] == 2


def test_a_late_image_takes_the_whole_study_along(site: Site) -> None:
    receive(site, image(1), image(2), image(2, number=2, StudyPriorityID="STAT"), image(2, number=3))
    assert order(site) == ["1.2.3.2"] * 3 + ["1.2.3.1"]
    assert len(site.events("study.prioritised")) == 1


@pytest.mark.parametrize(
    ("networks", "first"),
    [
        (Networks({"Pneumothorax": 0.75}), "1.2.3.2"),
        (Networks({"Pneumothorax": 0.25}), "1.2.3.1"),
        (Networks({"Pneumothorax": 0.75}, refused=as_is("unlike a radiograph")), "1.2.3.1"),
    ],
)
def test_an_urgent_finding_is_reported_and_sent_first(site: Site, networks: Networks, first: str) -> None:
    out = [{"name": "out", "kind": "folder", "path": "/nowhere", "send": ["report"]}]
    for study, by in ((1, Networks({"Mass": 0.75})), (2, networks)):
        receive(site, image(study), rules=())
        claims = queue.claim(site.store, "analyse", owner="t")
        analyse.run(site.store, site.spool, by, claims, priorities=[URGENT])  # type: ignore[arg-type]
    with site.store.begin() as db:
        for row in db.scalars(select(Study).order_by(Study.id)):
            progress.close_study(db, row, as_is("test"))
    claims = [*queue.claim(site.store, "report", owner="t"), *queue.claim(site.store, "report", owner="t")]
    with site.store.read() as db:
        assert db.get_one(Study, claims[0].study_id).study_instance_uid == first
    for claim in sorted(claims, key=lambda claim: claim.study_id):
        report.run(Settings(destinations=out), site.store, site.spool, networks.model_set, [claim])
    assert order(site, "deliver")[0] == first
    with site.store.read() as db:
        assert {row["study"]: row["priority"] for row in queries.jobs(db)}["1.2.3.1"] == 0

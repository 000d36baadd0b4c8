"""Who gets a report of a study in which nothing was to be analysed."""

from __future__ import annotations

from typing import Any

import pytest
import report_cases as cases

from xrv_node.jobs.report import takers, wanted
from xrv_node.reasons import Reason
from xrv_node.settings import Settings
from xrv_node.values import ImageOutcome

ANALYSED = cases.frontal(cases.header())
FAILED = ImageOutcome(cases.header(), cases.FRONTAL, error=Reason("no-pixels", rows=0, columns=0))
SKIPPED = ImageOutcome(cases.header(), cases.LATERAL)


def settings(study: bool, **destinations: bool | None) -> Settings:
    sections: list[dict[str, Any]] = [
        {"name": name, "kind": "folder", "path": "out", "report_skipped": own}
        for name, own in destinations.items()
    ]
    return Settings(**{"study": {"report_skipped": study}, "destinations": sections})


@pytest.mark.parametrize(
    ("study", "expected"), [(False, ["always"]), (True, ["as the study", "always"])], ids=["off", "on"]
)
def test_a_destination_can_have_it_otherwise(study: bool, expected: list[str]) -> None:
    chosen = settings(study, as_the_study=None, always=True, never=False)
    assert [d.name.replace("_", " ") for d in takers(chosen, [SKIPPED])] == expected


def test_of_one_in_so_many_it_is_always_the_same_ones() -> None:
    sections = [{"name": "one", "kind": "folder", "path": "out"}]
    chosen = Settings(**{"study": {"report_skipped": 4}, "destinations": sections})
    studies = [
        ImageOutcome(cases.header(StudyInstanceUID=cases.uid("skipped", n)), cases.LATERAL)
        for n in range(200)
    ]
    told = [bool(takers(chosen, [image])) for image in studies]
    assert 30 <= sum(told) <= 70
    assert told == [bool(takers(chosen, [image])) for image in studies]


@pytest.mark.parametrize("images", [[ANALYSED], [FAILED], [SKIPPED, FAILED], [SKIPPED, ANALYSED]])
def test_what_was_due_is_reported_to_all(images: list[ImageOutcome]) -> None:
    assert len(takers(settings(False, one=None, two=False), images)) == 2


def test_nobody_who_wants_it_means_nothing_to_make() -> None:
    assert wanted(takers(settings(False, one=None), [SKIPPED])) == {}
    assert ("report", "language=en") in wanted(takers(settings(True, one=None), [SKIPPED]))

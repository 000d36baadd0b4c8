"""Nothing in the objects is random: the same content is the same object, other content another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import report_cases as cases
from report_sources import ALL, CASES, one

from xrv_node import report
from xrv_node.values import Predecessor, StudyOutcome


@pytest.mark.parametrize("case", ["DX", "several frontals", "phantom", "nothing analysed", "predecessor"])
def test_the_same_outcome_gives_the_same_bytes(case: str) -> None:
    first, second = ([report.to_bytes(r.dataset) for r in report.build(CASES[case](), ALL)] for _ in range(2))
    assert first == second


def uids_of(outcome: StudyOutcome) -> list[tuple[str, str]]:
    return [(r.dataset.SOPInstanceUID, r.dataset.SeriesInstanceUID) for r in report.build(outcome, ALL)]


def test_a_later_run_that_says_the_same_has_the_same_uids() -> None:
    study = one()()
    later = replace(study, closed_at=study.closed_at + timedelta(days=3))
    again = replace(study, predecessors={"report": Predecessor("1.2", "1.3", "1.4", "1.5")})
    assert uids_of(study) == uids_of(later) == uids_of(again)


@pytest.mark.parametrize(
    "changed",
    [
        lambda: cases.outcome(
            cases.frontal(cases.header(rows=121, columns=95), scores=cases.SOME | {"Effusion": 0.83})
        ),
        one(PatientID="P-4711"),
        lambda: cases.outcome(cases.frontal(cases.header(rows=121, columns=95), seg=~cases.masks())),
    ],
    ids=["score", "patient", "mask"],
)
def test_changed_content_is_another_object(changed: Callable[[], StudyOutcome]) -> None:
    assert uids_of(one()()) != uids_of(changed())


def test_each_object_has_a_series_of_its_own() -> None:
    results = report.build(CASES["several frontals"](), ALL)
    made = [r.dataset for r in results]
    assert [r.kind for r in results].count("seg") == 3
    assert len({d.SeriesInstanceUID for d in made}) == len({d.SOPInstanceUID for d in made}) == len(made)
    assert len({d.SeriesNumber for d in made}) == len({r.kind for r in results})


def test_documents_name_what_they_supersede() -> None:
    for result in report.build(CASES["predecessor"](), ALL):
        if result.dataset.Modality == "SR":
            (study,) = result.dataset.PredecessorDocumentsSequence
            (series,) = study.ReferencedSeriesSequence
            (instance,) = series.ReferencedSOPSequence
            named = (study.StudyInstanceUID, series.SeriesInstanceUID, instance.ReferencedSOPInstanceUID)
            assert named == ("1.2.5", "1.2.4", "1.2.3")
        else:
            assert "PredecessorDocumentsSequence" not in result.dataset


def test_a_document_does_not_supersede_itself() -> None:
    study = one()()
    first = report.build(study, ["report"])[0].dataset
    itself = Predecessor(
        first.SOPClassUID, first.SOPInstanceUID, first.SeriesInstanceUID, first.StudyInstanceUID
    )
    again = report.build(replace(study, predecessors={"report": itself}), ["report"])[0].dataset
    assert report.to_bytes(again) == report.to_bytes(first)

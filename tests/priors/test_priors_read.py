"""A report of an earlier study is read only where it is ours, whole, and comparable."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from analysed import BEFORE, CLASSIFIER, Networks, Site, image
from hypothesis import given, settings, strategies
from priors_cases import BASIS, SCORES, present
from pydicom import Dataset, dcmread
from structlog.testing import capture_logs

from xrv_node import languages
from xrv_node.db.store import Store
from xrv_node.priors import archive
from xrv_node.priors.subject import Basis, Earlier
from xrv_node.report import codes
from xrv_node.spool import Spool
from xrv_node.values import PHANTOM_WORDS, Prior


def items(document: Dataset) -> Iterator[Dataset]:
    for child in document.get("ContentSequence", []):
        yield child
        yield from items(child)


def concept(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def test_our_own_report_of_an_earlier_study_is_read(document: Dataset) -> None:
    found = archive.read(document, present(), BASIS)
    assert found is not None
    assert found.earlier == Earlier(Prior("1.2.3.1", BEFORE, SCORES), "101010", "archive")
    assert (found.uid, found.supersedes) == (document.SOPInstanceUID, frozenset())


@pytest.mark.parametrize("language", sorted({*languages.names()} - {languages.ENGLISH}))
def test_it_is_read_in_every_language(store: Store, spool: Spool, language: str) -> None:
    site = Site(store, spool)
    site.analyse(image(1, BEFORE))
    (made,) = site.report(1, language=language)
    found = archive.read(made, present(), BASIS)
    assert found is not None
    assert found.earlier.prior.scores == SCORES


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Manufacturer", "ACME"),
        ("ManufacturerModelName", "Other"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33"),
        ("SeriesNumber", 1),
        ("PatientID", "somebody else"),
        ("PatientID", ""),
        ("IssuerOfPatientID", "another hospital"),
        ("PatientBirthDate", "19600102"),
        ("StudyDate", "20260102"),
        ("StudyDate", ""),
        ("SeriesDescription", "AI findings - COMMISSIONING - NOT A RESULT"),
        ("SeriesDescription", f"AI findings - {PHANTOM_WORDS}"),
        ("ContentSequence", []),
    ],
)
def test_an_object_that_is_not_one_of_ours_is_none(document: Dataset, keyword: str, value: Any) -> None:
    setattr(document, keyword, value)
    assert archive.read(document, present(), BASIS) is None


@pytest.mark.parametrize(
    "basis",
    [
        Basis("9f" * 32, "linear"),
        Basis(CLASSIFIER, "cubic"),
        Basis(CLASSIFIER[:-2], "linear"),
        Basis(CLASSIFIER, "linear", (("Mass", 0.2),)),
    ],
)
def test_scores_that_were_made_otherwise_do_not_compare(document: Dataset, basis: Basis) -> None:
    assert archive.read(document, present(), basis) is None


@pytest.mark.parametrize("language", languages.names())
def test_a_report_in_any_language_is_known_by_its_classifier(
    store: Store, spool: Spool, language: str
) -> None:
    site = Site(store, spool)
    site.analyse(image(1, BEFORE))
    (made,) = site.report(1, Networks(), language=language)
    assert archive.read(made, present(), BASIS) is not None


@pytest.mark.parametrize("language", ["en", "fr"])
def test_scores_compare_by_the_operating_points_that_made_them(
    store: Store, spool: Spool, language: str
) -> None:
    own = (("Effusion", 1e-05), ("Mass", 0.25))
    networks = Networks(site_thresholds=own)
    site = Site(store, spool)
    site.analyse(image(1, BEFORE), networks=networks)
    (made,) = site.report(1, networks, language=language)
    found = archive.read(made, present(), Basis(CLASSIFIER, "linear", own))
    assert found is not None
    assert found.earlier.prior.scores == SCORES
    for other in ((), own[1:], (("Effusion", 1e-05), ("Mass", 0.2500001))):
        assert archive.read(made, present(), Basis(CLASSIFIER, "linear", other)) is None


@pytest.mark.parametrize("score", [-1.0, 100.1, float("nan"), float("inf")])
def test_a_score_that_is_none_spoils_the_report(document: Dataset, score: float) -> None:
    for item in items(document):
        if item.ValueType == "NUM" and concept(item).endswith("-SCORE"):
            item.MeasuredValueSequence[0].FloatingPointValue = score
    assert archive.read(document, present(), BASIS) is None


def test_a_tree_without_end_is_left(document: Dataset) -> None:
    deepest = document.ContentSequence[0]
    for _ in range(2000):
        child = Dataset()
        child.ValueType, child.ContentSequence = "CONTAINER", []
        deepest.ContentSequence = [child]
        deepest = child
    with capture_logs() as logs:
        assert archive.read(document, present(), BASIS) is None
    assert [line["why"] for line in logs] == ["RecursionError"]


@settings(max_examples=80, deadline=None)
@given(strategies.lists(strategies.tuples(strategies.integers(0), strategies.integers(0, 255)), min_size=1))
def test_damaged_bytes_never_raise(earlier: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(earlier)
    for place, value in changes:
        data[132 + place % (len(data) - 132)] = value
    try:
        damaged = dcmread(BytesIO(bytes(data)))
    except Exception:
        return  # pydicom's own: the exchange leaves such an object out
    found = archive.read(damaged, present(), BASIS)
    assert found is None or all(0 <= score <= 1 for score in found.earlier.prior.scores.values())


def test_the_codes_that_are_read_are_in_the_report(document: Dataset) -> None:
    found = {concept(item) for item in items(document)}
    assert {codes.MODEL.value, codes.RESAMPLING.value} <= found

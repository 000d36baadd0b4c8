"""What an archive answers by DIMSE is not trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from analysed import BEFORE, NOW, Networks, Site, image
from made import SECRET
from priors_cases import SCORES, find, ways
from priors_cases import section as section_of
from pydicom import Dataset
from pynetdicom import AE, evt

from xrv_node.db.store import Store
from xrv_node.deliver import query
from xrv_node.priors import archive, dimse
from xrv_node.result_kinds import KINDS
from xrv_node.spool import Spool

ENHANCED_SR = KINDS["report"].sop_classes[0]


@contextmanager
def scp(
    find_: Callable[[evt.Event], Any],
    get: Callable[[evt.Event], Any],
    classes: Sequence[str] = (query.FIND, query.GET, ENHANCED_SR),
) -> Iterator[dict[str, Any]]:
    """An archive by DIMSE that answers as the test wants; yields the section that leads to it."""
    ae = AE("ARCHIVE")
    for uid in classes:
        roles = {"scu_role": True, "scp_role": True} if uid == ENHANCED_SR else {}
        ae.add_supported_context(uid, **roles)
    handlers = [(evt.EVT_C_FIND, find_), (evt.EVT_C_GET, get)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield ways(server.server_address[1])[0]
    finally:
        server.shutdown()


def answering(*studies: Dataset) -> Callable[[evt.Event], Iterator[tuple[int, Dataset | None]]]:
    """C-FIND: these studies, each with one series of the report's number."""

    def handle(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        if query.QueryRetrieveLevel == "STUDY":
            assert (query.PatientID, query.StudyDate) == (f"{SECRET}-4711", f"-{NOW}")
            yield from ((0xFF00, study) for study in studies)
        else:
            yield 0xFF00, identifier(SeriesInstanceUID=f"{query.StudyInstanceUID}.1", SeriesNumber="9001")

    return handle


def identifier(**attributes: str) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def sending(*documents: Dataset) -> Callable[[evt.Event], Iterator[Any]]:
    """C-GET: these objects, whatever was asked for."""

    def handle(event: evt.Event) -> Iterator[Any]:
        yield len(documents)
        yield from ((0xFF00, document) for document in documents)

    return handle


def test_what_the_archive_sends_must_be_of_the_study_that_was_asked_for(document: Dataset) -> None:
    with scp(answering(identifier(StudyInstanceUID="1.2.3.77")), sending(document)) as section:
        assert find(section) == []
    with scp(answering(identifier(StudyInstanceUID="1.2.3.1")), sending(document)) as section:
        assert [e.prior.scores for e in find(section)] == [SCORES]


def test_a_report_that_is_superseded_is_not_used(store: Store, spool: Spool) -> None:
    site = Site(store, spool)
    site.analyse(image(1, BEFORE), networks=Networks({"Mass": 0.5}))
    site.report(1)
    site.analyse(image(1, BEFORE, 2), networks=Networks({"Mass": 0.25, "Edema": 0.75}))
    reports = site.report(1)
    for one in reports:
        one.ContentDate, one.ContentTime = "20250301", "120000"  # to the second, they may well be the same
    for order in (reports, reports[::-1]):
        with scp(answering(identifier(StudyInstanceUID="1.2.3.1")), sending(*order)) as section:
            assert [e.prior.scores for e in find(section)] == [{"Mass": 0.5, "Edema": 0.75}]


def test_studies_that_cannot_be_priors_are_not_fetched(document: Dataset) -> None:
    asked = []

    def get(event: evt.Event) -> Iterator[Any]:
        asked.append(str(event.identifier.StudyInstanceUID))
        yield 0

    studies = [
        identifier(StudyInstanceUID="1.2.1", ModalitiesInStudy="DX"),
        identifier(StudyInstanceUID="1.2.2", PatientID="somebody else"),
        identifier(StudyInstanceUID="1.2.3", StudyDate="20990101"),
        identifier(StudyInstanceUID="../../1.2"),
        identifier(StudyInstanceUID="1.2.4", StudyDate="20200101"),
        identifier(StudyInstanceUID="1.2.5", StudyDate="20250101"),
    ]
    with scp(answering(*studies), get) as section:
        assert find(section) == []
    assert asked == ["1.2.5", "1.2.4"]


@pytest.mark.parametrize(
    ("find_", "get", "message"),
    [
        (lambda _: iter([(0xA700, None)]), sending(), "answers C-FIND with 0xA700"),
        (answering(identifier(StudyInstanceUID="1.2")), lambda _: iter([1, (0xC001, None)]), "C-GET with 0x"),
    ],
)
def test_an_archive_that_fails_is_named_with_its_status(find_: Any, get: Any, message: str) -> None:
    with scp(find_, get) as section, pytest.raises(archive.DestinationError, match=message):
        find(section)


def test_an_archive_that_answers_without_end_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimse, "MAX_ANSWERS", 20)

    def endless(_event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        while True:
            yield 0xFF00, identifier(StudyInstanceUID="1.2.3")

    with scp(endless, sending()) as section, pytest.raises(archive.DestinationError, match="without end"):
        find(section)


def test_an_archive_that_sends_too_much_is_hung_up_on(
    document: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimse, "MAX_BYTES", 200_000)
    document.ContentSequence[0].ContentSequence[0].TextValue = "x" * 500_000
    with (
        scp(answering(identifier(StudyInstanceUID="1.2.3.1")), sending(document)) as section,
        pytest.raises(archive.DestinationError, match="the archive "),
    ):
        find(section)


def test_a_check_asks_about_nobody() -> None:
    asked = []

    def find_nobody(event: evt.Event) -> Iterator[Any]:
        asked.append(str(event.identifier.PatientID))
        yield 0, None

    with scp(find_nobody, sending()) as section:
        archive.check(section_of(section), "XRVNODE")
    assert asked == ["XRVNODE-CHECK"]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([query.FIND, ENHANCED_SR], "does not offer C-FIND and C-GET"),
        ([query.FIND, query.GET], "sends no Enhanced SR Storage by C-GET"),
    ],
)
def test_a_check_finds_what_an_archive_does_not_offer(classes: list[str], message: str) -> None:
    with (
        scp(lambda _: iter([(0, None)]), sending(), classes) as section,
        pytest.raises(archive.DestinationError, match=message),
    ):
        archive.check(section_of(section), "XRVNODE")


def test_a_check_finds_an_archive_that_refuses() -> None:
    with (
        scp(lambda _: iter([(0xA700, None)]), sending()) as section,
        pytest.raises(archive.DestinationError, match="answers C-FIND with 0xA700"),
    ):
        archive.check(section_of(section), "XRVNODE")

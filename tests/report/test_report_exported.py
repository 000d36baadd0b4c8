"""Results of every kind, de-identified for research: still what they were, of nobody."""

from __future__ import annotations

from pathlib import Path

import dciodvfy
import pytest
import report_cases as cases
from made import SECRET
from pydicom import Dataset, dcmread
from report_sources import ALL

from xrv_node import report
from xrv_node.export.confidentiality import Options, profile
from xrv_node.export.deidentify import deidentify
from xrv_node.export.left_out import references
from xrv_node.export.names import Names
from xrv_node.reasons import as_is
from xrv_node.report import read_back
from xrv_node.result_kinds import KINDS
from xrv_node.values import DEFAULT_STYLE, ImageOutcome, Prior

OWN = [kind for kind in ALL if kind not in profile().kinds_left_out]
CODES = {"report": "113104", "sr": "113104", "sr-image": "113104", "ko": "113104", "gsps": "113103"}
"""Of the options that a kind claims: Clean Structured Content, Clean Graphics (PS3.16 CID 7050)."""


def made() -> list[tuple[str, Dataset]]:
    """A study that says its patient's name wherever a header's text goes into results."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99RIS", f"Chest of {SECRET}"
    head = cases.header(
        PatientName=f"{SECRET}^Anna", PatientID=f"{SECRET}-1", StudyDescription=f"Chest of {SECRET}",
        AccessionNumber="ACC4711", ReferringPhysicianName="Doctorow^Edgar", ProcedureCodeSequence=[code],
        PlacerOrderNumberImagingServiceRequest="P-4711", PatientComments=SECRET,
    )  # fmt: skip
    told = as_is(f"Series Description is Chest of {SECRET}, 20260101.")
    outcome = cases.outcome(
        cases.frontal(head),
        ImageOutcome(cases.header(number=2, PatientName=f"{SECRET}^Anna"), cases.LATERAL, error=told),
        remarks=(told,),
        priors=(Prior("1.2.3.9", "20250301", {"Effusion": 0.2}),),
    )
    return [(r.kind, r.dataset) for r in report.build(outcome, ALL, DEFAULT_STYLE) if r.kind in OWN]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Dataset, Path]]:
    """By kind: what it was, and the file of what came out."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "patients.key").write_bytes(b"1" * 32)
    found = {}
    for kind, before in made():
        (folder / "before.dcm").write_bytes(report.to_bytes(before))
        after = dcmread(folder / "before.dcm")
        deidentify(after, Names(folder), Options(modified_dates=True), own=True)
        after.save_as(folder / f"{kind}.dcm", enforce_file_format=True)
        found[kind] = dcmread(folder / "before.dcm"), folder / f"{kind}.dcm"
        (folder / "before.dcm").unlink()
    assert set(found) == set(OWN)
    return found


@pytest.mark.parametrize("kind", OWN)
def test_nothing_of_the_header_is_in_its_bytes(kind: str, exported: dict[str, tuple[Dataset, Path]]) -> None:
    before, path = exported[kind]
    data = path.read_bytes()
    words = [SECRET, "Anna", "4711", "Doctorow", "19580101", "20261120", "20250301", "2025-03-01"]
    assert [word for word in words if word.encode() in data] == []
    uids = {str(before.SOPInstanceUID), str(before.StudyInstanceUID), *references(before), "1.2.3.9"}
    assert [uid for uid in uids if uid.encode() in data] == []


@pytest.mark.parametrize("kind", OWN)
def test_it_is_the_same_kind_of_object_and_without_error(
    kind: str, exported: dict[str, tuple[Dataset, Path]]
) -> None:
    before, path = exported[kind]
    after = dcmread(path)
    assert after.SOPClassUID == before.SOPClassUID
    assert after.SOPClassUID in KINDS[kind].sop_classes
    claimed = [c.CodeValue for c in after.DeidentificationMethodCodeSequence]
    assert claimed == sorted({"113100", "113107", *([CODES[kind]] if kind in CODES else [])})
    assert dciodvfy.errors(path) == []


@pytest.mark.parametrize("kind", OWN)
def test_references_lead_where_they_led(kind: str, exported: dict[str, tuple[Dataset, Path]]) -> None:
    before, path = exported[kind]
    names = Names(path.parent)
    expected = {names.uid(uid) for uid in references(before, profile().removed)}
    assert expected
    assert references(dcmread(path)) == expected


def test_scores_regions_and_masks_are_those_of_before(exported: dict[str, tuple[Dataset, Path]]) -> None:
    def both(kind: str) -> tuple[Dataset, Dataset, Names]:
        before, path = exported[kind]
        return before, dcmread(path), Names(path.parent)

    before, after, names = both("report")
    ours = read_back.findings(before)
    assert [repr(f) for f in read_back.findings(after).values()] == [repr(f) for f in ours.values()]
    assert set(read_back.findings(after)) == {names.uid(uid) for uid in ours}
    before, after, _ = both("sr")
    assert list(read_back.regions(after).values()) == list(read_back.regions(before).values())
    before, after, _ = both("seg")
    assert (read_back.masks(after)[2] == read_back.masks(before)[2]).all()
    before, after, _ = both("pm")
    assert after.FloatPixelData == before.FloatPixelData

"""The table of scores: every finding of every image comes out through highdicom's TID 1500 reader."""

from __future__ import annotations

from pathlib import Path

import dciodvfy
import highdicom as hd
import pytest
import report_cases as cases
from pydicom import Dataset, dcmread

from xrv_node import report
from xrv_node.reasons import as_is
from xrv_node.report import codes, uids
from xrv_node.result_kinds import KINDS, kind_of
from xrv_node.settings.destinations import DestinationSection
from xrv_node.values import ImageOutcome, Predecessor, StudyOutcome

SCORES = {"Effusion": 0.8231, "Cardiomegaly": 0.6125, "Pleural_Thickening": 0.5, "Mass": 0.4996}
Groups = list[hd.sr.MeasurementsAndQualitativeEvaluations]


def built(outcome: StudyOutcome) -> Dataset:
    (result,) = report.build(outcome, ["sr-image"])
    return result.dataset


def read(made: Dataset, tmp_path: Path) -> hd.sr.MeasurementReport:
    path = tmp_path / "sr.dcm"
    path.write_bytes(report.to_bytes(made))
    assert dciodvfy.errors(path) == []
    dumped = cases.tool("dsrdump", path)
    assert (dumped.returncode, dumped.stderr) == (0, "")
    document = hd.sr.srread(path)
    assert isinstance(document, hd.sr.Comprehensive3DSR)
    return document.content


def test_all_findings_of_all_images_come_back(tmp_path: Path) -> None:
    heads = [cases.header(number=1), cases.header("CR", number=2)]
    scores = [SCORES, {"Mass": 0.7}]
    study = cases.outcome(
        *(cases.frontal(h, scores=s, seg=cases.covered()) for h, s in zip(heads, scores, strict=True))
    )
    content = read(built(study), tmp_path)
    assert content.get_planar_roi_measurement_groups() == []
    groups: Groups = content.get_image_measurement_groups()
    by_uid = {g.tracking_uid: g for g in groups}
    assert len(by_uid) == len(groups) == 2 * len(cases.LABELS)
    for head, given in zip(heads, scores, strict=True):
        for label in cases.LABELS:
            row, group = codes.finding(label), by_uid[uids.tracking_uid(head.SOPInstanceUID, label)]
            value = given.get(label, 0.1)
            assert group.finding_type == row.code
            assert [site.value for site in group.finding_sites] == [row.site]
            assert group.tracking_identifier == row.name
            (score,) = group.get_measurements()
            assert (score.name, score.value, score.unit.value) == (row.score, value * 100, "/100")
            assert score[0].MeasuredValueSequence[0].NumericValue < 50 or value >= 0.5
            (point,) = score[0].ContentSequence
            assert (point.name, point.value) == (codes.OPERATING_POINT, 50)
            (call,) = group.get_qualitative_evaluations(codes.CALL)
            assert call.value == (codes.PRESENT if value >= 0.5 else codes.NOT_DETECTED)
            (source,) = group.source_images
            assert source.referenced_sop_instance_uid == head.SOPInstanceUID
            assert source.referenced_sop_class_uid == head.SOPClassUID


def test_no_group_has_coordinates_and_every_group_is_image_level() -> None:
    """A program that expects one form gets one; OHIF opens neither, nor a mixture."""
    made = built(cases.outcome(cases.frontal(cases.header(), seg=cases.chest())))
    templates, kinds = set(), set()

    def walk(item: Dataset) -> None:
        kinds.add(item.ValueType)
        if item.ConceptNameCodeSequence[0].CodeValue == "125007":
            templates.add(item.ContentTemplateSequence[0].TemplateIdentifier)
        for child in item.get("ContentSequence", []):
            walk(child)

    walk(made)
    assert templates == {"1501"}
    assert not kinds & {"SCOORD", "SCOORD3D"}
    assert made.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_it_is_a_series_of_its_own_and_only_for_who_asks() -> None:
    image = cases.frontal(cases.header())
    made = {r.kind: r.dataset for r in report.build(cases.outcome(image), ["sr", "sr-image"])}
    assert made["sr"].SOPClassUID == made["sr-image"].SOPClassUID
    assert made["sr"].SeriesInstanceUID != made["sr-image"].SeriesInstanceUID
    assert {kind: kind_of(dataset) for kind, dataset in made.items()} == {k: k for k in made}
    assert made["sr-image"].SeriesNumber == KINDS["sr-image"].series_number == 9005
    assert "sr-image" not in DestinationSection.model_fields["send"].default


def test_the_same_finding_is_tracked_in_both_documents(tmp_path: Path) -> None:
    image = cases.frontal(cases.header(rows=300, columns=200), seg=cases.chest())
    (regions,) = report.build(cases.outcome(image), ["sr"])
    path = tmp_path / "regions.dcm"
    path.write_bytes(report.to_bytes(regions.dataset))
    drawn = hd.sr.srread(path).content.get_planar_roi_measurement_groups(
        finding_type=codes.finding("Effusion").code
    )
    (told,) = read(built(cases.outcome(image)), tmp_path).get_image_measurement_groups(
        tracking_uid=drawn[0].tracking_uid
    )
    assert told.finding_type == drawn[0].finding_type
    assert [s.laterality for s in told.finding_sites] == [s.laterality for s in drawn[0].finding_sites]


def test_a_late_image_makes_a_new_document_that_names_the_one_before() -> None:
    early, late = (cases.frontal(cases.header(number=n)) for n in (1, 2))
    first = built(cases.outcome(early))
    before = Predecessor(
        first.SOPClassUID, first.SOPInstanceUID, first.SeriesInstanceUID, first.StudyInstanceUID
    )
    second = built(cases.outcome(early, late, predecessors={"sr-image": before}))
    assert second.SOPInstanceUID != first.SOPInstanceUID
    (study,) = second.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (instance,) = series.ReferencedSOPSequence
    assert study.StudyInstanceUID == first.StudyInstanceUID
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    assert instance.ReferencedSOPClassUID == first.SOPClassUID
    assert instance.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert len(second.ContentSequence[-1].ContentSequence) == 2 * len(cases.LABELS)


@pytest.mark.parametrize(
    "image",
    [
        ImageOutcome(cases.header(), cases.LATERAL),
        ImageOutcome(cases.header(), cases.FRONTAL, error=as_is("the pixel data ends too early")),
    ],
    ids=["lateral", "failed"],
)
def test_there_is_none_without_an_analysed_image(image: ImageOutcome) -> None:
    assert report.build(cases.outcome(image), ["sr-image"]) == []


def test_a_study_with_a_failure_is_partial() -> None:
    failed = ImageOutcome(cases.header(number=2), cases.FRONTAL, error=as_is("the pixel data ends too early"))
    made = built(cases.outcome(cases.frontal(cases.header()), failed))
    assert made.CompletionFlag == "PARTIAL"
    references = made.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert [len(series.ReferencedSOPSequence) for series in references] == [1]


def test_untrained_networks_call_nothing(tmp_path: Path) -> None:
    models = cases.model_set(phantom=True)
    made = built(cases.outcome(cases.frontal(cases.header(), models), models=models))
    for group in read(made, tmp_path).get_image_measurement_groups():
        assert group.tracking_identifier.startswith("PHANTOM MODEL SET - NOT FOR PATIENT IMAGES: ")
        (score,) = group.get_measurements()
        assert score.name.meaning.startswith("PHANTOM: ")
        (call,) = group.get_qualitative_evaluations(codes.CALL)
        assert call.value in (codes.PHANTOM_PRESENT, codes.PHANTOM_BELOW)


REAL = sorted((cases.SHARED / "dicom" / "chest").glob("*.dcm"))[:3]


@pytest.mark.skipif(not REAL, reason="the shared radiographs are not here")
@pytest.mark.parametrize("path", REAL, ids=lambda p: p.stem)
def test_real_headers_give_a_readable_table(path: Path, tmp_path: Path) -> None:
    header = dcmread(path, stop_before_pixels=True, force=True)
    (result,) = report.build(cases.outcome(cases.frontal(header)), ["sr-image"])
    assert len(read(result.dataset, tmp_path).get_image_measurement_groups()) == len(cases.LABELS)

"""The regions: what goes in comes out through highdicom's own TID 1500 reader, in the form that OHIF
draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
import report_cases as cases
from pydicom import Dataset
from pydicom.sr.coding import Code

from xrv_node import report
from xrv_node.report import codes, equipment, uids
from xrv_node.values import Finding, ImageOutcome, StudyOutcome

SCORES = {"Effusion": 0.8231, "Cardiomegaly": 0.6125, "Pleural_Thickening": 0.5, "Mass": 0.3}


def built(outcome: StudyOutcome) -> Dataset:
    (result,) = report.build(outcome, ["sr"])
    return result.dataset


def groups(made: Dataset, tmp_path: Path) -> list[hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    path = tmp_path / "sr.dcm"
    path.write_bytes(report.to_bytes(made))
    document = hd.sr.srread(path)
    assert isinstance(document, hd.sr.Comprehensive3DSR)
    return list(document.content.get_planar_roi_measurement_groups())


def walk(item: Dataset) -> list[Dataset]:
    return [item, *(found for child in item.get("ContentSequence", []) for found in walk(child))]


def test_highdicom_reads_back_findings_sites_scores_polygons_and_tracking(tmp_path: Path) -> None:
    header = cases.header(rows=300, columns=200)
    made = built(cases.outcome(cases.frontal(header, scores=SCORES)))
    read = {g.tracking_uid: g for g in groups(made, tmp_path)}
    present = [label for label, score in SCORES.items() if score >= 0.5]
    assert set(read) == {uids.tracking_uid(header.SOPInstanceUID, label) for label in present}
    for label in present:
        row, group = codes.finding(label), read[uids.tracking_uid(header.SOPInstanceUID, label)]
        assert group.finding_type == row.code
        assert group.tracking_identifier == row.name
        assert [s.value for s in group.finding_sites] == [row.site]
        (score,) = group.get_measurements()
        assert score.name == row.score
        assert score.unit == Code("%", "UCUM", "Percent")
        assert score[0].MeasuredValueSequence[0].FloatingPointValue == SCORES[label] * 100
        (call,) = group.get_qualitative_evaluations(codes.CALL)
        assert call.value == codes.PRESENT
        assert group.roi.graphic_type == hd.sr.GraphicTypeValues.POLYLINE
        np.testing.assert_allclose(group.roi.value, cases.polygon(200, 300), rtol=1e-6)
        (source,) = [i for i in group.roi.ContentSequence if i.ValueType == "IMAGE"]
        (reference,) = source.ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == header.SOPInstanceUID
        assert reference.ReferencedSOPClassUID == header.SOPClassUID
        assert source.RelationshipType == "SELECTED FROM"


def test_each_image_has_its_own_groups(tmp_path: Path) -> None:
    heads = [cases.header(number=n) for n in (1, 2, 3)]
    study = cases.outcome(
        cases.frontal(heads[0]),
        cases.frontal(heads[1], scores={}),
        cases.frontal(heads[2], scores={"Effusion": 0.9}),
    )
    made = built(study)
    read = groups(made, tmp_path)
    assert [g.tracking_uid for g in read] == [
        uids.tracking_uid(heads[0].SOPInstanceUID, "Effusion"),
        uids.tracking_uid(heads[0].SOPInstanceUID, "Cardiomegaly"),
        uids.tracking_uid(heads[2].SOPInstanceUID, "Effusion"),
    ]
    library = [i for i in walk(made) if i.ValueType == "IMAGE" and i.RelationshipType == "CONTAINS"]
    named = [i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for i in library]
    assert named == [heads[0].SOPInstanceUID, heads[2].SOPInstanceUID]


def test_the_form_is_the_one_that_viewers_draw() -> None:
    """A group without coordinates, tracking or a name of its own for the number breaks OHIF, or cannot be
    read."""
    made = built(cases.outcome(cases.frontal(cases.header(), scores=SCORES)))
    assert made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert made.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert made.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert {i.ContinuityOfContent for i in walk(made) if i.ValueType == "CONTAINER"} == {"SEPARATE"}
    found = [
        i
        for i in walk(made)
        if i.ValueType == "CONTAINER" and i.ConceptNameCodeSequence[0].CodeValue == "125007"
    ]
    assert len(found) == 3
    for group in found:
        assert group.ContentTemplateSequence[0].TemplateIdentifier == "1410"
        kinds = [i.ValueType for i in group.ContentSequence]
        assert kinds.count("SCOORD") == kinds.count("NUM") == kinds.count("UIDREF") == 1
    meanings = {i.ConceptNameCodeSequence[0].CodeMeaning for i in walk(made) if i.ValueType == "NUM"}
    assert {"Pleural effusion score", "Cardiomegaly score", "Pleural thickening score"} <= meanings


def test_there_is_none_without_a_region() -> None:
    image = cases.frontal(cases.header())
    assert image.analysis is not None
    present = replace(
        image.analysis, findings=(Finding("Mass", 0.9, 0.9), Finding("Edema", 0.9, 0.9, ((1, 1), (2, 2))))
    )
    below = replace(image.analysis, findings=(Finding("Mass", 0.4, 0.4, cases.polygon(9, 9)),))
    for analysis in (present, below):
        assert report.build(cases.outcome(replace(image, analysis=analysis)), ["sr"]) == []
    assert report.build(cases.outcome(ImageOutcome(cases.header(), cases.LATERAL)), ["sr"]) == []


def test_an_open_polygon_is_closed(tmp_path: Path) -> None:
    image = cases.frontal(cases.header())
    assert image.analysis is not None
    corners = ((10.5, 20.25), (30.0, 20.0), (25.0, 60.0))
    analysis = replace(image.analysis, findings=(Finding("Mass", 0.9, 0.9, corners),))
    (group,) = groups(built(cases.outcome(replace(image, analysis=analysis))), tmp_path)
    np.testing.assert_array_equal(group.roi.value, [*corners, corners[0]])


def test_the_algorithm_and_the_observer_are_the_contributing_equipment() -> None:
    models = cases.model_set()
    made = built(cases.outcome(cases.frontal(cases.header())))
    (item,) = made.ContributingEquipmentSequence
    told = {(i.ConceptNameCodeSequence[0].CodeValue, i.get("TextValue") or i.get("UID")) for i in walk(made)}
    assert {
        ("111001", item.ManufacturerModelName),
        ("111003", item.SoftwareVersions),
        ("121012", item.DeviceUID),
        ("121013", equipment.NAME),
        ("121014", item.Manufacturer),
        ("121015", item.ManufacturerModelName),
        ("121016", item.DeviceSerialNumber),
    } <= told
    assert {("111002", line) for line in equipment.model_lines(models)} <= told


def procedure(header: Dataset) -> tuple[str, str, str]:
    made = built(cases.outcome(cases.frontal(header)))
    (item,) = [i for i in walk(made) if i.ConceptNameCodeSequence[0].CodeValue == "121058"]
    code = item.ConceptCodeSequence[0]
    return code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (("RPID2503", "RADLEX", "XR Chest 2 Views"), ("RPID2503", "RADLEX", "XR Chest 2 Views")),
        (("THX", "99LOCAL", "Röntgen Thorax"), ("THX", "99LOCAL", "Röntgen Thorax")),
        (("THX", "", "Thorax"), ("413815006", "SCT", "Chest imaging")),
        (("A" * 17, "99LOCAL", "Thorax"), ("413815006", "SCT", "Chest imaging")),
        (None, ("413815006", "SCT", "Chest imaging")),
    ],
    ids=["complete", "umlaut", "no scheme", "long value", "missing"],
)
def test_the_procedure_is_the_one_that_was_done(
    code: tuple[str, str, str] | None, expected: tuple[str, str, str]
) -> None:
    header = cases.header()
    if code:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
        header.ProcedureCodeSequence = [item]
    assert procedure(header) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"Rows": 1, "L": 1, "spacing": 2}),
        ({"PatientOrientation": None}, {"Rows": 1, "L": 0, "spacing": 0}),
        ({"ImagerPixelSpacing": None}, {"Rows": 1, "L": 0, "spacing": 0}),
        ({"PatientOrientation": ["L"]}, {"Rows": 1, "L": 0, "spacing": 0}),
    ],
)
def test_the_image_library_tells_what_is_known(changes: dict[str, Any], expected: dict[str, int]) -> None:
    made = built(cases.outcome(cases.frontal(cases.header(**changes))))
    names = [(i.ConceptNameCodeSequence[0].CodeMeaning, i.get("TextValue")) for i in walk(made)]
    assert len([n for n, _ in names if n == "Pixel Data Rows"]) == expected["Rows"]
    assert names.count(("Patient Orientation Row", "L")) == expected["L"]
    assert len([n for n, _ in names if n.endswith("Pixel Spacing")]) == expected["spacing"]


def test_in_commissioning_every_label_on_the_image_says_so(tmp_path: Path) -> None:
    models = cases.model_set(commissioning=True)
    made = built(cases.outcome(cases.frontal(cases.header(), models), models=models))
    for group in groups(made, tmp_path):
        assert group.tracking_identifier.startswith("COMMISSIONING - NOT A RESULT")
        (score,) = group.get_measurements()
        assert score.name.meaning.startswith("NOT A RESULT: ")
        (call,) = group.get_qualitative_evaluations(codes.CALL)
        assert call.value == codes.NO_RESULT

"""The regions and lines: what goes in comes out through highdicom's own TID 1500 reader, in the form that OHIF
draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dciodvfy
import highdicom as hd
import numpy as np
import pytest
import report_cases as cases
from pydicom import Dataset
from pydicom.sr.coding import Code

from xrv_node import report
from xrv_node.report import codes, equipment, read_back, uids
from xrv_node.report.measurements import measure
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
    made = built(cases.outcome(cases.frontal(header, scores=SCORES, seg=cases.covered())))
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
        assert score.unit == Code("/100", "UCUM", "of 100")
        assert score[0].MeasuredValueSequence[0].FloatingPointValue == SCORES[label] * 100
        (point,) = score[0].ContentSequence
        assert point.RelationshipType == "HAS PROPERTIES"
        assert (point.name, point.value) == (codes.OPERATING_POINT, "50/100")
        (call,) = group.get_qualitative_evaluations(codes.CALL)
        assert call.value == codes.PRESENT
        assert group.roi.graphic_type == hd.sr.GraphicTypeValues.POLYLINE
        np.testing.assert_allclose(group.roi.value, cases.polygon(200, 300), rtol=1e-6)
        (source,) = [i for i in group.roi.ContentSequence if i.ValueType == "IMAGE"]
        (reference,) = source.ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == header.SOPInstanceUID
        assert reference.ReferencedSOPClassUID == header.SOPClassUID
        assert source.RelationshipType == "SELECTED FROM"


def document(made: Dataset, tmp_path: Path) -> hd.sr.MeasurementReport:
    path = tmp_path / "sr.dcm"
    path.write_bytes(report.to_bytes(made))
    assert dciodvfy.errors(path) == []
    dumped = cases.tool("dsrdump", path)
    assert dumped.returncode == 0
    assert dumped.stderr == ""
    read = hd.sr.srread(path)
    assert isinstance(read, hd.sr.Comprehensive3DSR)
    return read.content


def test_highdicom_reads_back_the_lines_of_the_cardiothoracic_ratio(tmp_path: Path) -> None:
    image = cases.frontal(cases.header(rows=600, columns=480), seg=cases.chest())
    expected = {codes.measurement(m.key).code: m for m in measure(image) if m.unit != "mm2"}
    assert len(expected) == 3
    (group,) = document(built(cases.outcome(image)), tmp_path).get_image_measurement_groups()
    assert group.tracking_uid == uids.tracking_uid(image.header.SOPInstanceUID, "CTR")
    assert group.tracking_identifier == "Cardiothoracic ratio"
    assert [site.value for site in group.finding_sites] == [codes.measurement("CTR").site]
    read = {m.name: m for m in group.get_measurements()}
    assert set(read) == set(expected)
    for name, put in expected.items():
        assert read[name].value == put.value
        assert read[name].unit.value == put.unit
        (coordinates,) = read[name].referenced_coordinates
        assert coordinates.graphic_type.value == ("MULTIPOINT" if put.key == "CTR" else "POLYLINE")
        points = [point for line in put.outlines for point in line]
        np.testing.assert_allclose(coordinates.value, points, rtol=1e-6)
        (source,) = coordinates.ContentSequence
        assert source.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == image.header.SOPInstanceUID
        (number,) = [i for i in group[0].ContentSequence if i.name == name]
        assert len(number.ContentSequence) == 1  # OHIF fails on a second item below such a number
    (caveat,) = [i for i in group[0].ContentSequence if i.name == codes.CAVEAT]
    assert all(str(reason) in caveat.value for m in expected.values() for reason in m.caveats)


def test_highdicom_reads_back_the_areas_of_the_lungs(tmp_path: Path) -> None:
    image = cases.frontal(cases.header(rows=600, columns=480), scores={}, seg=cases.chest())
    put = {
        uids.tracking_uid(image.header.SOPInstanceUID, m.key): m for m in measure(image) if m.unit == "mm2"
    }
    read = document(built(cases.outcome(image)), tmp_path).get_planar_roi_measurement_groups()
    assert {g.tracking_uid for g in read} == set(put)
    for group in read:
        expected = put[group.tracking_uid]
        (area,) = group.get_measurements()
        assert area.name == Code("42798000", "SCT", "Area")
        assert (area.value, area.unit) == (expected.value, Code("mm2", "UCUM", "square millimeter"))
        (site,) = group.finding_sites
        side = "Left" if group.tracking_identifier == "Left lung area" else "Right"
        assert (site.value, site.laterality) == (Code("39607008", "SCT", "Lung"), codes.LATERALITY[side])
        np.testing.assert_allclose(group.roi.value, expected.outlines[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("orientation", "over", "label", "expected"),
    [
        (["L", "F"], "Left Lung", "Effusion", "Left"),
        (["L", "F"], "Right Lung", "Effusion", "Right"),
        (["L", "F"], "Right Lung", "Fracture", None),
        (["L", "F"], "Heart", "Cardiomegaly", None),
        (["R", "F"], "Left Lung", "Effusion", None),
    ],
)
def test_a_site_has_a_side_where_the_region_lies_over_one_lung(
    orientation: list[str], over: str, label: str, expected: str | None, tmp_path: Path
) -> None:
    image = cases.frontal(
        cases.header(rows=480, columns=480, PatientOrientation=orientation), seg=cases.chest()
    )
    assert image.analysis is not None
    column = {"Left Lung": 340.0, "Right Lung": 140.0, "Heart": 260.0}[over]
    corners = ((column, 200.0), (column + 40, 200.0), (column + 40, 300.0), (column, 300.0), (column, 200.0))
    analysis = replace(image.analysis, findings=(Finding(label, 0.9, 0.9, corners),))
    read = document(built(cases.outcome(replace(image, analysis=analysis))), tmp_path)
    (group,) = read.get_planar_roi_measurement_groups(finding_type=codes.finding(label).code)
    (site,) = group.finding_sites
    assert site.value == codes.finding(label).site
    assert site.laterality == (codes.LATERALITY[expected] if expected else None)


def test_the_node_s_own_reader_takes_outlines_of_findings_and_no_measurement() -> None:
    image = cases.frontal(cases.header(), scores={"Effusion": 0.9}, seg=cases.chest())
    read = read_back.regions(built(cases.outcome(image)))
    assert {uid: set(outlines) for uid, outlines in read.items()} == {
        image.header.SOPInstanceUID: {"Effusion"}
    }


def test_what_is_measured_is_reported_without_a_finding_too(tmp_path: Path) -> None:
    made = built(cases.outcome(cases.frontal(cases.header(), scores={}, seg=cases.chest())))
    assert len(document(made, tmp_path).get_image_measurement_groups()) == 1


def test_nothing_measured_on_a_phantom_can_be_taken_for_a_patient_s(tmp_path: Path) -> None:
    models = cases.model_set(phantom=True)
    study = cases.outcome(cases.frontal(cases.header(), models, seg=cases.chest()), models=models)
    read = document(built(study), tmp_path)
    measured = [*read.get_image_measurement_groups(), *read.get_planar_roi_measurement_groups()]
    assert len(measured) == 2 + 3
    for group in measured:
        assert group.tracking_identifier.startswith("PHANTOM MODEL SET - NOT FOR PATIENT IMAGES: ")
        for number in group.get_measurements():
            assert number.name.meaning.startswith("PHANTOM: ")
            assert number.name.scheme_designator == codes.PRIVATE_SCHEME


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


def test_a_finding_without_a_region_has_its_group_around_the_image_and_says_so(tmp_path: Path) -> None:
    image = cases.frontal(cases.header(), seg=cases.chest())
    assert image.analysis is not None
    bare = (Finding("Mass", 0.9, 0.9), Finding("Edema", 0.52, 0.9, ((1, 1), (2, 2))))
    corner = Finding("Nodule", 0.9, 0.9, ((0, 0), (9, 0), (9, 9), (0, 9), (0, 0)))
    made = built(cases.outcome(replace(image, analysis=replace(image.analysis, findings=(*bare, corner)))))
    found = [g for g in groups(made, tmp_path) if g.finding_type is not None]
    assert len(found) == 3
    areas = [np.ptp(g.roi.value, axis=0).prod() for g in found]
    assert min(areas) > 0.7 * 96 * 96  # of the square that the networks saw
    assert len(set(areas)) == 3
    for group in found:
        assert group.finding_sites == []
        assert [i for i in group[0].ContentSequence if i.name == codes.NO_REGION]
    said = [i.TextValue for i in walk(made) if i.ValueType == "TEXT" and i.name == codes.NOTE]
    assert len(said) == 1
    assert read_back.regions(made) == {}


def test_there_is_none_without_a_finding() -> None:
    image = cases.frontal(cases.header())
    assert image.analysis is not None
    below = replace(image.analysis, findings=(Finding("Mass", 0.4, 0.4, cases.polygon(9, 9)),))
    assert report.build(cases.outcome(replace(image, analysis=below)), ["sr"]) == []
    assert report.build(cases.outcome(ImageOutcome(cases.header(), cases.LATERAL)), ["sr"]) == []


def test_an_open_polygon_is_closed(tmp_path: Path) -> None:
    image = cases.frontal(cases.header(), seg=cases.covered())
    assert image.analysis is not None
    corners = ((10.5, 20.25), (30.0, 20.0), (25.0, 60.0))
    analysis = replace(image.analysis, findings=(Finding("Mass", 0.9, 0.9, corners),))
    (group,) = groups(built(cases.outcome(replace(image, analysis=analysis))), tmp_path)
    np.testing.assert_array_equal(group.roi.value, [*corners, corners[0]])


@pytest.mark.parametrize("kind", ["sr", "sr-image"])
def test_the_algorithm_and_the_observer_are_the_contributing_equipment(kind: str) -> None:
    """The values that IHE AIR 6.5.3.1 wants to be the same, as far as a TID 1500 document has them."""
    models = cases.model_set()
    (result,) = report.build(cases.outcome(cases.frontal(cases.header(), seg=cases.chest())), [kind])
    made = result.dataset
    (item,) = made.ContributingEquipmentSequence
    told: dict[str, set[str]] = {}
    for i in walk(made):
        told.setdefault(i.ConceptNameCodeSequence[0].CodeValue, set()).add(i.get("TextValue") or i.get("UID"))
    for code, value in {
        "111001": item.ManufacturerModelName,
        "111003": item.SoftwareVersions,
        "122405": item.Manufacturer,
        "121012": item.DeviceUID,
        "121013": equipment.NAME,
        "121014": item.Manufacturer,
        "121015": item.ManufacturerModelName,
        "121016": item.DeviceSerialNumber,
    }.items():
        assert told[code] == {value}
    lines = {equipment.model_line(m) for m in (models.classifier, models.segmenter)}
    assert told["111002"] == (lines if kind == "sr" else {equipment.model_line(models.classifier)})


def test_each_number_names_the_network_that_it_is_from() -> None:
    models = cases.model_set()
    made = built(cases.outcome(cases.frontal(cases.header(), seg=cases.chest())))
    for group in (i for i in walk(made) if i.ConceptNameCodeSequence[0].CodeValue == "125007"):
        items = {i.ConceptNameCodeSequence[0].CodeValue: i for i in group.ContentSequence}
        network = models.classifier if "121071" in items else models.segmenter
        assert items["111002"].TextValue == equipment.model_line(network)


@pytest.mark.parametrize("kind", ["sr", "sr-image"])
def test_operating_points_of_the_site_are_parameters_of_the_classifier(kind: str, tmp_path: Path) -> None:
    plain = cases.model_set()
    own = replace(plain.classifier, site_thresholds=(("Effusion", 0.103247), ("Mass", 0.2)))
    models = replace(plain, classifier=own)
    (result,) = report.build(cases.outcome(cases.frontal(cases.header(), models), models=models), [kind])
    (tmp_path / "sr.dcm").write_bytes(report.to_bytes(result.dataset))
    assert dciodvfy.errors(tmp_path / "sr.dcm") == []
    told = {i.TextValue for i in walk(result.dataset) if i.ConceptNameCodeSequence[0].CodeValue == "111002"}
    line = "operating points set by the site: Effusion 0.103247, Mass 0.2"
    assert {equipment.model_line(own), line} <= told
    assert result.dataset.SoftwareVersions != equipment.version(plain)


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
    ("changes", "row"),
    [
        ({}, 1),
        ({"PatientOrientation": None}, 0),
        ({"ImagerPixelSpacing": None}, 0),
        ({"PatientOrientation": ["L"]}, 0),
    ],
)
def test_the_image_library_tells_what_is_known(changes: dict[str, Any], row: int) -> None:
    made = built(cases.outcome(cases.frontal(cases.header(**changes))))
    names = [(i.ConceptNameCodeSequence[0].CodeMeaning, i.get("TextValue")) for i in walk(made)]
    assert names.count(("Patient Orientation Row", "L")) == row
    assert len([n for n, _ in names if n == "Modality"]) == 1


def test_every_number_is_one_that_a_viewer_draws() -> None:
    """OHIF hides a number without coordinates, among those that it shows."""

    def undrawn(item: Dataset) -> int:
        children = item.get("ContentSequence", [])
        kinds = {child.ValueType for child in children}
        drawn = "SCOORD" in kinds or any(
            "SCOORD" in {c.ValueType for c in n.get("ContentSequence", [])} for n in children
        )
        return sum(undrawn(c) + (c.ValueType == "NUM" and not drawn) for c in children)

    assert undrawn(built(cases.outcome(cases.frontal(cases.header(), seg=cases.chest())))) == 0


def test_in_phantom_every_label_on_the_image_says_so(tmp_path: Path) -> None:
    models = cases.model_set(phantom=True)
    made = built(cases.outcome(cases.frontal(cases.header(), models), models=models))
    for group in groups(made, tmp_path):
        assert group.tracking_identifier.startswith("PHANTOM MODEL SET - NOT FOR PATIENT IMAGES")
        (score,) = group.get_measurements()
        assert score.name.meaning.startswith("PHANTOM: ")
        (call,) = group.get_qualitative_evaluations(codes.CALL)
        assert call.value in (codes.PHANTOM_PRESENT, codes.PHANTOM_BELOW)
